"""The verdict on embeddings that collapse in known ways, and on those that merely look odd."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import diagnostics

SIZES = [(8, 64), (64, 16), (256, 128), (300, 300), (1000, 32), (50, 512)]
over = pytest.mark.parametrize("n, d", SIZES)
seeds = pytest.mark.parametrize("seed", range(2))


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def turned(rows, seed):
    """In directions that no axis favours."""
    return rows @ np.linalg.qr(normal(seed + 100, rows.shape[1], rows.shape[1]))[0]


def power_law(seed, n, d, alpha, offset=0.0):
    """Eigenvalues like k^-alpha, around a mean that is `offset` times as long as the embeddings' spread."""
    rows = turned(normal(seed, n, d) * np.arange(1, d + 1) ** (-alpha / 2), seed)
    mean = normal(seed + 200, d)
    return jnp.asarray(rows + offset * mean / np.linalg.norm(mean) * np.sqrt(np.mean(np.sum(rows**2, axis=1))))


def subspace(seed, n, d, k, noise=0.0):
    return jnp.asarray(
        turned(np.pad(normal(seed, n, k), ((0, 0), (0, d - k))) + noise * normal(seed + 300, n, d), seed)
    )


def verdict(embeddings, **settings):
    return diagnostics.diagnose(jnp.asarray(embeddings), **settings).verdict


@over
@seeds
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
def test_constant_embeddings_are_a_complete_collapse(n, d, seed, noise):
    row = normal(seed, 1, d)
    assert verdict(row + noise * normal(seed + 1, n, d)) == "complete collapse"


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_the_scale_does_not_matter(scale):
    assert verdict(scale * jnp.ones((16, 8))) == "complete collapse"
    assert verdict(scale * power_law(0, 64, 16, 1.0)) == "healthy"
    assert verdict(scale * subspace(0, 64, 32, 2)) == "dimensional collapse"


def test_zero_embeddings_are_a_complete_collapse():
    found = diagnostics.diagnose(jnp.zeros((20, 8)))
    assert found.verdict == "complete collapse" and found.figures["spread"] == 0


def test_one_direction_at_several_lengths_is_a_complete_collapse():
    assert verdict(np.linspace(1, 5, 40)[:, None] * normal(0, 1, 16)) == "complete collapse"


@over
@seeds
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_line_is_a_dimensional_collapse(n, d, seed, noise):
    assert verdict(subspace(seed, n, d, 1, noise)) == "dimensional collapse"


@seeds
@pytest.mark.parametrize("n, d, k", [(256, 128, 6), (256, 128, 25), (1000, 256, 12), (100, 512, 8), (64, 64, 3)])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_a_subspace_is_a_dimensional_collapse(n, d, k, seed, offset):
    assert verdict(subspace(seed, n, d, k) + offset) == "dimensional collapse"


def test_a_subspace_is_recognised_in_bfloat16():
    assert verdict(subspace(0, 256, 128, 10).astype(jnp.bfloat16)) == "dimensional collapse"


@over
@seeds
@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_anisotropic_embeddings_are_healthy(n, d, seed, alpha, offset):
    assert verdict(power_law(seed, n, d, alpha, offset)) == "healthy"


@seeds
def test_clusters_are_healthy(seed):
    centres = normal(seed, 20, 64)
    assert verdict(centres[np.arange(400) % 20] + 0.3 * normal(seed + 1, 400, 64)) == "healthy"


@seeds
def test_features_after_a_relu_are_healthy(seed):
    # All in one orthant, so with a large common part; a tenth of the units is dead.
    features = np.maximum(power_law(seed, 500, 128, 1.0) + 0.1, 0)
    assert verdict(features * (np.arange(128) % 10 > 0)) == "healthy"


@pytest.mark.parametrize("n", [2, 3])
def test_too_few_embeddings_to_tell_are_not_accused(n):
    assert verdict(normal(0, n, 32)) == "healthy"


