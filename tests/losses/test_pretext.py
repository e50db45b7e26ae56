"""Losses of the pretext tasks by hand. (What the tasks themselves do to images is tested in tests/augment.)"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

TASKS = {"rotation": 4, "relative_position": 8, "jigsaw": 64}
every = pytest.mark.parametrize("name, classes", TASKS.items())


@every
def test_knowing_nothing_costs_the_log_of_the_number_of_classes(name, classes):
    loss = jax.jit(getattr(losses, name))(jnp.zeros((5, classes)), jnp.arange(5) % classes)
    np.testing.assert_allclose(loss, np.log(classes), rtol=1e-6)


@every
def test_by_hand(name, classes):
    # The right class has probability 1/2 in the first row and 1/(classes) in the second.
    logits = jnp.zeros((2, classes)).at[0, 1].set(jnp.log(classes - 1.0))
    loss = jax.jit(getattr(losses, name))(logits, jnp.array([1, 3]))
    np.testing.assert_allclose(loss, (np.log(2) + np.log(classes)) / 2, rtol=1e-6)


@every
def test_several_copies_of_an_image_count_like_as_many_images(name, classes):
    logits = jax.random.normal(jax.random.key(0), (3, 4, classes))
    labels = jnp.arange(12).reshape(3, 4) % classes
    loss = jax.jit(getattr(losses, name))
    np.testing.assert_allclose(loss(logits, labels), loss(logits.reshape(12, -1), labels.reshape(12)), rtol=1e-6)


@every
def test_confident_and_wrong_in_half_precision_is_finite(name, classes):
    logits = jnp.full((1, classes), -3e4, jnp.float16).at[0, 0].set(3e4)
    value, gradient = jax.jit(jax.value_and_grad(getattr(losses, name)))(logits, jnp.array([1]))
    np.testing.assert_allclose(value, 6e4, rtol=1e-3)
    assert value.dtype == jnp.float32 and np.all(np.isfinite(gradient))


@every
@pytest.mark.parametrize("before, labels", [((), ()), ((5,), (4,)), ((5, 2), (5,)), ((5, 1, 1), (5, 1, 1))])
def test_misfits_are_named(name, classes, before, labels):
    with pytest.raises(ValueError, match="logits must be"):
        getattr(losses, name)(jnp.ones((*before, classes)), jnp.zeros(labels, int))


@pytest.mark.parametrize("name, classes", [("rotation", 3), ("relative_position", 9)])
def test_another_number_of_classes_is_refused(name, classes):
    with pytest.raises(ValueError, match="logits must be"):
        getattr(losses, name)(jnp.ones((5, classes)), jnp.zeros(5, int))
