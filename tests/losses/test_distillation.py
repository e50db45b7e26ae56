"""Matching a teacher's distribution: by hand, with its center or balanced, and at small temperatures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

LOG3 = np.log(3.0)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_equal_logits_cost_the_log_of_the_number_of_prototypes():
    views, zeros = jnp.ones((4, 3, 7)), jnp.zeros(7)
    np.testing.assert_allclose(losses.dino(views, views[:, :2], zeros), np.log(7), rtol=1e-6)
    balanced = losses.dino(views, views[:, :2], centering="sinkhorn")
    np.testing.assert_allclose(balanced, np.log(7), rtol=1e-6)


def test_dino_pairs_each_teacher_view_with_the_other_student_views():
    """A student's view v gives prototype 0 a probability of 1 / (1 + 3^v); the teachers are sure of prototype 0."""
    student = jnp.array([[[0.0, v * LOG3] for v in range(3)]])
    teacher = jnp.array([[[1e3, 0.0], [1e3, 0.0]]])
    costs = np.log(1 + 3.0 ** np.arange(3))
    pairs = [costs[1], costs[2], costs[0], costs[2]]  # of the first and the second teacher's view
    loss = functools.partial(losses.dino, student, teacher, jnp.zeros(2), student_temperature=1.0)
    np.testing.assert_allclose(loss(), np.mean(pairs), rtol=1e-6)
    np.testing.assert_allclose(loss(reduction="sum"), np.sum(pairs), rtol=1e-6)
    one = losses.dino(student, teacher[:, :1], jnp.zeros(2), student_temperature=1.0)
    np.testing.assert_allclose(one, np.mean(costs[1:]), rtol=1e-6)


def test_the_teacher_is_centred_and_sharpened():
    """Logits less the center are (log 3, 0); at temperature 1/2 the probabilities are 9/10 and 1/10."""
    student, teacher = jnp.array([[[0.0, 0.0], [0.0, LOG3]]]), jnp.array([[[5 + LOG3, 7.0]]])
    loss = losses.dino(
        student, teacher, jnp.array([5.0, 7.0]), student_temperature=1.0, teacher_temperature=jnp.float32(0.5)
    )
    np.testing.assert_allclose(loss, 0.9 * np.log(4) + 0.1 * np.log(4 / 3), rtol=1e-6)


def test_sinkhorn_balances_all_teacher_views_together():
    """Each view alone prefers one prototype, which only both together use equally: nothing is to be balanced."""
    teacher = jnp.array([[[1.0, 0.0], [0.0, 1.0]]])
    student = normal(0, 1, 2, 2)
    plain = losses.dino(student, teacher, jnp.zeros(2), teacher_temperature=1.0)
    balanced = losses.dino(student, teacher, centering="sinkhorn", teacher_temperature=1.0)
    np.testing.assert_allclose(balanced, plain, rtol=1e-6)
    singly = losses.dino(student, teacher[:, :1], centering="sinkhorn", teacher_temperature=1.0)
    assert not np.isclose(singly, losses.dino(student, teacher[:, :1], jnp.zeros(2), teacher_temperature=1.0))


@pytest.mark.parametrize("centering", ["softmax", "sinkhorn"])
def test_small_temperatures_stay_finite(centering):
    center = jnp.zeros(6) if centering == "softmax" else None
    loss = lambda s, t: losses.dino(
        s, t, center, student_temperature=1e-3, teacher_temperature=1e-3, centering=centering
    )
    value, gradient = jax.jit(jax.value_and_grad(loss))(10 * normal(0, 4, 3, 6), 10 * normal(1, 4, 2, 6))
    assert np.isfinite(value) and np.all(np.isfinite(gradient)) and np.any(gradient)


