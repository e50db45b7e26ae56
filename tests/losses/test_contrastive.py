"""Contrastive losses by hand, and what is special to each."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

VIEWS = jax.random.normal(jax.random.key(0), (2, 6, 5))
blocks = pytest.mark.parametrize("block_size", [None, 4])


def close(found, expected, **options):
    np.testing.assert_allclose(found, expected, rtol=1e-5, **options)


def plain(z1, z2, temperature):
    """NT-Xent's equation, one pair at a time, in float64."""
    z = np.concatenate([z1, z2]).astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z1)
    terms = []
    for i in range(2 * n):
        others = [np.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i]
        terms.append(-np.log(np.exp(z[i] @ z[(i + n) % (2 * n)] / temperature) / sum(others)))
    return np.mean(terms)


@blocks
@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
def test_nt_xent_equals_the_equation(temperature, block_size):
    close(losses.nt_xent(*VIEWS, temperature=temperature, block_size=block_size), plain(*VIEWS, temperature))


@blocks
def test_collapsed_embeddings_cost_the_log_of_the_number_of_candidates(block_size):
    options = dict(block_size=block_size)

    @jax.jit
    def found_and_expected(z, queue):
        return [
            (losses.nt_xent(z, z, **options), np.log(15)),
            (losses.info_nce(z, z, **options), np.log(8)),
            (losses.info_nce(z, z, queue=queue, **options), np.log(13)),
            (losses.moco(z, z, queue, **options), np.log(6)),
            (losses.moco_v3(z, z, z, z, temperature=0.5, **options), 2 * np.log(8)),
            (losses.nnclr(z, z, z, z, queue, **options), np.log(8)),
            (losses.sim_cse(z, z, hard_negatives=z, **options), np.log(16)),
            (losses.dcl(z, z, **options), np.log(14)),  # similarities 1 cancel
            (losses.dclw(z, z, **options), np.log(14)),  # equal similarities: weights 1
            (losses.clip(z, z, **options), np.log(8)),
            (losses.sup_con(jnp.stack([z, z], 1), jnp.arange(8), **options), np.log(15)),
            (losses.uniformity(z, **options), 0.0),
        ]

    *others, (uniformity, zero) = found_and_expected(jnp.ones((8, 3)), jnp.ones((5, 3)))
    for found, expected in others:
        close(found, expected)
    close(uniformity, zero, atol=1e-5)


@blocks
def test_identical_views_of_orthogonal_examples(block_size):
    """Positives have similarity 1, here divided by 0.5, and negatives 0."""
    options, e2 = dict(temperature=0.5, block_size=block_size), np.exp(2)
    queued = np.mean([np.log(2 * e2 + 3)] + 3 * [np.log(e2 + 4)]) - 2

    @jax.jit
    def found_and_expected(z):
        return [
            (losses.nt_xent(z, 3 * z, **options), -np.log(e2 / (e2 + 6))),
            (losses.info_nce(z, 3 * z, **options), -np.log(e2 / (e2 + 3))),
            (losses.info_nce(z, z, queue=z[:1], **options), queued),
            (losses.moco(z[:2], z[:2], z[2:], **options), np.log(e2 + 2) - 2),
            (losses.moco_v3(z, z, z, z, **options), 2 * -np.log(e2 / (e2 + 3))),
            (losses.nnclr(z, z, z, z, z[::-1], **options), -np.log(e2 / (e2 + 3))),
            (losses.sim_cse(z[:2], z[:2], hard_negatives=z[2:], **options), -np.log(e2 / (e2 + 3))),
            (losses.dcl(z, z, **options), -2 + np.log(6)),
            (losses.dclw(z, z, **options), -2 + np.log(6)),
            (losses.clip(z, z, **options), -np.log(e2 / (e2 + 3))),
            (losses.siglip(z, z, bias=0.0, **options), np.log1p(np.exp(-2)) + 3 * np.log(2)),
            (losses.uniformity(z, block_size=block_size), -4.0),  # squared distance 2, t = 2
        ]

    for found, expected in found_and_expected(jnp.eye(4)):
        close(found, expected)


def test_weights_of_dclw():
    """Similarities 1 and 0, sigma 1/2: of two examples, weights 2 - 2 softmax(2, 0)."""
    z1, z2 = jnp.array([[1.0, 0, 0], [0, 1, 0]]), jnp.array([[1.0, 0, 0], [0, 0, 1]])
    weights = 2 - 2 * np.array([np.exp(2), 1]) / (np.exp(2) + 1)
    close(losses.dclw(z1, z2, temperature=1.0), np.log(2) - weights[0] / 2)


def test_siglip_starts_at_the_bias():
    """All similarities 0: one pair in N belongs together."""
    zeros = jnp.zeros((4, 3))
    close(losses.siglip(zeros, zeros), np.log1p(np.exp(10)) + 3 * np.log1p(np.exp(-10)))


@blocks
def test_sup_con_of_two_classes(block_size):
    """Orthogonal classes of two examples, one view: one positive of similarity 1, two negatives of 0."""
    z = jnp.repeat(jnp.eye(2), 2, axis=0)[:, None]
    loss = losses.sup_con(z, jnp.array([3, 3, 7, 7]), temperature=0.5, block_size=block_size)
    close(loss, -np.log(np.exp(2) / (np.exp(2) + 2)))


@blocks
def test_sup_con_of_distinct_labels_is_nt_xent(block_size):
    loss = losses.sup_con(VIEWS.swapaxes(0, 1), jnp.arange(6), temperature=0.3, block_size=block_size)
    close(loss, losses.nt_xent(*VIEWS, temperature=0.3))


