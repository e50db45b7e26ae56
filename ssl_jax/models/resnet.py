"""Residual networks (He et al. 2016) for images, in the widths and stems that self-supervised papers use."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.initializers import TORCH_KERNEL
from ssl_jax.models.normalization import BatchNorm

# He et al. 2016, table 1 (200: "Identity Mappings in Deep Residual Networks", as used by BYOL).
STAGE_SIZES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
KERNELS = {"he_fan_out": nnx.initializers.variance_scaling(2.0, "fan_out", "normal"), "torch": TORCH_KERNEL}


def _convolution(inputs, outputs, size, *, stride=1, kernel_init, dtype, rngs):
    """A convolution without bias, padded by half its size on each side (as in PyTorch, unlike "SAME" with a stride)."""
    return nnx.Conv(
        inputs,
        outputs,
        (size, size),
        strides=stride,
        padding=((size // 2, size // 2),) * 2,  # a tuple, so that the module's definition can be hashed
        use_bias=False,
        kernel_init=KERNELS[kernel_init],
        dtype=settings.computation_dtype(dtype),
        conv_general_dilated=convolve,
        rngs=rngs,
    )


def convolve(images, kernel, strides, padding, **options):
    """`lax.conv_general_dilated`, but a matrix product for 1x1 kernels and where the result is smaller than the kernel.

    There XLA:CPU leaves its quick convolution: 3x3 on 512 pictures of 2x2x128 took 0.33 s on two cores, this 0.02 s.
    """
    size, (stride, _), outputs = kernel.shape[0], strides, kernel.shape[-1]
    if size > 1 and min(images.shape[1:3]) // stride >= size:
        return jax.lax.conv_general_dilated(images, kernel, strides, padding, **options)
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    height, width = ((side - size) // stride + 1 for side in padded.shape[1:3])
    offsets = [(i, j) for i in range(size) for j in range(size)]
    spans = [(slice(i, i + stride * height, stride), slice(j, j + stride * width, stride)) for i, j in offsets]
    patches = jnp.concatenate([padded[:, rows, columns][:, :height, :width] for rows, columns in spans], axis=-1)
    return patches @ kernel.reshape(-1, outputs)


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and 34).

    Args:
      inputs: channels that come in.
      width: channels of the convolutions, and of the output.
      stride: of the first convolution and the shortcut.
      last_scale: initial scale of the branch's last normalisation.
      norm: builds a BatchNorm from its number of features.
      conv: builds a convolution from (inputs, outputs, size, stride=).
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, *, stride: int, last_scale: float, norm, conv):
        self.conv1, self.norm1 = conv(inputs, width, 3, stride=stride), norm(width)
        self.conv2, self.norm2 = conv(width, width, 3), norm(width, scale_init=last_scale)
        self.shortcut = _shortcut(inputs, width, stride, norm, conv)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """[B, H, W, inputs] -> [B, H / stride, W / stride, width]."""
        y = self.norm1(self.conv1(x), train=train, relu=True)
        y = self.norm2(self.conv2(y), train=train)
        return jax.nn.relu(y + _project(self.shortcut, x, train))


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the stride sits on the 3x3 one ("v1.5", as in SimCLR and PyTorch).

    Args: as for `BasicBlock`; the output has 4 * `width` channels.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, *, stride: int, last_scale: float, norm, conv):
        outputs = self.expansion * width
        self.conv1, self.norm1 = conv(inputs, width, 1), norm(width)
        self.conv2, self.norm2 = conv(width, width, 3, stride=stride), norm(width)
        self.conv3, self.norm3 = conv(width, outputs, 1), norm(outputs, scale_init=last_scale)
        self.shortcut = _shortcut(inputs, outputs, stride, norm, conv)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """[B, H, W, inputs] -> [B, H / stride, W / stride, 4 * width]."""
        y = self.norm1(self.conv1(x), train=train, relu=True)
        y = self.norm2(self.conv2(y), train=train, relu=True)
        y = self.norm3(self.conv3(y), train=train)
        return jax.nn.relu(y + _project(self.shortcut, x, train))


class Shortcut(nnx.Module):
    """A 1x1 convolution and normalisation, where a block changes the shape."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, norm, conv):
        self.conv, self.norm = conv(inputs, outputs, 1, stride=stride), norm(outputs)

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """[B, H, W, inputs] -> [B, H / stride, W / stride, outputs]."""
        return self.norm(self.conv(x), train=train)


def _shortcut(inputs, outputs, stride, norm, conv):
    if stride == 1 and inputs == outputs:
        return nnx.data(None)
    return Shortcut(inputs, outputs, stride=stride, norm=norm, conv=conv)


def _project(shortcut, x, train):
    return x if shortcut is None else shortcut(x, train=train)


