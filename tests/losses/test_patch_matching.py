"""Patch by patch, and patches among one another: by hand and where patches do not count."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

LOG3 = np.log(3.0)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_ibot_averages_over_an_images_hidden_patches_first():
    """The teacher is sure of prototype 0; patch t costs log(1 + 3^t)."""
    student = jnp.array([[[0.0, t * LOG3] for t in range(3)]] * 3)
    teacher = jnp.tile(jnp.array([1e3, 0.0]), (3, 3, 1))
    mask = jnp.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    costs = np.log(1 + 3.0 ** np.arange(3))
    loss = functools.partial(losses.ibot, student, teacher, mask, jnp.zeros(2), student_temperature=1.0)
    np.testing.assert_allclose(loss(), ((costs[0] + costs[2]) / 2 + costs[1] + 0) / 3, rtol=1e-6)
    np.testing.assert_allclose(loss(reduction="patch"), costs.mean(), rtol=1e-6)


def test_the_teachers_patches_are_centred_and_sharpened():
    """Logits less the center are (log 3, 0); at temperature 1/2 the probabilities are 9/10 and 1/10."""
    student, teacher = jnp.array([[[0.0, LOG3]]]), jnp.array([[[5 + LOG3, 7.0]]])
    loss = losses.ibot(
        student, teacher, jnp.ones((1, 1)), jnp.array([5.0, 7.0]), student_temperature=1.0, teacher_temperature=0.5
    )
    np.testing.assert_allclose(loss, 0.9 * np.log(4) + 0.1 * np.log(4 / 3), rtol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"reduction": "patch"}, {"centering": "sinkhorn"}])
def test_visible_patches_do_not_matter(settings):
    student, teacher, mask = normal(0, 2, 3, 4), normal(1, 2, 3, 4), jnp.array([[1, 0, 1], [0, 0, 1]])
    hidden = mask[..., None] == 1
    center = None if "centering" in settings else jnp.zeros(4)
    loss = jax.jit(jax.value_and_grad(lambda s, t: losses.ibot(s, t, mask, center, **settings)))
    exact = loss(student, teacher)
    found = loss(jnp.where(hidden, student, jnp.nan), jnp.where(hidden, teacher, jnp.inf))
    assert found[0] == exact[0] > 0
    np.testing.assert_array_equal(found[1], exact[1])
    np.testing.assert_array_equal(exact[1] * (1 - hidden), 0)


@pytest.mark.parametrize("settings", [{}, {"reduction": "patch"}, {"centering": "sinkhorn"}])
@pytest.mark.parametrize("none", [np.zeros((2, 3)), np.zeros((2, 3), bool)])
def test_nothing_hidden_is_zero(settings, none):
    center = None if "centering" in settings else jnp.zeros(4)
    loss = lambda s: losses.ibot(s, normal(1, 2, 3, 4), jnp.asarray(none), center, **settings)
    value, gradient = jax.value_and_grad(loss)(normal(0, 2, 3, 4))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_sinkhorn_balances_the_hidden_patches_only():
    """Equal patches are balanced to uniform targets; a third, visible one would take its share."""
    teacher = jnp.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]]])
    student, mask = normal(0, 1, 3, 2), jnp.array([[1, 1, 0]])
    uniform = -jax.nn.log_softmax(student[:, :2], axis=-1).mean()
    loss = functools.partial(losses.ibot, student, teacher, student_temperature=1.0, centering="sinkhorn")
    np.testing.assert_allclose(loss(mask), uniform, rtol=1e-6)
    assert not np.isclose(loss(jnp.ones((1, 3))), uniform)


@pytest.mark.parametrize("centering", ["softmax", "sinkhorn"])
def test_small_temperatures_stay_finite(centering):
    center = jnp.zeros(6) if centering == "softmax" else None
    loss = lambda s, t: losses.ibot(
        s, t, jnp.ones((4, 3)), center, student_temperature=1e-3, teacher_temperature=1e-3, centering=centering
    )
    value, gradient = jax.jit(jax.value_and_grad(loss))(10 * normal(0, 4, 3, 6), 10 * normal(1, 4, 3, 6))
    assert np.isfinite(value) and np.all(np.isfinite(gradient)) and np.any(gradient)


def test_impossible_settings_of_ibot_are_named():
    patches, mask, center = jnp.ones((2, 3, 4)), jnp.ones((2, 3)), jnp.zeros(4)
    for arrays, wrong, match in (
        ((patches, jnp.ones((2, 3, 5)), mask, center), {}, "student and teacher must both be"),
        ((patches, patches, jnp.ones((2, 4)), center), {}, "mask must be"),
        ((patches, patches, mask, jnp.zeros(5)), {}, r"center must be \(4,\)"),
        ((patches, patches, mask), {}, "needs a center"),
        ((patches, patches, mask, center), dict(centering="sinkhorn"), "takes no center"),
        ((patches, patches, mask, center), dict(reduction="mean"), "reduction 'mean' is not one of image, patch"),
        ((patches, patches, mask, center), dict(student_temperature=0), "student_temperature 0 is not positive"),
    ):
        with pytest.raises(ValueError, match=match):
            losses.ibot(*arrays, **wrong)


def test_gram_anchoring_by_hand():
    """The student's two patches are equal, the teacher's orthogonal (or opposite): two of four entries differ."""
    student, across, opposite = jnp.array([[[2.0, 0], [3.0, 0]]]), 5 * jnp.eye(2)[None], jnp.array([[[1.0], [-7.0]]])
    np.testing.assert_allclose(losses.gram_anchoring(student, across), 2 * 1 / 4, rtol=1e-6)
    np.testing.assert_allclose(losses.gram_anchoring(student, opposite), 2 * 4 / 4, rtol=1e-6)
    for negatives in ("drop", "drop_teacher"):
        np.testing.assert_allclose(losses.gram_anchoring(student, opposite, negatives=negatives), 2 * 1 / 4, rtol=1e-6)
    np.testing.assert_allclose(losses.gram_anchoring(opposite, across, negatives="drop"), 0, atol=1e-6)
    np.testing.assert_allclose(losses.gram_anchoring(opposite, across, negatives="drop_teacher"), 2 * 1 / 4, rtol=1e-6)
    raw = losses.gram_anchoring(student, across, normalize=False)  # [[4, 6], [6, 9]] and [[25, 0], [0, 25]]
    np.testing.assert_allclose(raw, (21**2 + 6**2 + 6**2 + 16**2) / 4, rtol=1e-6)


def test_gram_anchoring_over_the_batch_compares_patches_of_different_images():
    """Of one patch each, two images are equal for the student and orthogonal for the teacher."""
    student, teacher = jnp.ones((2, 1, 2)), jnp.eye(2)[:, None]
    np.testing.assert_allclose(losses.gram_anchoring(student, teacher), 0, atol=1e-6)
    np.testing.assert_allclose(losses.gram_anchoring(student, teacher, per_image=False), 2 * 1 / 4, rtol=1e-6)


def test_gram_anchoring_is_free_to_rotate_and_reflect():
    teacher = normal(0, 2, 3, 4)
    rotation = jnp.linalg.qr(normal(1, 4, 4))[0]
    np.testing.assert_allclose(losses.gram_anchoring(teacher @ rotation, teacher), 0, atol=1e-10)


def test_gram_anchoring_of_zero_features_is_finite():
    zeros = jnp.zeros((2, 3, 4))
    for negatives in ("keep", "drop"):
        loss = functools.partial(losses.gram_anchoring, negatives=negatives, per_image=False)
        value, gradient = jax.value_and_grad(loss)(zeros, normal(0, 2, 3, 4))
        assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_misfits_of_gram_anchoring_are_named():
    ones = jnp.ones((2, 3, 4))
    assert losses.gram_anchoring(ones, jnp.ones((2, 3, 5))) < 1e-12  # widths may differ
    with pytest.raises(ValueError, match="negatives 'remove' is not one of keep, drop, drop_teacher"):
        losses.gram_anchoring(ones, ones, negatives="remove")
    for misfit in (jnp.ones((2, 4, 4)), jnp.ones((6, 4))):
        with pytest.raises(ValueError, match=r"student and teacher must be \[N, T, D\]"):
            losses.gram_anchoring(ones, misfit)