def soft(seed, n, k, temperature=0.1, d=32):
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    return jax.nn.softmax(jnp.asarray(unit(normal(seed, n, d)) @ unit(normal(seed + 1, k, d)).T) / temperature)


def assigned(what, assignments, count=None):
    counts = {"num_prototypes": count} if what == "prototypes" else {"num_codes": count}
    return diagnostics.diagnose(power_law(0, 64, 16, 1.0), **{what: assignments}, **(counts if count else {}))


KINDS = {"prototypes": "prototype collapse", "codes": "codebook collapse"}
kinds = pytest.mark.parametrize("what, expected", KINDS.items())


@kinds
@seeds
@pytest.mark.parametrize("n, k", [(512, 10), (512, 300), (100, 4096)])
def test_few_in_use_are_a_collapse(what, expected, seed, n, k):
    used = np.random.default_rng(seed).choice(k, 2, replace=False)
    codes = jnp.asarray(used[np.random.default_rng(seed).integers(2, size=n)])
    assert assigned(what, codes, k).verdict == expected
    assert assigned(what, jax.nn.one_hot(codes, k)).verdict == expected
    assert assigned(what, 0.99 * jax.nn.one_hot(codes, k) + 0.01 / k).verdict == expected


@kinds
@seeds
@pytest.mark.parametrize("n, k", [(512, 10), (512, 300), (100, 4096)])
def test_the_same_for_all_is_a_collapse_also_when_it_is_uniform(what, expected, seed, n, k):
    row = soft(seed, 1, k)
    assert assigned(what, jnp.broadcast_to(row, (n, k))).verdict == expected
    found = assigned(what, jnp.full((n, k), 1 / k))
    assert found.verdict == expected and "All examples use the same" in found.sentence


@kinds
@seeds
@pytest.mark.parametrize("n, k", [(512, 10), (512, 300), (100, 4096), (5000, 2)])
def test_uneven_but_varied_use_is_healthy(what, expected, seed, n, k):
    usage = np.arange(1, k + 1) ** -0.5  # some many times as often as others
    codes = np.random.default_rng(seed).choice(k, n, p=usage / usage.sum())
    assert assigned(what, jnp.asarray(codes), k).verdict == "healthy"
    assert assigned(what, soft(seed, n, k)).verdict == "healthy"
    assert assigned(what, soft(seed, n, k, temperature=1.0, d=256)).verdict == "healthy"


def test_the_worst_kind_is_named_first():
    bad = dict(prototypes=jnp.zeros(64, int), num_prototypes=50, codes=jnp.zeros(64, int), num_codes=50)
    assert verdict(jnp.ones((64, 16)), **bad) == "complete collapse"
    assert verdict(subspace(0, 64, 32, 1), **bad) == "dimensional collapse"
    found = diagnostics.diagnose(power_law(0, 64, 16, 1.0), **bad)
    assert found.verdict == "prototype collapse"
    assert found.figures["codebook_perplexity"] == 1  # all figures are there all the same


def test_figures_are_those_of_the_functions():
    x = power_law(1, 100, 16, 1.0, 1.0)
    views = x[:, None] + 0.1 * normal(2, 100, 3, 16)
    figures = diagnostics.diagnose(x, views=views, codes=jnp.arange(100) % 7, num_codes=9).figures
    for name, value in {
        "rank_me": diagnostics.rank_me(x),
        "embedding_std": diagnostics.embedding_std(x),
        "alpha_req": diagnostics.alpha_req(x),
        "lidar": diagnostics.lidar(views),
        "alignment": diagnostics.alignment(views[:, 0], views[:, 1]),
        "effective_rank": diagnostics.rank_me(x - jnp.mean(x, axis=0, keepdims=True)),
        "directions": 16,
        "codebook_perplexity": diagnostics.perplexity(jnp.arange(100) % 7, num_codes=9),
    }.items():
        np.testing.assert_allclose(figures[name], value, rtol=1e-3, err_msg=name)
        assert isinstance(figures[name], float)