class ResNet(nnx.Module):
    """Residual network without a classifier: global average of the last stage.

    Class attribute `batch_statistics`: a picture's features depend on the others of its batch.

    Args:
      depth: 18 or 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks).
      stage_sizes: blocks of each stage; overrides `depth`, with basic blocks. Each stage after the first halves the
        picture and doubles the channels.
      width_multiplier: multiplies the channels of every layer, the stem included (SimCLR's 2x and 4x).
      base_width: channels of the first stage before the multiplier.
      stem: 'imagenet' is a 7x7 convolution of stride 2 and a 3x3 maximum of stride 2; 'small' a 3x3 convolution of
        stride 1 (SimCLR, appendix B.9, for CIFAR-10).
      channels: colours a pixel has.
      zero_init_residual: start every block as its shortcut (Goyal et al. 2017).
      kernel_init: how convolutions start: 'he_fan_out' is normal after He et al. 2015, as in torchvision and the codes
        of most methods (SimCLR's, BYOL's and SupCon's scale by the inputs, which LARS does not feel); 'torch' is what
        PyTorch's layers do by themselves, as in lightly's ResNet.
      remat: keep only each block's input for the backward pass.
      axis_name: for `BatchNorm` under `jax.pmap` or `jax.shard_map`; under `jax.jit` not needed.
      dtype: of the computation; parameters and the statistics of the batch are float32.
      rngs: stream `params`.

    Attributes:
      features: width of what `__call__` returns.
      channels, dtype: as given.

    Raises:
      ValueError: a size below 1, a `depth`, `stem`, `kernel_init` or dtype that does not exist, or `stage_sizes` that
        are empty.
    """

    reads = "image"
    batch_statistics = True

    def __init__(
        self,
        *,
        depth: int = 50,
        stage_sizes: tuple[int, ...] | None = None,
        width_multiplier: int = 1,
        base_width: int = 64,
        stem: Literal["imagenet", "small"] = "imagenet",
        channels: int = 3,
        zero_init_residual: bool = True,
        kernel_init: Literal["he_fan_out", "torch"] = "he_fan_out",
        remat: bool = False,
        axis_name: str | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        settings.at_least(1, width_multiplier=width_multiplier, base_width=base_width, channels=channels)
        settings.one_of("stem", stem, ("imagenet", "small"))
        settings.one_of("kernel_init", kernel_init, KERNELS)
        block, sizes = _architecture(depth, stage_sizes)
        width = base_width * width_multiplier
        conv = partial(_convolution, kernel_init=kernel_init, dtype=dtype, rngs=rngs)
        norm = partial(BatchNorm, axis_name=axis_name)
        self.channels = channels
        self.dtype = dtype
        self.remat = remat
        self.imagenet_stem = stem == "imagenet"
        self.stem = conv(channels, width, 7, stride=2) if self.imagenet_stem else conv(channels, width, 3)
        self.stem_norm = norm(width)
        build = partial(block, last_scale=0.0 if zero_init_residual else 1.0, norm=norm, conv=conv)
        self.stages = nnx.List(_stages(build, block.expansion, sizes, width))
        self.features = width * 2 ** (len(sizes) - 1) * block.expansion

    def __call__(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Encodes images.

        Args:
          images: float [B, H, W, channels].
          train: normalise by the batch, and update the running averages.
          key: unused, nothing is random; taken so that all encoders are called alike.

        Returns:
          [B, features], in the computation dtype.

        Raises:
          ValueError: the images are not [B, H, W, channels].
        """
        if images.ndim != 4 or images.shape[-1] != self.channels:
            raise ValueError(f"images are {images.shape}, this ResNet takes [B, H, W, {self.channels}]")
        x = self.stem_norm(self.stem(images), train=train, relu=True)
        if self.imagenet_stem:
            x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        run = nnx.remat(_run, static_argnums=2) if self.remat else _run
        for stage in self.stages:
            for block in stage:
                x = run(block, x, train)
        return jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)


def _run(block: nnx.Module, x: jax.Array, train: bool) -> jax.Array:
    return block(x, train=train)


def _architecture(depth, stage_sizes):
    if stage_sizes is None:
        settings.one_of("depth", depth, STAGE_SIZES)
        return (BasicBlock if depth < 50 else Bottleneck), STAGE_SIZES[depth]
    if not stage_sizes or min(stage_sizes) < 1:
        raise ValueError(f"stage_sizes {tuple(stage_sizes)} must hold one positive number of blocks for each stage")
    return BasicBlock, tuple(stage_sizes)


def _stages(build, expansion, sizes, width):
    inputs = width
    for stage, blocks in enumerate(sizes):
        stage_width = width * 2**stage
        layers = []
        for index in range(blocks):
            layers.append(build(inputs, stage_width, stride=2 if stage > 0 and index == 0 else 1))
            inputs = stage_width * expansion
        yield nnx.List(layers)