@pytest.mark.parametrize("centering", ["softmax", "sinkhorn"])
def test_teacher_center_and_temperature_have_no_gradient(centering):
    def loss(teacher, center, temperature):
        center = center if centering == "softmax" else None
        return losses.dino(normal(0, 4, 3, 6), teacher, center, teacher_temperature=temperature, centering=centering)

    gradients = jax.jit(jax.grad(loss, (0, 1, 2)))(normal(1, 4, 2, 6), normal(2, 6), 0.5)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)


def test_impossible_settings_of_dino_are_named():
    student, teacher, center = jnp.ones((2, 3, 4)), jnp.ones((2, 2, 4)), jnp.zeros(4)
    for wrong, match in (
        (dict(centering="mean"), "centering 'mean' is not one of softmax, sinkhorn"),
        (dict(reduction="none"), "reduction 'none' is not one of mean, sum"),
        (dict(student_temperature=0), "student_temperature 0 is not positive"),
        (dict(teacher_temperature=-1.0), "teacher_temperature -1.0 is not positive"),
        (dict(centering="sinkhorn"), "takes no center"),
    ):
        with pytest.raises(ValueError, match=match):
            losses.dino(student, teacher, center, **wrong)
    with pytest.raises(ValueError, match="needs a center"):
        losses.dino(student, teacher)
    with pytest.raises(ValueError, match="iterations 0 is not positive"):
        losses.dino(student, teacher, centering="sinkhorn", sinkhorn_iterations=0)
    with pytest.raises(ValueError, match=r"center must be \(4,\)"):
        losses.dino(student, teacher, jnp.zeros((1, 4)))
    with pytest.raises(ValueError, match="at least 2 different views"):
        losses.dino(student[:, :1], teacher[:, :1], center)
    for misfit in (jnp.ones((2, 2, 5)), jnp.ones((3, 2, 4)), jnp.ones((2, 4))):
        with pytest.raises(ValueError, match=r"\[N, V, K\] and \[N, G, K\]"):
            losses.dino(student, misfit, center)


def test_update_center_by_hand():
    teacher = jnp.array([[[1.0, 0.0], [3.0, 0.0]], [[5.0, 8.0], [7.0, 0.0]]])  # mean (4, 2)
    center = jnp.array([10.0, 0.0])
    np.testing.assert_allclose(losses.update_center(center, teacher), [9.4, 0.2], rtol=1e-6)
    np.testing.assert_allclose(losses.update_center(center, teacher, momentum=0.5), [7, 1], rtol=1e-6)
    np.testing.assert_allclose(losses.update_center(center, teacher[:, 0], momentum=0), [3, 4], rtol=1e-6)
    weights = jnp.array([[1, 0], [1, 0]])
    np.testing.assert_allclose(losses.update_center(center, teacher, momentum=0.0, weights=weights), [3, 4], rtol=1e-6)
    masked = jnp.where(weights[..., None] == 1, teacher, jnp.nan)
    np.testing.assert_allclose(
        losses.update_center(center, masked, momentum=0.0, weights=weights == 1), [3, 4], rtol=1e-6
    )


def test_update_center_weighs_rows():
    teacher, center, weights = (
        jnp.array([[1.0, 0.0], [3.0, 8.0], [jnp.nan, 0.0]]),
        jnp.zeros(2),
        jnp.array([1.5, 0.5, 0]),
    )
    np.testing.assert_allclose(losses.update_center(center, teacher, momentum=0.0, weights=weights), [1.5, 2])
    np.testing.assert_allclose(losses.update_center(center, teacher, momentum=0.5, weights=weights), [0.75, 1])


def test_update_center_without_rows_keeps_it():
    center = jnp.array([1.0, 2.0])
    np.testing.assert_array_equal(losses.update_center(center, normal(0, 3, 2), weights=jnp.zeros(3)), center)


def test_update_center_keeps_float32_and_has_no_gradient():
    teacher = normal(0, 4, 3).astype(jnp.bfloat16)
    assert losses.update_center(jnp.zeros(3, jnp.bfloat16), teacher).dtype == jnp.float32
    np.testing.assert_array_equal(jax.grad(lambda t: losses.update_center(jnp.ones(3), t).sum())(normal(0, 4, 3)), 0)


