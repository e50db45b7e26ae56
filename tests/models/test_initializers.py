"""Layers start as the official codes' do: PyTorch's by default, others where a method's code says so."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax import config as configs
from ssl_jax.experiment import build
from ssl_jax.models import initializers
from ssl_jax.models.heads import Projector
from ssl_jax.models.paths import path_name
from ssl_jax.models.resnet import ResNet
from ssl_jax.models.vit import ViT
from tests import tiny

INPUTS, OUTPUTS = 300, 400
SIZES = dict(width=96, depth=2, heads=3, mlp_dim=384, patch_size=8, image_size=16)
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def layer(**settings):
    sizes = dict(layers=1, out=OUTPUTS, last_batch_norm=False)
    return Projector(INPUTS, **sizes, **settings, rngs=nnx.Rngs(0)).linears[0]


def projector(name, **settings):
    return build(tiny.config(name, method=settings)).make_method(nnx.Rngs(0)).projector


def assert_uniform(drawn, bound):
    """Within the bound, with the mean and the variance of a uniform distribution: five standard errors."""
    drawn = np.asarray(drawn).ravel()
    assert np.abs(drawn).max() <= bound
    assert abs(drawn.mean()) < 5 * bound / np.sqrt(3 * drawn.size)
    variance, error = bound**2 / 3, bound**2 * np.sqrt((1 / 5 - 1 / 9) / drawn.size)
    assert abs(np.mean(drawn**2) - variance) < 5 * error


def assert_deviation(drawn, deviation):
    """To five standard errors of a normal distribution's deviation."""
    drawn = np.asarray(drawn)
    assert abs(drawn.std() / deviation - 1) < 5 / np.sqrt(2 * drawn.size)


def assert_normal(drawn, deviation):
    assert_deviation(drawn, deviation)
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
    for linear in projector(name).linears:
        assert_deviation(linear.kernel[...], deviation)
        assert linear.bias is None or not linear.bias[...].any()


def test_simclr_dcl_and_byol_may_start_as_pytorch_does():
    byol = projector("byol", head_layers="torch")
    for head in projector("dcl"), projector("simclr", projector_deviation=None), byol:
        for linear in head.linears:
            assert_uniform(linear.kernel[...], linear.kernel.shape[0] ** -0.5)
    assert_uniform(byol.linears[-1].bias[...], byol.linears[-1].kernel.shape[0] ** -0.5)


def test_haiku_cuts_at_two_deviations():
    """A normal distribution that is cut at two deviations keeps 0.8796 of its deviation."""
    drawn = initializers.haiku_kernel(jax.random.key(0), (INPUTS, OUTPUTS)) * INPUTS**0.5
    assert_deviation(drawn, 0.8796)
    assert 1.99 < np.abs(drawn).max() <= 2


def test_byol_starts_as_haiku_does():
    for linear in projector("byol").linears:
        drawn = linear.kernel[...] * linear.kernel.shape[0] ** 0.5
        assert_deviation(drawn, 0.8796)
        assert np.abs(drawn).max() <= 2


@pytest.mark.parametrize("kernel_init", ["he_fan_out", "torch"])
def test_convolutions(kernel_init):
    network = ResNet(stage_sizes=(1, 1), base_width=32, stem="small", kernel_init=kernel_init, rngs=nnx.Rngs(0))
    for convolution in network.stem, network.stages[1][0].conv1, network.stages[1][0].shortcut.conv:
        height, width, inputs, outputs = convolution.kernel.shape
        if kernel_init == "torch":
            assert_uniform(convolution.kernel[...], (height * width * inputs) ** -0.5)
        else:
            assert_normal(convolution.kernel[...], (2 / (height * width * outputs)) ** 0.5)


def test_vit_of_mae():
    vit = ViT(**SIZES, rngs=nnx.Rngs(0))
    assert_uniform(vit.patch_embedding.kernel[...], (6 / (vit.patch_dim + vit.features)) ** 0.5)
    assert not vit.patch_embedding.bias[...].any()
    for kernel in block_kernels(vit):
        assert_uniform(kernel, (6 / sum(kernel.shape)) ** 0.5)


def test_vit_of_timm():
    vit = ViT(**SIZES, initializer_range=0.02, rngs=nnx.Rngs(0))
    assert_uniform(vit.patch_embedding.kernel[...], vit.patch_dim**-0.5)
    assert_uniform(vit.patch_embedding.bias[...], vit.patch_dim**-0.5)
    for kernel in block_kernels(vit):
        assert_normal(kernel, 0.02)


def block_kernels(vit):
    leaves = jax.tree_util.tree_leaves_with_path(nnx.state(vit.stack))
    kernels = [leaf for path, leaf in leaves if "kernel" in path_name(path)]
    assert len(kernels) == 4 * SIZES["depth"]
    return kernels


@pytest.mark.parametrize("name", ["dino", "ibot", "dinov2", "msn", "lejepa"])
def test_configs_of_codes_whose_vits_start_normal(name):
    (path,) = CONFIGS.glob(f"{name}_imagenet_vit_*.py")
    assert configs.load(str(path)).model.initializer_range == 0.02


@pytest.mark.parametrize("name", ["simclr", "dcl", "byol", "barlow_twins", "nnclr", "swav"])
def test_configs_of_lightly_start_as_pytorch_does(name):
    assert configs.load(str(CONFIGS / f"{name}_cifar10_rn18.py")).model.kernel_init == "torch"
