"""What the convolutions of a ResNet-18 step cost on CPUs, ours beside PyTorch's: by stage and direction, in float32.

    python benchmarks/convolutions.py [--side 32] [--batch 128] [--rounds=5]

The network is that of `benchmarks/resnet.py` at depth 18. Each different convolution is timed alone: forward, gradient
with respect to its input (but the pictures'), and to its kernel; the best round counts, times how often the network has
it. The rest of a step is what `benchmarks/resnet.py` takes beyond the sum: normalisation, activations, additions, the
optimizer. Needs requirements-peers.txt.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import rounds  # noqa: E402

DIRECTIONS = ("forward", "to its input", "to its kernel")
WIDTHS = (64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Convolution:
    """One shape of convolution, and how often the network has it."""

    stage: str
    side: int  # of its input
    inputs: int
    outputs: int
    size: int  # of the kernel
    stride: int = 1
    times: int = 1


def convolutions(side: int) -> list[Convolution]:
    """Those of a ResNet-18 with the stem for small pictures, for pictures of `side` pixels."""
    found = [Convolution("stem", side, 3, WIDTHS[0], 3), Convolution("stage 1", side, WIDTHS[0], WIDTHS[0], 3, times=4)]
    for number, (before, width) in enumerate(zip(WIDTHS, WIDTHS[1:], strict=False), 2):
        stage = f"stage {number}"
        found.append(Convolution(stage, side, before, width, 3, stride=2))
        found.append(Convolution(stage, side, before, width, 1, stride=2))
        side = -(-side // 2)
        found.append(Convolution(stage, side, width, width, 3, times=3))
    return found


def arrays(conv: Convolution, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input [batch, side, side, in], kernel [size, size, in, out], and a gradient of the output."""
    draw, out = np.random.default_rng(0), -(-conv.side // conv.stride)
    shapes = (batch, conv.side, conv.side, conv.inputs), (conv.size, conv.size, conv.inputs, conv.outputs)
    return tuple(draw.standard_normal(shape, np.float32) for shape in (*shapes, (batch, out, out, conv.outputs)))


def ours(conv: Convolution, batch: int) -> list[Callable[[], object]]:
    """Calls for each direction, compiled as the train step is."""
    import jax

    from ssl_jax.train import compiler, mesh

    x, kernel, grad = map(jax.device_put, arrays(conv, batch))
    options = compiler.options(mesh.make_mesh(), {"kernel": kernel})
    padding = [(conv.size // 2, conv.size // 2)] * 2

    def forward(x, kernel):
        strides = (conv.stride, conv.stride)
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=numbers)

    functions = (
        forward,
        lambda kernel, grad: jax.linear_transpose(lambda x: forward(x, kernel), x)(grad),
        lambda x, grad: jax.linear_transpose(lambda kernel: forward(x, kernel), kernel)(grad),
    )
    inputs = (x, kernel), (kernel, grad), (x, grad)
    compiled = [
        jax.jit(f, compiler_options=options).lower(*a).compile() for f, a in zip(functions, inputs, strict=True)
    ]
    return [lambda f=f, a=a: jax.block_until_ready(f(*a)) for f, a in zip(compiled, inputs, strict=True)]


def theirs(conv: Convolution, batch: int) -> list[Callable[[], object]]:
    """The same in PyTorch, in channels_last."""
    import torch

    x, kernel, grad = map(torch.from_numpy, arrays(conv, batch))
    x, grad = x.permute(0, 3, 1, 2), grad.permute(0, 3, 1, 2)  # already channels_last
    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    pair = lambda number: [number, number]
    shape = (pair(conv.stride), pair(conv.size // 2), pair(1), False, pair(0), 1)
    backward = lambda *wanted: torch.ops.aten.convolution_backward(grad, x, kernel, None, *shape, [*wanted, False])
    return [
        lambda: torch.conv2d(x, kernel, stride=conv.stride, padding=conv.size // 2),
        lambda: backward(True, False),
        lambda: backward(False, True),
    ]


def best(call: Callable[[], object], count: int) -> float:
    """Milliseconds of the quickest of the rounds, after one that is not timed."""
    return 1e3 * min(wall for wall, _ in rounds.measure({"call": call}, count)["call"])


def spent(form: Callable, side: int, batch: int, count: int) -> dict[str, np.ndarray]:
    """Milliseconds a step by stage, in each direction."""
    found: dict[str, np.ndarray] = {}
    for conv in convolutions(side):
        wanted = np.array([1, conv.stage != "stem", 1])
        row = conv.times * wanted * [best(call, count) for call in form(conv, batch)]
        found[conv.stage] = found.get(conv.stage, 0) + row
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=32, help="of the pictures, in pixels")
    parser.add_argument("--batch", type=int, default=128, help="pictures a step")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu"
    rounds.use_processors()
    # One library after the other: PyTorch's threads go on waiting busily for a while after each call.
    both = [spent(form, options.side, options.batch, options.rounds) for form in (ours, theirs)]
    stages = {stage: np.stack([one[stage] for one in both], 1) for stage in both[0]}
    print(f"{'ms a step, ours / torch':24}" + "".join(f"{name:>20}" for name in (*DIRECTIONS, "together")))
    for stage, row in (stages | {"all convolutions": sum(stages.values())}).items():
        cells = [f"{a:.0f} / {b:.0f} ({b / a:.2f})" if a else "" for a, b in (*row, row.sum(0))]
        print(f"{stage:24}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
