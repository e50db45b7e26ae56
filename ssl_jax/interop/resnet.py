"""Weights of residual networks, from and to torchvision and Hugging Face.

torchvision's counters of batches are left out of what is written, those of Hugging Face are 0: nothing here counts.
"""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError
from ssl_jax.interop.layouts import CONV
from ssl_jax.interop.table import Row, Weights, load, rename, save
from ssl_jax.models import ResNet
from ssl_jax.models.resnet import Bottleneck


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

_LAYERS = "encoder.stages.{i}.layers.{j}"
_TRANSFORMERS = (
    Row("stem.kernel", "embedder.embedder.convolution.weight", CONV),
    *_norm("stem_norm", "embedder.embedder.normalization"),
    Row(f"{_OURS}.conv1.kernel", f"{_LAYERS}.layer.0.convolution.weight", CONV),
    *_norm(f"{_OURS}.norm1", f"{_LAYERS}.layer.0.normalization"),
    Row(f"{_OURS}.conv2.kernel", f"{_LAYERS}.layer.1.convolution.weight", CONV),
    *_norm(f"{_OURS}.norm2", f"{_LAYERS}.layer.1.normalization"),
    Row(f"{_OURS}.conv3.kernel", f"{_LAYERS}.layer.2.convolution.weight", CONV),
    *_norm(f"{_OURS}.norm3", f"{_LAYERS}.layer.2.normalization"),
    Row(f"{_OURS}.shortcut.conv.kernel", f"{_LAYERS}.shortcut.convolution.weight", CONV),
    *_norm(f"{_OURS}.shortcut.norm", f"{_LAYERS}.shortcut.normalization"),
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


def from_transformers(model: ResNet, weights: Weights) -> None:
    """Sets the parameters and running averages of `model` to those of Hugging Face's `ResNetModel`.

    Raises:
      UserError: names or shapes do not fit; nothing is set then.
    """
    _check_stem(model)
    weights = rename(weights, ((r"^resnet\.", ""),))
    load(model, weights, _TRANSFORMERS, ignored=r"^classifier\.|num_batches_tracked$")


def to_transformers(model: ResNet) -> dict[str, np.ndarray]:
    """The weights of `model` under the names of `ResNetModel`.

    Raises:
      UserError: its stem is that for small pictures.
    """
    _check_stem(model)
    weights = save(model, _TRANSFORMERS)
    counted = [name.removesuffix("running_var") for name in weights if name.endswith("running_var")]
    return weights | {f"{name}num_batches_tracked": np.zeros((), np.int64) for name in counted}


def settings(model: ResNet) -> dict[str, Any]:
    """What a `ResNetConfig` says of this network, but for its `model_type`.

    Raises:
      UserError: its stem is that for small pictures.
    """
    _check_stem(model)
    width, block = model.stem.out_features, type(model.stages[0][0])
    return {
        "num_channels": model.channels,
        "embedding_size": width,
        "hidden_sizes": [width * block.expansion * 2**stage for stage in range(len(model.stages))],
        "depths": [len(stage) for stage in model.stages],
        "layer_type": "bottleneck" if block is Bottleneck else "basic",
        "hidden_act": "relu",
        "downsample_in_first_stage": False,
        "downsample_in_bottleneck": False,
    }


def _check_stem(model):
    if not model.imagenet_stem:
        raise UserError(
            "A ResNet of transformers begins with a 7x7 convolution and a maximum: config.model.stem must be "
            "'imagenet', here it is 'small'."
        )
