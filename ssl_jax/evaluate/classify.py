"""A pretrained reader of text with a new head that answers; and how good its answers are."""

from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.losses.tokens import cross_entropy
from ssl_jax.models import reading, settings
from ssl_jax.models.transformer import dropout

Pool = Literal["cls", "mean"]


class Classifier(nnx.Module):
    """Dropout and a linear layer on what an encoder makes of a text (Devlin et al. 2019, section 4.1).

    Args:
      encoder: a text transformer.
      outputs: classes; 1 for a number.
      pad_id: the token that fills up.
      pool: what stands for a text: 'cls', the state of its first token, through the `pooler` if there is one, or
        'mean', that of all real tokens.
      pooler: BERT's, or None.
      rate: of dropout.
      rngs: stream `params`.

    Raises:
      ValueError: `outputs` below 1, a `pool` that does not exist, or a rate outside 0 <= rate < 1.
    """

    def __init__(
        self,
        encoder: nnx.Module,
        outputs: int,
        *,
        pad_id: int,
        pool: Pool = "cls",
        pooler: nnx.Module | None = None,
        rate: float = 0.1,
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, outputs=outputs)
        settings.one_of("pool", pool, ("cls", "mean"))
        settings.probability(rate=rate)
        self.encoder, self.pad_id, self.pool, self.rate = encoder, pad_id, pool, rate
        self.pooler = nnx.data(None) if pooler is None else pooler
        start = nnx.initializers.truncated_normal(encoder.initializer_range)
        self.head = nnx.Linear(encoder.features, outputs, kernel_init=start, rngs=rngs)

    def __call__(self, batch: Mapping[str, jax.Array], *, key: jax.Array | None = None) -> jax.Array:
        """Answers float32 [B, outputs] of `tokens` and `segments` int [B, S]; with a `key` as in training."""
        keys = (None, None) if key is None else jax.random.split(key)
        views = reading.laid_out(batch, self.pad_id) | {"tokens": batch["tokens"]}
        if self.encoder.segments is None or self.encoder.segments.num_embeddings < 2:
            views["segments"] = jnp.zeros_like(views["segments"])
        states = reading.read(self.encoder, views, train=key is not None, key=keys[0])
        if self.pool == "mean":
            pooled = reading.mean_of_tokens(states, views["parts"] > 0)
        else:
            pooled = states[:, 0] if self.pooler is None else self.pooler(states)
        return self.head(dropout(pooled.astype(jnp.float32), self.rate, keys[1])).astype(jnp.float32)


def answer_loss(model: Classifier, batch: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
    """Mean cross entropy of the classes `answer` int [B], or mean squared error of numbers `answer` float [B]."""
    outputs, answers = model(batch, key=key), batch["answer"]
    if jnp.issubdtype(answers.dtype, jnp.floating):
        return jnp.mean((outputs[:, 0] - answers) ** 2)
    return jnp.mean(cross_entropy(outputs, answers))


def scores(outputs: np.ndarray, answers: np.ndarray, metrics: tuple[str, ...]) -> dict[str, float]:
    """GLUE's metrics.

    Args:
      outputs: [N, classes], or [N, 1] for a number.
      answers: [N].
      metrics: of `accuracy`, `f1` (of class 1), `matthews`, `pearson`, `spearman`. A correlation with outputs that are
        all the same is 0.
    """
    from scipy import stats
    from sklearn import metrics as sklearn

    if outputs.shape[1] == 1:
        chosen, constant = outputs[:, 0], np.ptp(outputs) == 0 or np.ptp(answers) == 0
        correlations = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}
        return {name: 0.0 if constant else float(correlations[name](chosen, answers)[0]) for name in metrics}
    chosen = outputs.argmax(1)
    known = {
        "accuracy": sklearn.accuracy_score,
        "f1": lambda right, found: sklearn.f1_score(right, found, zero_division=0),
        "matthews": sklearn.matthews_corrcoef,
    }
    return {name: float(known[name](answers, chosen)) for name in metrics}
