"""Views as PyTorch codes make them: lightly's transforms of PIL pictures, in PyTorch's DataLoader."""

import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightly.transforms.dino_transform import DINOViewTransform
from lightly.transforms.mae_transform import MAETransform
from lightly.transforms.multi_view_transform import MultiViewTransform
from lightly.transforms.simclr_transform import SimCLRViewTransform
from PIL import Image

from benchmarks.contenders.setup import Setup
from ssl_jax.errors import UserError

Transform = Callable[[Image.Image], list[torch.Tensor]]


class Pictures(torch.utils.data.Dataset):
    """Pictures uint8 [N, H, W, C] in memory; an example is the list of one's views, float32 [C, S, S] each."""

    def __init__(self, images: np.ndarray, transform: Transform):
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        image = self.images[index]
        return self.transform(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image))


def loader(setup: Setup, workers: int, start_method: str | None = None) -> torch.utils.data.DataLoader:
    """Batches of views for all steps of a run, epoch after epoch without a break.

    Args:
      setup: of the run.
      workers: processes, 0 for none.
      start_method: of the processes, None for the system's own.
    """
    pictures, size = Pictures(setup.images, transform(setup)), setup.config["batch_size"]
    generator = torch.Generator().manual_seed(setup.config["seed"])
    order = torch.utils.data.RandomSampler(pictures, num_samples=size * setup.config["steps"], generator=generator)
    processes = dict(num_workers=workers, multiprocessing_context=start_method if workers else None)
    pinned = torch.cuda.is_available()
    return torch.utils.data.DataLoader(
        pictures, size, sampler=order, generator=generator, pin_memory=pinned, **processes
    )


def transform(setup: Setup) -> Transform:
    """lightly's transforms of the strength that the config asks for: DINO's and MAE's, SimCLR's for the others."""
    builder = dict(dino=_dino, mae=_mae).get(setup.config["method"]["name"], _simclr)
    return setup.build({setup.config["views"]["name"]: builder}, "views", setup)  # presets are in its settings


def _simclr(
    setup: Setup,
    *,
    crop_scale: tuple[float, float],
    interpolation: str,
    blur: float,
    second_blur: float | None,
    blur_sigma: tuple[float, float],
    flip: float,
    jitter: float,
    strength: float,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    grayscale: float,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> MultiViewTransform:
    if crop_scale[1] != 1 or interpolation != "bilinear":
        raise UserError("lightly's views for SimCLR crop up to the whole picture, and bilinearly")
    shared = dict(
        input_size=setup.images.shape[1],
        min_scale=crop_scale[0],
        sigmas=blur_sigma,
        normalize=_normalize(mean, std),
        **_colors(flip, jitter, strength, grayscale, brightness, contrast, saturation, hue),
    )
    blurs = blur, blur if second_blur is None else second_blur
    return MultiViewTransform([SimCLRViewTransform(gaussian_blur=each, **shared) for each in blurs])


def _dino(
    setup: Setup,
    *,
    crop_scale: tuple[float, float],
    interpolation: str,
    local_crops: int,
    local_size: int,
    local_scale: tuple[float, float],
    blur: float,
    second_blur: float | None,
    local_blur: float | None,
    blur_sigma: tuple[float, float],
    solarize: float,
    second_solarize: float | None,
    local_solarize: float | None,
    flip: float,
    jitter: float,
    strength: float,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    grayscale: float,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> MultiViewTransform:
    if interpolation != "bicubic":
        raise UserError("lightly's views for DINO crop bicubically")
    shared = dict(sigmas=blur_sigma, normalize=_normalize(mean, std))
    shared |= _colors(flip, jitter, strength, grayscale, brightness, contrast, saturation, hue)
    large = dict(crop_size=setup.images.shape[1], crop_scale=crop_scale, **shared)
    first = DINOViewTransform(gaussian_blur=blur, solarization_prob=solarize, **large)
    second = DINOViewTransform(
        gaussian_blur=blur if second_blur is None else second_blur,
        solarization_prob=solarize if second_solarize is None else second_solarize,
        **large,
    )
    small = DINOViewTransform(
        crop_size=local_size,
        crop_scale=local_scale,
        gaussian_blur=blur if local_blur is None else local_blur,
        solarization_prob=solarize if local_solarize is None else local_solarize,
        **shared,
    )
    return MultiViewTransform([first, second, *[small] * local_crops])


def _mae(
    setup: Setup,
    *,
    crop_scale: tuple[float, float],
    interpolation: str,
    flip: float,
    mean: tuple[float, ...] | None,
    std: tuple[float, ...] | None,
) -> MAETransform:
    if crop_scale[1] != 1 or interpolation != "bicubic" or flip != 0.5:
        raise UserError("lightly's views for MAE crop up to the whole picture, bicubically, and mirror half of them")
    return MAETransform(setup.images.shape[1], crop_scale[0], _normalize(mean, std))


def _colors(flip, jitter, strength, grayscale, brightness, contrast, saturation, hue) -> dict[str, float]:
    amounts = dict(cj_bright=brightness, cj_contrast=contrast, cj_sat=saturation, cj_hue=hue)
    return dict(hf_prob=flip, cj_prob=jitter, cj_strength=strength, random_gray_scale=grayscale, **amounts)


def _normalize(mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> dict[str, Any] | None:
    return None if mean is None and std is None else dict(mean=mean or (0.0,), std=std or (1.0,))


def whole(setup: Setup, images: np.ndarray) -> torch.Tensor:
    """Pictures uint8 [N, H, W, C] as they are evaluated: float32 [N, C, H, W], normalised as views are."""
    part, pixels = setup.part("views"), torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    by_channel = lambda values: torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
    return (pixels - by_channel(part["mean"] or (0.0,))) / by_channel(part["std"] or (1.0,))