def test_the_spread_is_the_distance_from_the_mean_cosine():
    x = power_law(3, 50, 8, 0.5, 2.0)
    unit = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    expected = jnp.sqrt(1 - jnp.mean(unit @ unit.T))
    np.testing.assert_allclose(diagnostics.diagnose(x).figures["spread"], expected, rtol=1e-4)


def test_the_sentence_says_it_with_the_figures():
    found = diagnostics.diagnose(subspace(0, 300, 128, 3))
    assert found.sentence.startswith("Embeddings vary along few directions") and "3 directions" in found.sentence
    healthy = diagnostics.diagnose(power_law(0, 300, 128, 1.0), prototypes=soft(0, 100, 10)).sentence
    assert healthy.startswith("No sign of collapse") and "prototype perplexity" in healthy
    assert all(text.count("\n") == 0 and text.endswith(".") for text in (found.sentence, healthy))


def test_thresholds_are_arguments():
    x = power_law(0, 256, 64, 1.0)
    assert verdict(x, min_spread=1.1) == "complete collapse"
    assert verdict(x, min_rank=0.999) == "dimensional collapse"
    assert verdict(x, dead=0.5, min_directions=0.5) == "dimensional collapse"
    codes = dict(codes=jnp.arange(256) % 10, num_codes=10)
    assert verdict(x, **codes) == "healthy"
    assert verdict(x, **codes, min_information=3.0) == "codebook collapse"
    assert verdict(x, **codes, min_usage=1.1) == "codebook collapse"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="embeddings: NaN, Inf"):
        diagnostics.diagnose(jnp.ones((8, 4)).at[0, 0].set(bad))
    with pytest.raises(ValueError, match="prototype: NaN, Inf"):
        diagnostics.diagnose(jnp.asarray(normal(0, 8, 4)), prototypes=jnp.full((8, 4), bad))


@kinds
def test_rows_that_do_not_count_could_not_have_been_used(what, expected):
    valid, none = jnp.arange(20), jnp.full(980, -1)
    assert assigned(what, valid, 1000).verdict == "healthy"
    assert assigned(what, jnp.concatenate([valid, none]), 1000).verdict == "healthy"
    assert assigned(what, jax.nn.one_hot(jnp.concatenate([valid, none]), 1000)).verdict == "healthy"
    found = assigned(what, jnp.concatenate([valid % 2, none]), 1000)
    assert found.verdict == expected and "of 20 possible" in found.sentence


@kinds
def test_codes_too_large_are_refused(what, expected):
    with pytest.raises(ValueError, match=f"{what} must be below num_{what}, 10, but the largest is 99"):
        assigned(what, jnp.array([0, 1, 99, -1]), 10)


@kinds
def test_assignments_that_do_not_fit_are_named(what, expected):
    with pytest.raises(ValueError, match=rf"{what} of integers must be \[N\] and come with num_{what}"):
        assigned(what, jnp.zeros(64, int))
    with pytest.raises(ValueError, match=rf"{what} must be \[N, K\] with K num_{what}, not \(64, 8\) with 999"):
        assigned(what, soft(0, 64, 8), 999)
    with pytest.raises(ValueError, match=f"{what} must be probabilities"):
        assigned(what, jnp.ones(8))
    assert assigned(what, soft(0, 64, 8), 8).verdict == "healthy"


def test_no_assignment_at_all_is_refused():
    with pytest.raises(ValueError, match="codebook: NaN, Inf, or nothing"):
        diagnostics.diagnose(jnp.asarray(normal(0, 8, 4)), codes=jnp.full(8, -1), num_codes=3)


@pytest.mark.parametrize("shape", [(1, 4), (4,), (2, 3, 4)])
def test_shapes_that_do_not_fit_are_named(shape):
    with pytest.raises(ValueError, match=r"embeddings must be \[N, D\] with at least 2"):
        diagnostics.diagnose(jnp.ones(shape))


def test_not_under_jit():
    with pytest.raises(jax.errors.ConcretizationTypeError):
        jax.jit(lambda x: diagnostics.diagnose(x).figures)(jnp.ones((8, 4)))
