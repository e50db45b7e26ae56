"""A bare training step of MAE: patches hidden beside all seen, ours beside transformers', and how long it compiles.

    python benchmarks/masked_pictures.py [--batch=8] [--side=224] [--width=384] [--depths 5 12] [--layers=24] [--quick]

Forward, backward and an update by AdamW. The encoder has patches of 16 pixels and heads of 64, the decoder 4 blocks of
half the width, which see all patches in each column:

- ours: 75 % of the patches are hidden from the encoder (`methods.MAE`);
- seen: the same method, but the encoder is given all patches;
- theirs: `ViTMAEForPreTraining` on PyTorch, from the same weights, with the same patches hidden.

Rounds of one step each take turns in one process; ratios are to ours. The median and the best round are shown, of wall
time and of the time of all processors. Then the seconds until the encoder's gradient and the step of `--layers` blocks
are traced and compiled, where the blocks are one `jax.lax.scan` and where they are unrolled, which take turns too. What
was found goes to docs/masked_pictures.json, in place of what was there, and docs/masked_pictures.md is made of it.
`--quick` is of sizes that only show that it runs, and keeps nothing. Needs requirements-peers.txt.
"""

import argparse
import dataclasses
import functools
import json
import os
import shlex
import statistics
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import rounds  # noqa: E402
from benchmarks.bert import DECAY, RATE, our_step  # noqa: E402

RESULTS, PAGE = ROOT / "docs" / "masked_pictures.json", ROOT / "docs" / "masked_pictures.md"
PACKAGES = ("torch", "transformers")
RATIO = 0.75
HEAD = 64
GOAL = 1.1
"""How many times as long as ours a step of transformers is to take."""
TOP = """# A step of MAE, and its compilation

Made by

    {command}

In float32, in one process in which the columns take turns. Ratios, rounded down, are medians of the rounds (lowest to
highest).

## A step

Forward, backward and an update by AdamW, without views; milliseconds, median of the rounds, of wall time. Of the
encoder 75 % of the patches are hidden ("ours"), or none are ("seen"), where the decoder and the loss stay the same;
"theirs" is `ViTMAEForPreTraining` of transformers on PyTorch, as it comes, from our weights and with the same patches
hidden. Ratios are to ours; theirs is reached with at least {goal}, and "seen" was asked to be 2.3 with 5 blocks and 3
with 12.

| pictures and encoder | rounds | ours | seen | ratio | theirs | ratio | reached |
|---|---|---|---|---|---|---|---|
"""
COMPILING = """
## Compilation

Seconds until it is traced and compiled, median of the rounds, where the encoder's and the decoder's blocks are one
`jax.lax.scan` each (`config.model.scan`) and where they are unrolled: the gradient of the encoder alone, with all
patches, and our whole step, in which the loss, the update and a scan of the decoder's 4 blocks are compiled too. Of 24
blocks a ratio of 8 was asked.

| what | rounds | scanned | unrolled | ratio |
|---|---|---|---|---|
"""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a batch and the network; `side` of pictures and `patch` in pixels."""

    batch: int
    side: int
    width: int
    depth: int
    patch: int = 16
    scan: bool = False

    def __str__(self) -> str:
        return f"{self.batch} x {self.side} px, {self.depth} blocks of {self.width}"


def ours(shape: Shape) -> Any:
    """Our method with its weights."""
    from flax import nnx

    from ssl_jax.methods import METHODS
    from ssl_jax.models import ViT

    def build() -> nnx.Module:
        sizes = dict(width=shape.width, depth=shape.depth, heads=shape.width // HEAD, mlp_dim=4 * shape.width)
        backbone = ViT(
            **sizes, image_size=shape.side, patch_size=shape.patch, scan=shape.scan, pooling="cls", rngs=nnx.Rngs(0)
        )
        view = types.SimpleNamespace(train=lambda key, example: example)
        decoder = dict(decoder_width=shape.width // 2, decoder_depth=4, decoder_heads=shape.width // HEAD)
        return METHODS["mae"](backbone, view, mask_ratio=RATIO, **decoder, rngs=nnx.Rngs(1))

    return nnx.jit(build)()


def views(method: Any, shape: Shape) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Views with hidden patches, the same with all of them seen, and the noise that hides as many in transformers."""
    import numpy as np

    from ssl_jax import masking

    draw, patches = np.random.default_rng(0), method.backbone.num_patches
    images = draw.standard_normal((shape.batch, *method.backbone.image_shape), dtype=np.float32)
    noise = draw.random((shape.batch, patches), dtype=np.float32)
    order = np.argsort(noise, axis=1).astype(np.int32)
    restore = np.argsort(order, axis=1).astype(np.int32)
    count = masking.count_visible(patches, RATIO)
    hidden = dict(image=images, visible=order[:, :count], restore=restore, mask=(restore >= count).astype(np.float32))
    return hidden, hidden | {"visible": order}, noise


