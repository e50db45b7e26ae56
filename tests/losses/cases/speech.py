import jax
import jax.numpy as jnp

from cases.case import Case, N, normal
from ssl_jax import losses

T, S, K, M, D = 6, 4, 2, 5, 4
LENGTHS = jnp.array([6, 4, 6, 3, 1, 6, 5, 2, 6, 6, 4, 6, 2, 5, 6, 3])
FRAMES = (jnp.arange(T)[None, :] < LENGTHS[:, None]).astype(jnp.float32)
MASK = FRAMES * jax.random.bernoulli(jax.random.key(0), 0.6, (N, T)).at[4:6].set(
    False
)  # of 8 devices, one masks nothing


def integers(seed, high, *shape):
    return jax.random.randint(jax.random.key(seed), shape, 0, high)


def cpc(rows, shared, rest, axis_name):
    return losses.cpc(
        rows["predictions"], rows["encodings"], rest["negatives"], rest["weights"], axis_name=axis_name
    )  # fmt: skip


def cpc_across_batch(rows, shared, rest, axis_name):
    return losses.cpc(
        rows["predictions"], rows["encodings"], rest["negatives"], rest["weights"],
        across_batch=True, axis_name=axis_name,
    )  # fmt: skip


def apc(rows, shared, rest, axis_name):
    return losses.apc(rows["predictions"], rows["frames"], rest["weights"], shift=2, axis_name=axis_name)


def wav2vec2(rows, shared, rest, axis_name):
    return losses.wav2vec2(
        rows["predictions"], rows["targets"], rest["negatives"], rest["weights"],
        temperature=0.2, axis_name=axis_name,
    )  # fmt: skip


def codebook_diversity(rows, shared, rest, axis_name):
    # Some codes are used more than others, or the loss is a small difference of large numbers.
    probabilities = jax.nn.softmax(rows["logits"].astype(jnp.float32) + jnp.arange(5.0)[None, None, None])
    return losses.codebook_diversity(probabilities, rest["weights"], axis_name=axis_name)


def hubert(alpha):
    def loss(rows, shared, rest, axis_name):
        logits = losses.codeword_logits(rows["features"], shared["codewords"], temperature=0.2)
        return losses.hubert(logits, rest["labels"], rest["mask"], rest["weights"], alpha=alpha, axis_name=axis_name)

    return Case(
        loss,
        {"features": normal(7, N, T, D)},
        {"codewords": normal(8, 5, D)},
        {"labels": integers(9, 5, N, T), "mask": MASK, "weights": FRAMES},
        scale_free=("features",),
    )


def best_rq(rows, shared, rest, axis_name):
    return losses.best_rq(rows["logits"], rest["labels"], rest["weights"], axis_name=axis_name)


AHEAD = {"predictions": normal(0, N, S, K, D), "encodings": normal(1, N, T, D)}
PAIR = {"predictions": normal(2, N, T, D), "targets": normal(3, N, T, D)}
CASES = {
    "cpc": Case(cpc, AHEAD, rest={"negatives": integers(0, T, N, S, M), "weights": FRAMES}),
    "cpc_across_batch": Case(
        cpc_across_batch, AHEAD, rest={"negatives": integers(1, N * T, N, S, M), "weights": FRAMES}, ordered=True
    ),
    "apc": Case(apc, {"predictions": PAIR["predictions"], "frames": PAIR["targets"]}, rest={"weights": FRAMES}),
    "wav2vec2": Case(
        wav2vec2,
        PAIR,
        rest={"negatives": integers(2, T, N, T, M), "weights": MASK},
        scale_free=("predictions", "targets"),
    ),
    "codebook_diversity": Case(codebook_diversity, {"logits": normal(4, N, T, 2, 5)}, rest={"weights": MASK}),
    "hubert": hubert(1.0),
    "hubert_both": hubert(0.8),
    "best_rq": Case(best_rq, {"logits": normal(5, N, T, 5)}, rest={"labels": integers(3, 5, N, T), "weights": MASK}),
}
