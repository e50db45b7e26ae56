"""XLA's options for the train step change the routine, not the result."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.train import compiler, mesh

PARAMS = {"kernel": jnp.zeros((3, 3, 32, 32))}


def gradient(images, kernel):
    """Of a convolution, an activation and a mean, with respect to both."""

    def loss(images, kernel):
        y = jax.lax.conv_general_dilated(
            images, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.mean(jnp.sin(y - jnp.mean(y, (0, 1, 2), keepdims=True)))

    return jax.value_and_grad(loss, (0, 1))(images, kernel)


@pytest.fixture
def inputs():
    keys = jax.random.split(jax.random.key(0))
    return jax.random.normal(keys[0], (8, 8, 8, 32)), jax.random.normal(keys[1], (3, 3, 32, 32))


def test_results_are_equal(inputs):
    options = compiler.options(mesh.make_mesh(), PARAMS)
    for ours, plain in zip(
        jax.tree.leaves(jax.jit(gradient, compiler_options=options)(*inputs)),
        jax.tree.leaves(jax.jit(gradient)(*inputs)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5 * float(jnp.abs(plain).max()))


def test_the_weight_gradient_is_not_left_to_ynnpack(inputs):
    def compiled(options):
        weight = jax.jit(lambda *inputs: gradient(*inputs)[1][1], compiler_options=options)
        return weight.lower(*inputs).compile().as_text()

    if " convolution(" in compiled({}).split("ENTRY")[1]:
        pytest.skip("this jaxlib does not do it by itself either")
    assert " convolution(" in compiled(compiler.options(mesh.make_mesh(), PARAMS)).split("ENTRY")[1]


def test_other_platforms_have_no_options():
    devices = np.array([[SimpleNamespace(platform="tpu")]])
    assert compiler.options(SimpleNamespace(devices=devices), PARAMS) == {}


def test_a_network_has_them_if_most_of_its_kernels_are_of_convolutions():
    if compiler._known(compiler._OPTION):
        assert list(compiler.options(mesh.make_mesh(), PARAMS)) == [compiler._OPTION]
    assert compiler.options(mesh.make_mesh(), {"patches": PARAMS["kernel"], "dense": [jnp.zeros((4, 4))]}) == {}


def test_a_jaxlib_without_the_option(monkeypatch):
    monkeypatch.setattr(compiler, "_OPTION", "xla_cpu_no_such_option")
    assert compiler.options(mesh.make_mesh(), PARAMS) == {}