@pytest.mark.parametrize("devices", [2, 8])
def test_update_center_is_the_same_on_all_devices(devices, eight_devices):
    """out_specs P() holds only if the result is known to be the same everywhere; hidden patches differ in number."""
    teacher, center, mask = normal(0, 16, 3, 5), normal(1, 5), normal(2, 16, 3) > 0.5
    expected = losses.update_center(center, teacher, weights=mask)
    mesh, spec = jax.sharding.Mesh(np.array(eight_devices[:devices]), ("data",)), jax.sharding.PartitionSpec
    update = lambda c, t, m: losses.update_center(c, t, weights=m, axis_name="data")
    spread = jax.shard_map(update, mesh=mesh, in_specs=(spec(), spec("data"), spec("data")), out_specs=spec())
    np.testing.assert_allclose(jax.jit(spread)(center, teacher, mask), expected, rtol=1e-5)
    pieces = lambda x: x.reshape(devices, 16 // devices, *x.shape[1:])
    every = jax.pmap(update, axis_name="data", in_axes=(None, 0, 0), devices=eight_devices[:devices])(
        center, pieces(teacher), pieces(mask)
    )
    np.testing.assert_allclose(every, jnp.tile(expected, (devices, 1)), rtol=1e-5)


def test_misfits_of_update_center_are_named():
    with pytest.raises(ValueError, match=r"center must be \(3,\)"):
        losses.update_center(jnp.zeros(4), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r"weights must be \(2,\)"):
        losses.update_center(jnp.zeros(3), jnp.ones((2, 3)), weights=jnp.ones(3))
    with pytest.raises(ValueError, match="momentum 1.5"):
        losses.update_center(jnp.zeros(3), jnp.ones((2, 3)), momentum=1.5)


def test_ressl_by_hand():
    """The key has similarities (1, 0) to the queue, the query (0, 1)."""
    queue = 5 * jnp.eye(2)
    loss = losses.ressl(
        jnp.array([[0.0, 3.0]]), jnp.array([[2.0, 0.0]]), queue, query_temperature=1 / LOG3, key_temperature=0.5 / LOG3
    )
    np.testing.assert_allclose(loss, 0.9 * np.log(4) + 0.1 * np.log(4 / 3), rtol=1e-6)


def test_ressl_of_equal_similarities_costs_the_log_of_the_queues_length():
    x = jnp.ones((3, 4))
    np.testing.assert_allclose(losses.ressl(x, -x, jnp.ones((7, 4))), np.log(7), rtol=1e-6)


def test_in_ressl_only_the_queries_have_a_gradient():
    loss = jax.jit(jax.grad(losses.ressl, (0, 1, 2)))
    dq, dk, dqueue = loss(normal(0, 3, 4), normal(1, 3, 4), normal(2, 7, 4))
    assert np.any(dq) and not np.any(dk) and not np.any(dqueue)


def test_ressl_at_a_small_temperature_is_finite():
    loss = functools.partial(losses.ressl, query_temperature=1e-3, key_temperature=1e-3)
    value, gradient = jax.jit(jax.value_and_grad(loss))(normal(0, 3, 4), normal(1, 3, 4), normal(2, 7, 4))
    assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_misfits_of_ressl_are_named():
    x = jnp.ones((3, 4))
    with pytest.raises(ValueError, match="queries and keys must both be"):
        losses.ressl(x, jnp.ones((3, 5)), x)
    with pytest.raises(ValueError, match=r"queue must be \(7, 4\)"):
        losses.ressl(x, x, jnp.ones((7, 5)))
    with pytest.raises(ValueError, match="key_temperature 0 is not positive"):
        losses.ressl(x, x, x, key_temperature=0)
