"""Layers start as the official codes' do: PyTorch's by default, others where a method's code says so."""

import importlib.util

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax.experiment import build
from ssl_jax.models.heads import Projector
from ssl_jax.models.vit import ViT
from ssl_jax.train.paths import path_name
from tests import tiny

INPUTS, OUTPUTS = 300, 400


def layer(**settings):
    sizes = dict(layers=1, out=OUTPUTS, last_batch_norm=False)
    return Projector(INPUTS, **sizes, **settings, rngs=nnx.Rngs(0)).linears[0]


def projector(name):
    return build(tiny.config(name)).make_method(nnx.Rngs(0)).projector


def assert_uniform(drawn, bound):
    """Within the bound, with the mean and the variance of a uniform distribution: five standard errors."""
    drawn = np.asarray(drawn).ravel()
    assert np.abs(drawn).max() <= bound
    assert abs(drawn.mean()) < 5 * bound / np.sqrt(3 * drawn.size)
    variance, error = bound**2 / 3, bound**2 * np.sqrt((1 / 5 - 1 / 9) / drawn.size)
    assert abs(np.mean(drawn**2) - variance) < 5 * error


def assert_normal(drawn, deviation):
    drawn = np.asarray(drawn).ravel()
    assert abs(drawn.std() / deviation - 1) < 5 / np.sqrt(2 * drawn.size)
    assert np.abs(drawn).max() > 3 * deviation  # not cut at two deviations


def test_a_head_starts_as_pytorch_does():
    linear = layer()
    assert_uniform(linear.kernel[...], INPUTS**-0.5)
    assert_uniform(linear.bias[...], INPUTS**-0.5)


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch (requirements-peers.txt)")
def test_pytorch_starts_so():
    import torch

    torch.manual_seed(0)
    for name, linear in {"head": torch.nn.Linear(INPUTS, OUTPUTS), "patches": torch.nn.Conv2d(3, OUTPUTS, 10)}.items():
        assert linear.weight[0].numel() == INPUTS, name
        assert_uniform(linear.weight.detach(), INPUTS**-0.5)
        assert_uniform(linear.bias.detach(), INPUTS**-0.5)


def test_another_start_has_no_biases():
    linear = layer(kernel_init=nnx.initializers.normal(0.01))
    assert_normal(linear.kernel[...], 0.01)
    assert not linear.bias[...].any()


@pytest.mark.parametrize("name, deviation", [("simclr", 0.01), ("msn", 0.02)])
def test_methods_whose_code_draws_from_a_normal_distribution(name, deviation):
    kernels = [linear.kernel[...] for linear in projector(name).linears]
    drawn = np.concatenate([np.ravel(kernel) for kernel in kernels])
    assert abs(drawn.std() / deviation - 1) < 5 / np.sqrt(2 * drawn.size)


def test_byol_starts_as_haiku_does():
    linear = projector("byol").linears[0]
    deviation = linear.kernel.shape[0] ** -0.5
    drawn = np.asarray(linear.kernel[...])
    assert abs(drawn.std() / deviation - 1) < 5 / np.sqrt(2 * drawn.size)
    assert np.abs(drawn).max() < 2.3 * deviation  # cut at two deviations of the distribution that is cut


def test_vit_of_timm():
    sizes = dict(width=96, depth=2, heads=3, mlp_dim=384, patch_size=8, image_size=16)
    vit = ViT(**sizes, initializer_range=0.02, rngs=nnx.Rngs(0))
    assert_uniform(vit.patch_embedding.kernel[...], vit.patch_dim**-0.5)
    assert_uniform(vit.patch_embedding.bias[...], vit.patch_dim**-0.5)
    leaves = jax.tree_util.tree_leaves_with_path(nnx.state(vit.stack))
    kernels = [leaf for path, leaf in leaves if "kernel" in path_name(path)]
    assert len(kernels) == 8  # four of each block
    for kernel in kernels:
        assert_normal(kernel, 0.02)
