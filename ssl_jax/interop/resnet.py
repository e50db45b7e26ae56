"""Weights of residual networks, from and to torchvision."""

import numpy as np

from ssl_jax.interop.layouts import CONV
from ssl_jax.interop.table import Row, Weights, load, save
from ssl_jax.models import ResNet


def _norm(ours: str, theirs: str) -> tuple[Row, ...]:
    return (
        Row(f"{ours}.scale", f"{theirs}.weight"),
        Row(f"{ours}.bias", f"{theirs}.bias"),
        Row(f"{ours}.mean", f"{theirs}.running_mean"),
        Row(f"{ours}.var", f"{theirs}.running_var"),
    )


_OURS, _THEIRS = "stages.{i}.{j}", "layer{i+1}.{j}"
_ROWS = (
    Row("stem.kernel", "conv1.weight", CONV),
    *_norm("stem_norm", "bn1"),
    Row(f"{_OURS}.conv1.kernel", f"{_THEIRS}.conv1.weight", CONV),
    *_norm(f"{_OURS}.norm1", f"{_THEIRS}.bn1"),
    Row(f"{_OURS}.conv2.kernel", f"{_THEIRS}.conv2.weight", CONV),
    *_norm(f"{_OURS}.norm2", f"{_THEIRS}.bn2"),
    Row(f"{_OURS}.conv3.kernel", f"{_THEIRS}.conv3.weight", CONV),
    *_norm(f"{_OURS}.norm3", f"{_THEIRS}.bn3"),
    Row(f"{_OURS}.shortcut.conv.kernel", f"{_THEIRS}.downsample.0.weight", CONV),
    *_norm(f"{_OURS}.shortcut.norm", f"{_THEIRS}.downsample.1"),
)


def from_torchvision(model: ResNet, weights: Weights) -> None:
    """Sets the parameters and running averages of `model` to those of a torchvision ResNet (its state dict in NumPy).

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    load(model, weights, _ROWS, ignored=r"^fc\.|num_batches_tracked$")


def to_torchvision(model: ResNet) -> dict[str, np.ndarray]:
    """The weights of `model` as a state dict for a torchvision ResNet, without `fc` and the counters of batches."""
    return save(model, _ROWS)
