"""Is this run collapsing, and how? Figures of held-out embeddings, and what they amount to."""

import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from ssl_jax.diagnostics.lidar import lidar
from ssl_jax.diagnostics.spectrum import alpha_req
from ssl_jax.diagnostics.spread import embedding_std, exp_entropy, rank_me
from ssl_jax.diagnostics.usage import weighted_usage
from ssl_jax.losses import alignment
from ssl_jax.losses.rows import unit_length

Verdict = Literal[
    "complete collapse", "dimensional collapse", "prototype collapse", "codebook collapse", "healthy"
]  # fmt: skip


class Diagnosis(NamedTuple):
    """What `diagnose` found.

    Attributes:
      verdict: the first of these that holds: "complete collapse", "dimensional collapse", "prototype collapse",
        "codebook collapse", "healthy".
      sentence: the verdict in words, with the figures that led to it.
      figures: all figures by name.
    """

    verdict: Verdict
    sentence: str
    figures: dict[str, float]


def diagnose(
    embeddings: jax.Array,
    *,
    views: jax.Array | None = None,
    prototypes: jax.Array | None = None,
    num_prototypes: int | None = None,
    codes: jax.Array | None = None,
    num_codes: int | None = None,
    min_spread: float = 0.01,
    min_rank: float = 0.5,
    min_directions: float = 0.25,
    dead: float = 1e-3,
    min_usage: float = 0.5,
    min_information: float = 1e-4,
) -> Diagnosis:
    """Names the kind of collapse that held-out embeddings show, if any.

    The verdict is a Python string, so this is not for use under `jax.jit`. The defaults of the thresholds are this
    project's own; they are wide, to call nothing a collapse that is merely anisotropic.

    Args:
      embeddings: of N different examples, [N, D], any float type; N of D or more tells most.
      views: embeddings of several views of examples, [M, V, D]: adds the figures `lidar` and `alignment`, which do
        not decide anything.
      prototypes: how examples are assigned to prototypes: probabilities [M, K], or int [M] with `num_prototypes`.
      num_prototypes: K; for probabilities it may be left out.
      codes: how examples or positions are assigned to the entries of a codebook, in the same two forms.
        Codes (and prototypes) below 0 do not count.
      num_codes: the number of entries.
      min_spread: complete collapse is a spread below this. The spread is the root mean square distance of the
        embeddings from their mean at unit length: 0 when all point the same way, 1 when directions cancel out.
        0.01 is a mean cosine between embeddings of 0.9999. A common offset (a mean cosine of 0.9, say, is usual
        after a ReLU) is no collapse.
      min_rank: dimensional collapse is an effective rank r with `log(r) / log(R)` below this, R being the rank that
        can be reached, min(N - 1, D). r is RankMe's, of the embeddings less their mean. At 0.5, r has to be below
        the square root of R: of 2048 dimensions 45. Spectra that decay as eigenvalue_k ~ 1 / k^2 are still above.
      min_directions: so is a smaller part of R than this whose directions are alive, whatever the rank.
      dead: a direction is dead when its standard deviation is below this part of the largest one's, which is well
        above rounding (also of bfloat16 embeddings).
      min_usage: prototype or codebook collapse is a perplexity P with `log(P) / log(U)` below this, U being the
        number that can be used, min(rows that count, K).
      min_information: so is it when assignments tell less than this about the example, in nats (the entropy of the
        mean usage less the mean entropy): all rows are alike, as in a collapse to the uniform distribution. Cosines
        with random prototypes, at a temperature of 1, still tell more.

    Returns:
      The verdict, a sentence, and the figures.

    Raises:
      ValueError: there are under 2 embeddings, a shape does not fit, a code is too large, or something is NaN or Inf.
    """
    if embeddings.ndim != 2 or embeddings.shape[0] < 2:
        raise ValueError(f"embeddings must be [N, D] with at least 2 examples, not {embeddings.shape}")
    figures = _numbers("embeddings", _of_embeddings(embeddings, dead))
    if views is not None:
        figures |= _numbers("views", _of_views(views))
    limit = min(embeddings.shape[0] - 1, embeddings.shape[1])
    found = _of_spread(figures, limit, min_spread, min_rank, min_directions)
    for kind, name, assignments, count in (
        ("prototype", "prototypes", prototypes, num_prototypes),
        ("codebook", "codes", codes, num_codes),
    ):
        if assignments is not None:
            rows = _rows_that_count(name, assignments, count)
            usage = _numbers(kind, _of_usage(rows))
            found = found or _of_assignments(kind, usage, min(rows.shape), min_usage, min_information)
            figures |= {f"{kind}_{figure}": value for figure, value in usage.items()}
    return Diagnosis(*(found or ("healthy", _no_sign(figures, limit))), figures)