def their_step(method: Any, inputs: dict[str, Any], noise: Any) -> Callable[[], object]:
    """The same in transformers, from the same weights."""
    import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)
    import torch
    import transformers

    from ssl_jax import interop

    config = interop.mae.pretraining_settings(method.backbone, method.decoder)
    config |= dict(mask_ratio=RATIO, norm_pix_loss=method.normalize_targets)
    written = interop.Exported(config, interop.mae.to_transformers(method.backbone, method.decoder))
    with tempfile.TemporaryDirectory() as folder:
        written.save(Path(folder))
        model = transformers.ViTMAEForPreTraining.from_pretrained(folder).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    given = dict(pixel_values=torch.tensor(inputs["image"].transpose(0, 3, 1, 2)), noise=torch.tensor(noise))

    def call():
        optimizer.zero_grad()
        model(**given).loss.backward()
        optimizer.step()

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=224, help="of the pictures, in pixels")
    parser.add_argument("--width", type=int, default=384, help="of the encoder")
    parser.add_argument("--depths", type=int, nargs="*", default=[5, 12], help="blocks of the encoder")
    parser.add_argument("--layers", type=int, default=24, help="blocks of the encoder whose compilation is timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round")
    options = parser.parse_args()
    if options.quick:
        tiny = dict(batch=2, side=32, width=HEAD, depths=[1], layers=2, rounds=1)
        options = argparse.Namespace(**vars(options) | tiny)
    rounds.use_processors(options.threads)
    rounds.head("ours", "seen", "theirs")
    shapes = [Shape(options.batch, options.side, options.width, depth) for depth in options.depths]
    found = {"steps": {str(shape): compare(shape, options.rounds) for shape in shapes}}
    deep = Shape(options.batch, options.side, options.width, options.layers)
    found["compiling"] = {f"{what}, {deep}": compare_compilation(what, deep, options.rounds) for what in COMPILED}
    if not options.quick:
        keep(found)


def compare(shape: Shape, count: int) -> dict[str, list[rounds.Seconds]]:
    """What each takes in each round, of one shape; prints its lines."""
    method = ours(shape)
    hidden, seen, noise = views(method, shape)
    theirs = their_step(method, hidden, noise)
    # Each of ours has weights of its own, which its first step takes.
    calls = {"ours": our_step(method, hidden), "seen": our_step(ours(shape), seen), "theirs": theirs}
    found = rounds.measure(calls, count)
    rounds.show(str(shape), found)
    return found


def compile_gradient(method: Any, inputs: dict[str, Any]) -> None:
    """Traces and compiles the gradient of the encoder, of all patches."""
    import jax
    from flax import nnx

    graph, params, rest = nnx.split(method.backbone, nnx.Param, ...)
    total = lambda params, images: nnx.merge(graph, params, rest, copy=True)(images).sum()
    jax.jit(jax.grad(total)).lower(params, inputs["image"]).compile()


COMPILED = {"the encoder's gradient": compile_gradient, "a step": our_step}


def compare_compilation(what: str, shape: Shape, count: int) -> dict[str, list[rounds.Seconds]]:
    """What compiling takes in each round, scanned and unrolled; prints the medians."""
    calls = {}
    for name, scan in ("scanned", True), ("unrolled", False):
        method = ours(dataclasses.replace(shape, scan=scan))
        calls[name] = functools.partial(COMPILED[what], method, views(method, shape)[0])
    found = rounds.measure(calls, count)
    scanned, unrolled = (_median(times) for times in found.values())
    shown = f"scanned {scanned:.1f} s, unrolled {unrolled:.1f} s, ratio {unrolled / scanned:.2f}"
    print(f"compiling {what}, {shape.depth} blocks of {shape.width}: {shown}")
    return found


def keep(found: dict[str, Any]) -> None:
    """Writes the results, and the page that is made of them."""
    from benchmarks import peers_page
    from ssl_jax.train.workdir import write_atomically

    command = shlex.join(["python", "benchmarks/masked_pictures.py", *sys.argv[1:]])
    found = found | {"command": command, "hardware": peers_page.hardware(PACKAGES)}
    write_atomically(RESULTS, json.dumps(found, indent=1) + "\n")
    write_atomically(PAGE, page(found))


def page(found: dict[str, Any]) -> str:
    """docs/masked_pictures.md."""
    text = TOP.format(command=found["command"], goal=GOAL)
    for shape, times in found["steps"].items():
        cells = [shape, len(times["ours"]), f"{1e3 * _median(times['ours']):.0f}"]
        for name in ("seen", "theirs"):
            cells += f"{1e3 * _median(times[name]):.0f}", _ratio(times["ours"], times[name])
        reached = statistics.median(_ratios(times["ours"], times["theirs"])) >= GOAL
        text += _row(*cells, "yes" if reached else "NO")
    text += COMPILING
    for shape, times in found["compiling"].items():
        seconds = (f"{_median(times[name]):.1f}" for name in ("scanned", "unrolled"))
        text += _row(shape, len(times["scanned"]), *seconds, _ratio(times["scanned"], times["unrolled"]))
    return f"{text}\nMeasured on: {found['hardware']}.\n"


def _row(*cells: Any) -> str:
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _median(times: list[rounds.Seconds]) -> float:
    """Of wall time."""
    return statistics.median(wall for wall, _ in times)


def _ratios(first: list[rounds.Seconds], other: list[rounds.Seconds]) -> list[float]:
    """How many times as long as the first the other takes, by round."""
    return [theirs / ours for (ours, _), (theirs, _) in zip(first, other, strict=True)]


def _ratio(first: list[rounds.Seconds], other: list[rounds.Seconds]) -> str:
    from benchmarks import peers_page

    return peers_page.spread_of_ratios(_ratios(first, other))


if __name__ == "__main__":
    main()
