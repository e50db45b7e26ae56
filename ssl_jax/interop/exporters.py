"""What Hugging Face's `from_pretrained` loads of each method: weights under its names, and its configuration."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from ssl_jax.data.spec import Spec
from ssl_jax.interop import albert, bert, electra, gpt2, roberta


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


def of_roberta(method: nnx.Module, spec: Spec) -> Exported:
    """`RobertaForMaskedLM`."""
    weights = roberta.to_transformers(method.backbone, mlm_head=method.mlm_head, pad_id=spec.pad_id)
    config = roberta.settings(method.backbone, pad_id=spec.pad_id)
    return Exported(config | special_tokens(spec) | {"architectures": ["RobertaForMaskedLM"]}, weights)


def of_albert(method: nnx.Module, spec: Spec) -> Exported:
    """`AlbertForPreTraining`."""
    heads = dict(mlm_head=method.mlm_head, pooler=method.pooler, order_head=method.order_head)
    config = albert.settings(method.backbone) | special_tokens(spec) | {"architectures": ["AlbertForPreTraining"]}
    return Exported(config, albert.to_transformers(method.backbone, **heads))


def of_electra(method: nnx.Module, spec: Spec) -> Exported:
    """`ElectraForPreTraining`: the discriminator."""
    config = electra.settings(method.backbone) | special_tokens(spec) | {"architectures": ["ElectraForPreTraining"]}
    return Exported(config, electra.to_transformers(method.backbone, replaced_head=method.replaced_head))


def of_next_token(method: nnx.Module, spec: Spec) -> Exported:
    """`GPT2LMHeadModel`."""
    config = gpt2.settings(method.backbone) | special_tokens(spec) | {"architectures": ["GPT2LMHeadModel"]}
    return Exported(config, gpt2.to_transformers(method.backbone))


def special_tokens(spec: Spec) -> dict[str, int | None]:
    """The tokens that a configuration names."""
    return {"pad_token_id": spec.pad_id, "bos_token_id": spec.cls_id, "eos_token_id": spec.sep_id}


EXPORTERS: dict[str, Callable[[nnx.Module, Spec], Exported]] = {
    "albert": of_albert,
    "bert": of_bert,
    "electra": of_electra,
    "next_token": of_next_token,
    "roberta": of_roberta,
}
"""By method. Each takes the trained method and the description of its data."""
