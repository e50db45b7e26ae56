"""What views of images cost on CPUs, in processor time a view: ours beside kornia's and torchvision's, in one process.

    python benchmarks/augment.py [--rounds=5] [--sizes 32 96]
    python benchmarks/augment.py --flops [--size=224] [--canvas=320]  # ours, as a part of a ResNet-50 SimCLR step

Two SimCLR views of each of 512 images of 32 pixels (strength 0.5, no blur, as on CIFAR-10), and of 128 of 96 pixels
(strength 1, blur). Batches are uint8 and lie in memory; a view is float32 in 0..1. All rows crop (area 0.08 to 1,
bicubic), flip, jitter, drop colour and, at 96 pixels, blur with 9 taps. PIL does these one image at a time, as data
loaders do; so do tensors in torchvision's v2, on uint8; kornia does a whole batch and draws one order of jitter for it,
as ours does.

Rounds take turns, and the best of each counts. The processor time is that of all threads; torch has one, since more
would wait for each other busily. `kornia` and `torchvision` need requirements-peers.txt and -nodeps.
"""

import argparse
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import numpy as np  # noqa: E402

from ssl_jax import augment  # noqa: E402

BATCH = {32: 512, 96: 128}
GOALS = {32: {"kornia": 5, "torchvision, PIL": 8}, 96: {"kornia": 3, "torchvision, PIL": 2}}
FLOPS_BATCH = 2
"""Small, so that views are not made in chunks: the compiler counts the body of a loop once."""
SCALE = (0.08, 1.0)
Draw = Callable[[], object]


def settings(size: int) -> dict[str, float]:
    """The part of SimCLR's settings that differs for small images, as `PhotoView` names it."""
    return dict(strength=0.5, blur=0.0) if size <= 32 else dict(strength=1.0, blur=0.5)


def jitter(size: int) -> tuple[float, ...]:
    strength = settings(size)["strength"]
    return 0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength


def ours(images: np.ndarray) -> Draw:
    """Compiled views of a batch on the device."""
    size = images.shape[1]
    view = augment.VIEWS["simclr"](types.SimpleNamespace(shapes={"image": images.shape[1:]}), **settings(size))
    draw = jax.jit(lambda key, batch: augment.two_views(view, key, batch))
    batch, keys = {"image": jax.device_put(images)}, iter(jax.random.split(jax.random.key(0), 1000))
    return lambda: jax.block_until_ready(draw(next(keys), batch))


def kornia(images: np.ndarray) -> Draw:
    """kornia's augmentations of a batch of floats."""
    import torch
    from kornia import augmentation as K

    size = images.shape[1]
    steps = [
        K.RandomResizedCrop((size, size), scale=SCALE, resample="bicubic"),
        K.RandomHorizontalFlip(),
        K.ColorJitter(*jitter(size), p=0.8),
        K.RandomGrayscale(p=0.2),
    ]
    if blur := settings(size)["blur"]:
        steps.append(K.RandomGaussianBlur((_taps(size),) * 2, (0.1, 2.0), p=blur))
    draw, pixels = torch.nn.Sequential(*steps), torch.from_numpy(np.moveaxis(images, -1, 1).copy())

    def run() -> object:
        with torch.no_grad():
            return [draw(pixels.float() / 255) for _ in range(2)]

    return run


def torchvision_pil(images: np.ndarray) -> Draw:
    """torchvision's transforms of PIL pictures, one at a time."""
    from PIL import Image
    from torchvision import transforms

    pictures = [Image.fromarray(image) for image in images]
    draw = transforms.Compose([*_torchvision(transforms, images.shape[1]), transforms.ToTensor()])
    return lambda: [[draw(picture), draw(picture)] for picture in pictures]


def torchvision_tensors(images: np.ndarray) -> Draw:
    """torchvision's v2 transforms of uint8 tensors, one at a time."""
    import torch
    from torchvision.transforms import v2

    pictures = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    draw = v2.Compose([*_torchvision(v2, images.shape[1]), v2.ToDtype(torch.float32, scale=True)])
    return lambda: [[draw(picture), draw(picture)] for picture in pictures]