@jax.jit
def _of_embeddings(embeddings, dead):
    rows = embeddings.astype(jnp.float32)
    largest = jnp.max(jnp.abs(rows))
    rows = rows / jnp.where(largest > 0, largest, 1.0)  # or squares of large embeddings overflow
    n, d = rows.shape
    values = jnp.linalg.svd(rows - jnp.mean(rows, axis=0, keepdims=True), compute_uv=False)
    figures = {
        "spread": jnp.sqrt(jnp.sum(jnp.var(unit_length(rows), axis=0))),
        "effective_rank": exp_entropy(values),
        "directions": jnp.sum(values > dead * values[0]),
        "rank_me": rank_me(rows),
        "embedding_std": embedding_std(rows),
    }
    return figures | ({"alpha_req": alpha_req(rows)} if min(n - 1, d) > 4 else {})


@jax.jit
def _of_views(views):
    return {"lidar": lidar(views), "alignment": alignment(views[:, 0], views[:, 1])}


def _rows_that_count(name, assignments, count):
    usage = weighted_usage(assignments, count, None, (name, f"num_{name}"))
    if assignments.ndim == 1 and (largest := int(jnp.max(assignments, initial=0))) >= count:
        raise ValueError(f"{name} must be below num_{name}, {count}, but the largest is {largest}")
    return usage[jnp.sum(usage, axis=1) != 0]  # codes below 0 are none


def _of_usage(usage):
    each = -jnp.sum(jax.scipy.special.xlogy(usage, usage), axis=1)
    together = exp_entropy(jnp.sum(usage, axis=0))
    return {"perplexity": together, "information": jnp.log(together) - jnp.mean(each)}


def _numbers(what, figures):
    figures = {name: float(value) for name, value in figures.items()}
    if not all(map(math.isfinite, figures.values())):
        raise ValueError(f"{what}: NaN, Inf, or nothing at all: {figures}")
    return figures


def _of_spread(figures, limit, min_spread, min_rank, min_directions):
    """Verdict and sentence of a collapse of the embeddings, or None."""
    spread, rank, directions = (figures[name] for name in ("spread", "effective_rank", "directions"))
    if spread < min_spread:
        return "complete collapse", f"All embeddings point the same way: their spread is {spread:.2g} of 1."
    if _share(rank, limit) < min_rank or directions < min_directions * limit:
        return "dimensional collapse", (
            f"Embeddings vary along few directions: the effective rank is {rank:.3g} and {directions:.0f} directions "
            f"are alive, of {limit} possible ones."
        )
    return None


def _of_assignments(kind, usage, usable, min_usage, min_information):
    """Verdict and sentence of a collapse of assignments, or None."""
    things = {"prototype": "prototypes", "codebook": "entries of the codebook"}[kind]
    used, information = usage["perplexity"], usage["information"]
    if _share(used, usable) < min_usage:
        return (
            f"{kind} collapse",
            f"Few {things} are used: as many as {used:.3g} used equally, of {usable} possible ones.",
        )
    if information < min_information and usable > 1:
        return (
            f"{kind} collapse",
            f"All examples use the same {things}: they tell {information:.2g} nats of an example.",
        )
    return None


def _share(used, usable):
    """On a logarithmic scale, how much of what could be used is; all of it where there is no choice."""
    return math.log(max(used, 1.0)) / math.log(usable) if usable > 1 else 1.0


def _no_sign(figures, limit):
    text = f"No sign of collapse: a spread of {figures['spread']:.2g} and an effective rank of "
    text += f"{figures['effective_rank']:.3g} of {limit}"
    for kind in ("prototype", "codebook"):
        if f"{kind}_perplexity" in figures:
            text += f", a {kind} perplexity of {figures[f'{kind}_perplexity']:.3g}"
    return text + "."
