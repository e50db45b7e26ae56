"""What Hugging Face's `from_pretrained` loads of each method: weights under its names, and its configuration."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from ssl_jax.data.spec import Spec
from ssl_jax.interop import bert


class Exported(NamedTuple):
    """One of transformers' models.

    Attributes:
      config: of config.json.
      weights: of model.safetensors.
    """

    config: dict[str, Any]
    weights: dict[str, np.ndarray]


def of_bert(method: nnx.Module, spec: Spec) -> Exported:
    """`BertForPreTraining`, or without the second task `BertForMaskedLM`."""
    heads = {"mlm_head": method.mlm_head}
    if method.next_sentence_weight > 0:
        heads |= {"pooler": method.pooler, "next_head": method.next_head}
    architecture = "BertForPreTraining" if "next_head" in heads else "BertForMaskedLM"
    config = bert.settings(method.backbone) | special_tokens(spec) | {"architectures": [architecture]}
    return Exported(config, bert.to_transformers(method.backbone, **heads))


def special_tokens(spec: Spec) -> dict[str, int | None]:
    """The tokens that a configuration names."""
    return {"pad_token_id": spec.pad_id, "bos_token_id": spec.cls_id, "eos_token_id": spec.sep_id}


EXPORTERS: dict[str, Callable[[nnx.Module, Spec], Exported]] = {
    "bert": of_bert,
}
"""By method. Each takes the trained method and the description of its data."""
