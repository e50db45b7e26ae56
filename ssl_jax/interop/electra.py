"""Weights of ELECTRA, from and to Hugging Face's `ElectraForPreTraining` (discriminator), `ElectraForMaskedLM`.

The two networks are two files there, each with all embeddings.
"""

from typing import Any

import numpy as np

from ssl_jax.interop import bert
from ssl_jax.interop.layouts import LINEAR
from ssl_jax.interop.table import Parts, Row, Weights, load, rename, save, unused
from ssl_jax.models import MLMHead, ReplacedTokenHead, TextTransformer

_ROWS = (
    *bert.encoder_rows("electra"),
    Row("encoder.projection.kernel", "electra.embeddings_project.weight", LINEAR),
    Row("encoder.projection.bias", "electra.embeddings_project.bias"),
    Row("mlm_head.dense.kernel", "generator_predictions.dense.weight", LINEAR),
    Row("mlm_head.dense.bias", "generator_predictions.dense.bias"),
    Row("mlm_head.norm.scale", "generator_predictions.LayerNorm.weight"),
    Row("mlm_head.norm.bias", "generator_predictions.LayerNorm.bias"),
    Row("mlm_head.bias", "generator_lm_head.bias"),
    Row("replaced_head.dense.kernel", "discriminator_predictions.dense.weight", LINEAR),
    Row("replaced_head.dense.bias", "discriminator_predictions.dense.bias"),
    Row("replaced_head.prediction.kernel", "discriminator_predictions.dense_prediction.weight", LINEAR),
    Row("replaced_head.prediction.bias", "discriminator_predictions.dense_prediction.bias"),
)
_BARE = ((r"^(embeddings|embeddings_project|encoder)\.", r"electra.\1."),)
_REPEATED = r"^generator_lm_head\.weight$|^electra\.embeddings\.position_ids$"


def from_transformers(
    encoder: TextTransformer,
    weights: Weights,
    *,
    mlm_head: MLMHead | None = None,
    replaced_head: ReplacedTokenHead | None = None,
) -> None:
    """Sets the parameters of one of the networks: of its encoder, and of the head that is given.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    parts = Parts(encoder=encoder, mlm_head=mlm_head, replaced_head=replaced_head)
    heads = {
        "generator_predictions": mlm_head,
        "generator_lm_head": mlm_head,
        "discriminator_predictions": replaced_head,
    }
    load(parts, rename(weights, _BARE), _ROWS, ignored=f"{_REPEATED}|{unused(heads)}")


def to_transformers(
    encoder: TextTransformer, *, mlm_head: MLMHead | None = None, replaced_head: ReplacedTokenHead | None = None
) -> dict[str, np.ndarray]:
    """The weights under the names of `ElectraForPreTraining` or `ElectraForMaskedLM`; tied ones appear once."""
    return save(Parts(encoder=encoder, mlm_head=mlm_head, replaced_head=replaced_head), _ROWS)


def settings(encoder: TextTransformer) -> dict[str, Any]:
    """What an `ElectraConfig` says of this encoder.

    Raises:
      UserError: it is none of ELECTRA's form.
    """
    bert.check_form(encoder, "electra")
    return bert.common_settings(encoder) | {"embedding_size": encoder.embedding_width, "model_type": "electra"}
