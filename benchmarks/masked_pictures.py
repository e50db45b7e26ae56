"""A bare training step of MAE: patches hidden beside all seen, ours beside transformers', and how long it compiles.

    python benchmarks/masked_pictures.py [--batch=8] [--side=224] [--width=384] [--depths 5 12] [--layers=24] [--quick]

Forward, backward and an update by AdamW. The encoder has patches of 16 pixels and heads of 64, the decoder 4 blocks of
half the width, which see all patches in each column:

- ours: 75 % of the patches are hidden from the encoder (`methods.MAE`);
- seen: the same method, but the encoder is given all patches;
- theirs: `ViTMAEForPreTraining` on PyTorch, from the same weights, with the same patches hidden.

Rounds of one step each take turns in one process; ratios are to ours. The median and the best round are shown, of wall
time and of the time of all processors. Then the seconds until the step of `--layers` blocks is traced and compiled,
where the blocks are one `jax.lax.scan` and where they are unrolled. `--quick` is of sizes that only show that it runs.
Needs requirements-peers.txt.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import rounds  # noqa: E402
from benchmarks.bert import DECAY, RATE, our_step  # noqa: E402

RATIO = 0.75
HEAD = 64


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a batch and the network; `side` of pictures and `patch` in pixels."""

    batch: int
    side: int
    width: int
    depth: int
    patch: int = 16
    scan: bool = False


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
    for depth in options.depths:
        compare(Shape(options.batch, options.side, options.width, depth), options.rounds)
    compare_compilation(Shape(options.batch, options.side, options.width, options.layers))


def compare(shape: Shape, count: int) -> None:
    """Prints the lines of one shape."""
    method = ours(shape)
    hidden, seen, noise = views(method, shape)
    theirs = their_step(method, hidden, noise)
    # Each of ours has weights of its own, which its first step takes.
    calls = {"ours": our_step(method, hidden), "seen": our_step(ours(shape), seen), "theirs": theirs}
    title = f"{shape.batch} x {shape.side} px, {shape.depth} blocks of {shape.width}"
    rounds.show(title, rounds.measure(calls, count))


def compare_compilation(shape: Shape) -> None:
    """Prints the seconds until a step is compiled, scanned and unrolled."""
    taken = {}
    for scan in (True, False):
        method = ours(dataclasses.replace(shape, scan=scan))
        hidden, _, _ = views(method, shape)
        begun = time.perf_counter()
        our_step(method, hidden)
        taken[scan] = time.perf_counter() - begun
    found = f"scanned {taken[True]:.1f} s, unrolled {taken[False]:.1f} s, ratio {taken[False] / taken[True]:.2f}"
    print(f"compiling {shape.depth} blocks of {shape.width}: {found}")


if __name__ == "__main__":
    main()
