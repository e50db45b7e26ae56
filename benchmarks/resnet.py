"""A bare training step of a ResNet, ours beside PyTorch's: forward, backward and an update by SGD.

    python benchmarks/resnet.py [--sides 32 96] [--batches 128 16] [--rounds=20] [--threads=2]
    python benchmarks/resnet.py --depth=50 --sides 224 --batches 256 --dtype=bfloat16  # on a GPU

All are torchvision's ResNet without a classifier, at depth 18 with the stem for small pictures (a 3x3 convolution, no
pooling); PyTorch's is in channels_last, its quicker layout. "Flax norm" is ours with Flax's batch normalisation, which
takes the variance in one pass and leaves the gradient to autodiff. Rounds of one step each take turns in one process;
ratios are to ours. The median and the best round are shown, of wall time and of the time of all processors: where a CPU
does much else, the best says more.

On a GPU each step is waited for. In float32 both libraries do convolutions in TF32 there by default; bfloat16 is
PyTorch's autocast and our `dtype`. Needs requirements-peers.txt.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import rounds  # noqa: E402

RATE, MOMENTUM = 1e-3, 0.9


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a network and its input."""

    side: int
    batch: int
    depth: int = 18
    dtype: str = "float32"


def pictures(shape: Shape):
    """Random pictures, a NumPy array [batch, side, side, 3]."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((shape.batch, shape.side, shape.side, 3), dtype=np.float32)


def ours(shape: Shape, norm: Callable | None = None) -> Callable[[], object]:
    """A call that makes one step, compiled as the train step is; `norm` may take the place of our BatchNorm."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from ssl_jax.models import resnet
    from ssl_jax.train import compiler, mesh

    def build() -> nnx.Module:
        stem = "small" if shape.depth == 18 else "imagenet"
        settings = dict(depth=shape.depth, stem=stem, zero_init_residual=False, dtype=shape.dtype)
        with mock.patch.object(resnet, "BatchNorm", norm or resnet.BatchNorm):
            return resnet.ResNet(**settings, rngs=nnx.Rngs(0))

    graph, params, statistics = nnx.split(nnx.jit(build)(), nnx.Param, ...)
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)

    def loss(params, statistics, images):
        model = nnx.merge(graph, params, statistics, copy=True)
        return jnp.mean(jnp.square(model(images, train=True)), dtype=jnp.float32), nnx.state(model, nnx.BatchStat)

    def step(state, images):
        params, statistics, momenta = state
        grads, statistics = jax.grad(loss, has_aux=True)(params, statistics, images)
        updates, momenta = optimizer.update(grads, momenta)
        return optax.apply_updates(params, updates), statistics, momenta

    images = jnp.asarray(pictures(shape))
    state = (params, statistics, optimizer.init(params))
    options = compiler.options(mesh.make_mesh(), params)
    compiled = jax.jit(step, donate_argnums=0, compiler_options=options).lower(state, images).compile()

    def call():
        nonlocal state
        state = jax.block_until_ready(compiled(state, images))

    return call


def flax_norm(features: int, *, scale_init: float = 1.0, **_: Any) -> Any:
    """Flax's batch normalisation, called as ours is."""
    import jax
    from flax import nnx

    class Norm(nnx.BatchNorm):
        def __call__(self, x: jax.Array, *, train: bool, relu: bool = False) -> jax.Array:
            y = super().__call__(x, use_running_average=not train).astype(x.dtype)
            return jax.nn.relu(y) if relu else y

    return Norm(features, momentum=0.9, scale_init=nnx.initializers.constant(scale_init), rngs=nnx.Rngs(0))


def theirs(shape: Shape) -> Callable[[], object]:
    """The same in PyTorch."""
    import jax
    import torch

    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    model = _torch_resnet(shape.depth).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    images = torch.from_numpy(pictures(shape)).to(device).permute(0, 3, 1, 2)  # already channels_last
    half = torch.autocast(device.type, torch.bfloat16, enabled=shape.dtype == "bfloat16")

    def call():
        optimizer.zero_grad()
        with half:
            loss = model(images).square().mean()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return call


def _torch_resnet(depth: int) -> Any:
    import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)
    import torch
    import torchvision

    model = getattr(torchvision.models, f"resnet{depth}")()
    model.fc = torch.nn.Identity()
    if depth == 18:
        model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = torch.nn.Identity()
    return model.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 96], help="of the pictures, in pixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 16], help="pictures a step, one for each side")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--depth", type=int, default=18, choices=[18, 50])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    rounds.use_processors(options.threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # a GPU is shared with PyTorch
    rounds.head("ours", "Flax norm", "torch")
    for side, batch in zip(options.sides, options.batches, strict=True):
        compare(Shape(side, batch, options.depth, options.dtype), options.rounds)


def compare(shape: Shape, count: int) -> None:
    """Prints the lines of one shape."""
    calls = {"ours": ours(shape), "flax": ours(shape, norm=flax_norm), "torch": theirs(shape)}
    rounds.show(f"{shape.side} px x {shape.batch}", rounds.measure(calls, count))


if __name__ == "__main__":
    main()
