"""A bare training step of ResNet-18, ours beside PyTorch's: forward, backward and an update by SGD, in float32.

    python benchmarks/resnet.py [--sides 32 96] [--batches 128 16] [--rounds=20] [--threads=2]

Both are torchvision's ResNet-18 with the stem for small pictures (a 3x3 convolution, no pooling) and without a
classifier; PyTorch's is in channels_last, its quicker layout. Rounds of one step each take turns in one process. The
median and the best round are shown, of wall time and of the time of all processors: where the machine does much else,
the best says more. Needs requirements-peers.txt.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

RATE, MOMENTUM = 1e-3, 0.9


def pictures(batch: int, side: int):
    """Random pictures, a NumPy array [batch, side, side, 3]."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((batch, side, side, 3), dtype=np.float32)


def ours(batch: int, side: int, options: dict[str, str] | None = None) -> Callable[[], object]:
    """A call that makes one step; compiled with the options of the train step, or with `options`."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from ssl_jax.models import ResNet
    from ssl_jax.train import compiler, mesh

    build = nnx.jit(lambda: ResNet(depth=18, stem="small", zero_init_residual=False, rngs=nnx.Rngs(0)))
    graph, params, statistics = nnx.split(build(), nnx.Param, ...)
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)

    def loss(params, statistics, images):
        model = nnx.merge(graph, params, statistics, copy=True)
        return jnp.mean(jnp.square(model(images, train=True))), nnx.state(model, nnx.BatchStat)

    def step(state, images):
        params, statistics, momenta = state
        grads, statistics = jax.grad(loss, has_aux=True)(params, statistics, images)
        updates, momenta = optimizer.update(grads, momenta)
        return optax.apply_updates(params, updates), statistics, momenta

    images = jnp.asarray(pictures(batch, side))
    state = (params, statistics, optimizer.init(params))
    options = compiler.options(mesh.make_mesh(), params) if options is None else options
    compiled = jax.jit(step, donate_argnums=0, compiler_options=options).lower(state, images).compile()

    def call():
        nonlocal state
        state = jax.block_until_ready(compiled(state, images))

    return call


def theirs(batch: int, side: int) -> Callable[[], object]:
    """The same in PyTorch."""
    import torch

    model = _torch_resnet18().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    images = torch.from_numpy(pictures(batch, side)).permute(0, 3, 1, 2)  # already channels_last

    def call():
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()

    return call


def _torch_resnet18():
    import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)
    import torch
    import torchvision

    model = torchvision.models.resnet18()
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = model.fc = torch.nn.Identity()
    return model.train()


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each call in each round, after one that is not timed."""
    found = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call()
            if number:
                found[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return found


def use_processors(threads: int | None = None) -> None:
    """Lets both libraries use so many processors; all that there are by default."""
    processors = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, processors)  # XLA starts a thread for each of them
    import torch

    torch.set_num_threads(len(processors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 96], help="of the pictures, in pixels")
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 16], help="pictures a step, one for each side")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    use_processors(options.threads)
    print(f"{'ms a step':28}{'ours':>10}{'torch':>10}{'torch/ours':>12}")
    for side, batch in zip(options.sides, options.batches, strict=True):
        found = measure({"ours": ours(batch, side), "torch": theirs(batch, side)}, options.rounds)
        for what, reduce in ("median", statistics.median), ("best", min):
            for index, clock in enumerate(("wall", "processor")):
                a, b = (reduce([seconds[index] for seconds in found[name]]) * 1e3 for name in ("ours", "torch"))
                print(f"{side} px x {batch}, {what} {clock:10}"[:28].ljust(28) + f"{a:10.0f}{b:10.0f}{b / a:12.2f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