def _torchvision(transforms: types.ModuleType, size: int) -> list:
    """The steps, of torchvision.transforms or of its v2."""
    bicubic = transforms.InterpolationMode.BICUBIC
    steps = [
        transforms.RandomResizedCrop(size, scale=SCALE, interpolation=bicubic, antialias=True),
        transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.ColorJitter(*jitter(size))], p=0.8),
        transforms.RandomGrayscale(p=0.2),
    ]
    if blur := settings(size)["blur"]:
        steps.append(transforms.RandomApply([transforms.GaussianBlur(_taps(size), (0.1, 2.0))], p=blur))
    return steps


def _taps(size: int) -> int:
    return size // 20 * 2 + 1


FORMS = {
    "ours": ours,
    "kornia": kornia,
    "torchvision, PIL": torchvision_pil,
    "torchvision v2, tensors": torchvision_tensors,
}


def compare(size: int, rounds: int) -> None:
    """A table of one size."""
    shape = (BATCH[size], size, size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    draws = {name: form(images) for name, form in FORMS.items()}
    best = dict.fromkeys(draws, (np.inf, np.inf))
    for number in range(rounds + 1):
        for name, draw in draws.items():
            begun = time.process_time(), time.perf_counter()
            draw()
            spent = time.process_time() - begun[0], time.perf_counter() - begun[1]
            if number:  # the first is the warm-up
                best[name] = tuple(map(min, best[name], spent))
    print(f"\n{size} pixels, {shape[0]} images, two views of each")
    print(f"{'':26}{'processor, us a view':>22}{'times ours':>12}{'goal':>8}{'wall, us a view':>18}")
    for name, seconds in best.items():
        processor, wall = (value / (2 * shape[0]) * 1e6 for value in seconds)
        goal = GOALS[size].get(name)
        ratio, goal = seconds[0] / best["ours"][0], f">= {goal}" if goal else ""
        print(f"{name:26}{processor:22.1f}{ratio:12.2f}{goal:>8}{wall:18.1f}", flush=True)


def flops(size: int, canvas: int, batch: int) -> tuple[float, float]:
    """The compiler's own count for a step's loss and gradient a view: with views given, and with views drawn in it."""
    import jax.numpy as jnp
    from flax import nnx

    from ssl_jax import methods, models

    view = augment.VIEWS["simclr"](types.SimpleNamespace(shapes={"image": (canvas, canvas, 3)}), out_size=size)

    def make() -> nnx.Module:
        rngs = nnx.Rngs(0)
        return methods.SimCLR(models.ResNet(depth=50, rngs=rngs), view, rngs=rngs)

    graphdef, params, variables = nnx.split(nnx.eval_shape(make), nnx.Param, ...)

    def step(params, variables, images, key, drawn):
        method = nnx.merge(graphdef, params, variables, copy=True)
        views = method.views({"image": images}, key) if drawn else {"image": images}
        loss = lambda params: nnx.merge(graphdef, params, variables, copy=True).loss(views, key)[0]
        return jax.value_and_grad(loss)(params)

    def count(images: jax.ShapeDtypeStruct, drawn: bool) -> float:
        lowered = jax.jit(step, static_argnums=4).lower(params, variables, images, jax.random.key(0), drawn)
        return lowered.compile().cost_analysis()["flops"]

    given = count(jax.ShapeDtypeStruct((batch, 2, size, size, 3), jnp.float32), False)
    whole = count(jax.ShapeDtypeStruct((batch, canvas, canvas, 3), jnp.uint8), True)
    return given / batch / 2, whole / batch / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(BATCH), choices=list(BATCH))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flops", action="store_true")
    parser.add_argument("--size", type=int, default=224, help="of the views, with --flops")
    parser.add_argument("--canvas", type=int, default=320, help="size of the images, with --flops")
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    if options.flops:
        given, whole = flops(options.size, options.canvas, FLOPS_BATCH)
        print(f"ResNet-50, SimCLR, images of {options.canvas} pixels, views of {options.size}, compiled GFLOP a view:")
        print(f"views given {given / 1e9:.2f}, drawn in the step {whole / 1e9:.2f}")
        print(f"The views are {whole / given - 1:.1%} of the step (goal: under 5%).")
        return
    import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)
    import torch

    torch.set_num_threads(1)
    for size in options.sizes:
        compare(size, options.rounds)


if __name__ == "__main__":
    main()