@blocks
def test_sup_con_counts_embeddings_without_positives_as_zero(block_size):
    z = VIEWS[0][:, None]
    assert losses.sup_con(z, jnp.arange(6), block_size=block_size) == 0
    two = losses.sup_con(z, jnp.array([0, 0, 1, 2, 3, 4]), block_size=block_size)
    assert two > 0


def test_nnclr_finds_the_neighbour():
    """The support holds the other example's direction only nearby: swapping z1's rows swaps the neighbours."""
    z, support = jnp.eye(3), jnp.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0.1, 0.9]])
    expected = (losses.info_nce(support, z) + losses.info_nce(support, z)) / 2
    close(losses.nnclr(z, z, z, z, support[::-1]), expected)


def test_triplet_by_hand():
    a, p, n = jnp.array([[1.0, 0]]), jnp.array([[0, 2.0]]), jnp.array([[-3.0, 0]])
    close(losses.triplet(a, p, n, margin=3.0), 2 - 4 + 3)
    assert losses.triplet(a, p, n) == 0
    close(losses.triplet(a, p, n, margin=0.5, squared=False, normalize=False), 0, atol=1e-6)
    close(losses.triplet(a, p, n, margin=2.0, squared=False, normalize=False), np.sqrt(5) - 4 + 2)
    value, gradient = jax.value_and_grad(losses.triplet)(a, a, a, squared=False)
    close(value, 0.2)
    np.testing.assert_array_equal(gradient, 0)


@blocks
def test_one_example_has_no_negatives(block_size):
    z1, z2 = VIEWS[:, :1]
    for loss in (losses.nt_xent, losses.info_nce, losses.clip):
        value, gradient = jax.jit(jax.value_and_grad(functools.partial(loss, block_size=block_size)))(z1, z2)
        np.testing.assert_allclose(value, 0, atol=1e-6)
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_losses_without_the_positive_need_two_examples():
    z1, z2 = VIEWS[:, :1]
    for loss in (losses.dcl, losses.dclw):
        with pytest.raises(ValueError, match="at least 2 examples"):
            loss(z1, z2)
    with pytest.raises(ValueError, match="at least 2 embeddings, not 1"):
        losses.uniformity(z1)


@blocks
@pytest.mark.parametrize("name", ["nt_xent", "dcl", "dclw", "info_nce", "sim_cse", "clip", "siglip"])
def test_small_temperature_stays_finite(name, block_size):
    loss = lambda a, b: getattr(losses, name)(a, b, temperature=1e-3, block_size=block_size)
    value, gradients = jax.value_and_grad(loss, (0, 1))(*VIEWS)
    assert np.isfinite(value) and np.all(np.isfinite(gradients))


@blocks
def test_small_temperature_with_queues_labels_and_neighbours_stays_finite(block_size):
    options, queue = dict(temperature=1e-3, block_size=block_size), VIEWS[0] - VIEWS[1]
    for loss in (
        lambda a, b: losses.moco(a, b, queue, **options),
        lambda a, b: losses.moco_v3(a, b, b, a, **options),
        lambda a, b: losses.nnclr(a, b, a, b, queue, **options),
        lambda a, b: losses.sup_con(jnp.stack([a, b], 1), jnp.arange(6) % 2, **options),
    ):
        value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(*VIEWS)
        assert np.isfinite(value) and np.all(np.isfinite(gradients))


def test_temperature_can_be_learned():
    slope = jax.jit(jax.grad(lambda t: losses.nt_xent(*VIEWS, temperature=t)))(0.5)
    measured = (plain(*VIEWS, 0.5 + 1e-4) - plain(*VIEWS, 0.5 - 1e-4)) / 2e-4
    np.testing.assert_allclose(slope, measured, rtol=1e-4)


def test_no_gradient_reaches_keys_and_queue_of_momentum_encoders():
    gradients = jax.grad(losses.moco, (1, 2))(*VIEWS, VIEWS[0] + 1)
    gradients += jax.grad(losses.moco_v3, (2, 3))(*VIEWS, *VIEWS)
    assert not any(np.any(g) for g in gradients)
    assert np.any(jax.grad(losses.info_nce, 1)(*VIEWS))


@pytest.mark.parametrize("temperature", [0, -0.1, float("nan"), np.float32(0), jnp.float32(-1)])
def test_impossible_temperature(temperature):
    for loss in (losses.nt_xent, losses.dclw, losses.info_nce, losses.clip, losses.siglip):
        with pytest.raises(ValueError, match="temperature .* is not positive"):
            loss(*VIEWS, temperature=temperature)


def test_misfits_are_named():
    with pytest.raises(ValueError, match=r"z1 and z2 must both be \[N, D\], not \(3, 4\) and \(3, 5\)"):
        losses.nt_xent(jnp.ones((3, 4)), jnp.ones((3, 5)))
    with pytest.raises(ValueError, match=r"queue must be \[rows, 5\], not \(3, 4\)"):
        losses.info_nce(*VIEWS, queue=jnp.ones((3, 4)))
    with pytest.raises(ValueError, match="in_batch=True"):
        losses.info_nce(*VIEWS, hard_negatives=VIEWS[0], in_batch=False)
    with pytest.raises(ValueError, match=r"labels must be \(6,\), not \(5,\)"):
        losses.sup_con(VIEWS.swapaxes(0, 1), jnp.arange(5))
    for block_size in (0, 512.0):
        with pytest.raises(ValueError, match=f"block_size {block_size} is not a positive integer"):
            losses.nt_xent(*VIEWS, block_size=block_size)
    for empty in (lambda: losses.nt_xent(*VIEWS[:, :0]), lambda: losses.moco(*VIEWS, jnp.zeros((0, 5)))):
        with pytest.raises(ValueError, match=r"must .*be \["):
            empty()
