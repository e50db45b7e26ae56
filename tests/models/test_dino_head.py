"""DINO's head against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.models import heads

X = jax.random.normal(jax.random.key(0), (5, 6))


def head(**settings):
    sizes = dict(hidden=400, bottleneck=300, prototypes=70) | settings
    return heads.DINOHead(6, **sizes, rngs=nnx.Rngs(0))


def test_logits_are_cosines_with_the_prototypes():
    model = head()
    first, second, third = model.linears
    for linear in model.linears:  # into the bend of GELU, where its approximation differs
        linear.kernel[...] = 10 * linear.kernel[...]
    hidden = jax.nn.gelu(second(jax.nn.gelu(first(X), approximate=False)), approximate=False)
    points, kernel = np.asarray(third(hidden)), np.asarray(model.last_layer.kernel[...])
    cosines = points @ kernel / np.linalg.norm(points, axis=1, keepdims=True) / np.linalg.norm(kernel, axis=0)
    np.testing.assert_allclose(model(X), cosines, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(model.sphere(X), axis=1), 1, rtol=1e-5)


def test_prototypes_have_a_gradient_across_their_direction_only():
    model = head()
    graph, state = nnx.split(model)
    gradient = jax.grad(lambda s: jnp.sum(nnx.merge(graph, s)(X) ** 2))(state)["last_layer"]["kernel"][...]
    along = jnp.sum(gradient * model.last_layer.kernel[...], axis=0)
    assert jnp.abs(gradient).max() > 1e-2
    np.testing.assert_allclose(along, 0, atol=1e-5)


def test_gains_scale_each_prototype_and_are_trained_only_on_demand():
    assert head().last_layer.gain is None
    model = head(learn_gains=True)
    before = model(X)
    np.testing.assert_allclose(before, head()(X), atol=1e-6)
    model.last_layer.gain[...] = model.last_layer.gain[...].at[3].set(2.0)
    np.testing.assert_allclose(model(X), before * jnp.ones(70).at[3].set(2.0)[None], rtol=1e-5)


def test_starts_as_the_official_one():
    model = head()
    for linear in model.linears:
        assert np.std(linear.kernel[...]) == pytest.approx(0.02, rel=0.06) and not linear.bias[...].any()
    limit = np.abs(model.last_layer.kernel[...]).max()
    assert limit == pytest.approx(300**-0.5, rel=0.01)
    assert np.std(model.last_layer.kernel[...]) == pytest.approx(300**-0.5 / np.sqrt(3), rel=0.02)


def test_batch_norm_before_each_gelu_makes_biases_superfluous():
    model = head(batch_norm=True)
    assert [norm is not None for norm in model.norms] == [True, True, False]
    assert [linear.bias is not None for linear in model.linears] == [False, False, True]
    one = np.asarray(model(X, train=True))
    np.testing.assert_allclose(model(X * 3 + 1, train=True), one, atol=1e-2)
    assert np.abs(head()(X * 3 + 1) - head()(X)).max() > 0.03


def test_layers_and_dtype():
    assert len(head(layers=1).linears) == 1
    output = head(dtype="bfloat16")(X)
    assert output.dtype == jnp.float32
    np.testing.assert_allclose(output, head()(X), atol=0.03)


@pytest.mark.parametrize("name", ["hidden", "bottleneck", "prototypes", "layers"])
def test_sizes_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} 0 is below 1"):
        head(**{name: 0})
