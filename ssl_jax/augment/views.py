"""The views of images that papers train with."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from ssl_jax.augment.affine import affine, draw_affine
from ssl_jax.augment.auto_augment import auto_augment, draw_auto_augment
from ssl_jax.augment.blur import draw_blur, gaussian_blur
from ssl_jax.augment.color import color_jitter, draw_color_jitter, draw_order, grayscale, solarize
from ssl_jax.augment.crop import Interpolation, center_box, crop_and_resize, draw_crop, on_canvas, original_size
from ssl_jax.augment.erase import draw_erasing, erase
from ssl_jax.augment.pixels import Normalize, add_noise, to_float
from ssl_jax.augment.policies import POLICIES
from ssl_jax.augment.presets import IMAGENET_MEAN, IMAGENET_STD
from ssl_jax.augment.rand_augment import LARGEST, draw_rand_augment, rand_augment


class Evaluation(NamedTuple):
    """What `evaluate` does to a picture, for those who do it elsewhere.

    Attributes:
      crop: side of the central square that is resized, relative to the shorter side; None: the whole, stretched to one.
      interpolation: of the resize.
      mean: subtracted by channel, from pixels in 0..1.
      std: divided by.
    """

    crop: float | None
    interpolation: Interpolation
    mean: tuple[float, ...]
    std: tuple[float, ...]


class PhotoView:
    """Views of photographs: random crop, flip, colour jitter, grayscale, Gaussian blur, solarisation, in this order.

    AutoAugment or RandAugment, where it is asked for, comes right after the flip, and random erasing last, after the
    normalisation, as in torchvision's references: what is erased is 0, the mean.

    Methods that compare two views may ask for `train` and `second`, which differ in blur and solarisation where a paper
    makes them differ; those with small crops beside the large ones, for `local_crops` of `local`. What papers use is
    in `ssl_jax.augment.presets`. The four operations of colour jitter come in random order, as in torchvision and in
    SimCLR's code. Crops are smoothed where they shrink, as in PyTorch codes; TensorFlow codes do not.

    Args:
      spec: of the data; `spec.shapes['image']` is used.
      out_size: height and width of views; None: the height of the canvas.
      crop_scale: area of the random crop, relative to the image.
      crop_ratio: its aspect, width over height.
      interpolation: of the crop's resize.
      flip: probability of mirroring.
      auto_augment: the policy, 'v0', 'imagenet' or 'cifar10' (`ssl_jax.augment.policies`); None: no AutoAugment.
      rand_augment: mean magnitude of RandAugment, 0 to 10 (`ssl_jax.augment.rand_augment`); None: no RandAugment.
      rand_deviation: of its magnitudes.
      jitter: probability of colour jitter.
      brightness, contrast, saturation: factors are drawn from 1 - x to 1 + x, not below 0.
      hue: the colour circle is turned by at most so many turns.
      strength: multiplies the four.
      grayscale: probability of dropping colour.
      blur: probability of Gaussian blur.
      blur_radius: of its kernel, in pixels; None: a twentieth of the view's size, so that it is a tenth wide.
      blur_sigma: range of its standard deviation in pixels.
      solarize: probability of inverting pixels of 0.5 and more.
      second_blur: `blur` of the second view; None: as in the first.
      second_solarize: `solarize` of the second view; None: as in the first.
      local_crops: number of small views beside the two large ones.
      local_size: their height and width; None: 3/7 of `out_size` (96 of 224), rounded.
      local_scale: area of their crop.
      local_blur: `blur` of small views; None: as in the first.
      local_solarize: `solarize` of small views; None: as in the first.
      erase: probability of random erasing, in views of all kinds (Zhong et al. 2020).
      erase_scale: area of what is erased, relative to the view.
      erase_ratio: its aspect, height over width.
      eval_crop: side of the central square that is evaluated, relative to the image's shorter side; None: 0.875,
        and the whole image where `out_size` is 32 or less, as in SimCLR's code.
      mean: subtracted by channel (one value, or one a channel); None: 0.
      std: divided by; None: 1.

    Attributes:
      spec: as given.
      train: (key, example) -> one random view of one example, the first of a pair, float32 [S, S, C]. `per_example`
        draws one order of colour jitter a step for the whole batch, as kornia does.
      second: likewise, the second of a pair; `train` itself where they do not differ.
      local: likewise, one small view, float32 [s, s, C].
      shape: (size, size, channels) of a large view.
      local_crops: as given.
      local_shape: (size, size, channels) of a small view.
      evaluation: what `evaluate` does.

    Raises:
      ValueError: a setting is impossible or does not fit the images.
    """

    def __init__(
        self,
        spec: Any,
        *,
        out_size: int | None = None,
        crop_scale: tuple[float, float] = (0.08, 1.0),
        crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: Interpolation = "bicubic",
        flip: float = 0.5,
        auto_augment: str | None = None,
        rand_augment: float | None = None,
        rand_deviation: float = 0.5,
        jitter: float = 0.8,
        brightness: float = 0.8,
        contrast: float = 0.8,
        saturation: float = 0.8,
        hue: float = 0.2,
        strength: float = 1.0,
        grayscale: float = 0.2,
        blur: float = 0.5,
        blur_radius: int | None = None,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        solarize: float = 0.0,
        second_blur: float | None = None,
        second_solarize: float | None = None,
        local_crops: int = 0,
        local_size: int | None = None,
        local_scale: tuple[float, float] = (0.05, 0.14),
        local_blur: float | None = None,
        local_solarize: float | None = None,
        erase: float = 0.0,
        erase_scale: tuple[float, float] = (0.02, 0.33),
        erase_ratio: tuple[float, float] = (0.3, 3.3),
        eval_crop: float | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ):
        self.spec, self.shape = spec, _view_shape(spec, out_size)
        self.local_crops, self.local_shape = local_crops, _local_shape(local_crops, local_size, self.shape)
        _check_crop(crop_scale, crop_ratio, interpolation)
        _check_crop(local_scale, crop_ratio, interpolation, name="local_scale")
        _check_range("blur_sigma", blur_sigma)
        if blur_radius is not None and blur_radius < 1:
            raise ValueError(f"blur_radius {blur_radius} is below 1")
        if auto_augment is not None and auto_augment not in POLICIES:
            raise ValueError(f"auto_augment {auto_augment!r} is not one of {', '.join(POLICIES)}")
        if auto_augment is not None and rand_augment is not None:
            raise ValueError("auto_augment and rand_augment do the same: set one of them to None")
        _check_probabilities(flip=flip, jitter=jitter, grayscale=grayscale, blur=blur, solarize=solarize)
        second_blur, local_blur = (blur if own is None else own for own in (second_blur, local_blur))
        second_solarize, local_solarize = (
            solarize if own is None else own for own in (second_solarize, local_solarize)
        )
        _check_probabilities(second_blur=second_blur, second_solarize=second_solarize)
        _check_probabilities(local_blur=local_blur, local_solarize=local_solarize)
        self._normalize = Normalize(self.shape[-1], mean, std)
        self.evaluation = _evaluation(_eval_crop(eval_crop, self.shape), interpolation, self._normalize)
        draw = functools.partial(
            _PhotoDraw,
            ratio=crop_ratio,
            interpolation=interpolation,
            flip=flip,
            policy=auto_augment,
            rand=_rand(rand_augment, rand_deviation),
            jitter=_jitter(jitter, strength, brightness, contrast, saturation, hue),
            gray=grayscale,
            radius=blur_radius,
            sigma=blur_sigma,
            normalize=self._normalize,
            erasing=_erasing(erase, erase_scale, erase_ratio),
        )
        large = functools.partial(draw, shape=self.shape, scale=crop_scale)
        self.train = large(blur=blur, solarize=solarize)
        alike = (second_blur, second_solarize) == (blur, solarize)
        self.second = self.train if alike else large(blur=second_blur, solarize=second_solarize)
        self.local = draw(shape=self.local_shape, scale=local_scale, blur=local_blur, solarize=local_solarize)

    def evaluate(self, example: dict[str, jax.Array]) -> jax.Array:
        """The central crop of one example, float32 [S, S, C]."""
        return self._normalize(_center(example, self.shape, self.evaluation))

    def displayable(self, images: jax.Array) -> jax.Array:
        """Views [..., S, S, C] with the normalisation undone, in 0..1."""
        return self._normalize.invert(images)

    def normalized(self, pixels: jax.Array) -> jax.Array:
        """The inverse of `displayable`: pixels [..., S, S, C] in 0..1 as views have them."""
        return self._normalize(pixels)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _PhotoDraw:
    """One kind of view of a `PhotoView`, a function of a key and an example: float32 [S, S, C]."""

    shape: tuple[int, int, int]
    scale: tuple[float, float]
    ratio: tuple[float, float]
    interpolation: Interpolation
    flip: float
    policy: str | None
    rand: dict[str, float] | None
    jitter: dict[str, float]
    gray: float
    blur: float
    radius: int | None
    sigma: tuple[float, float]
    solarize: float
    normalize: Normalize
    erasing: dict[str, Any]

    def __call__(self, key: jax.Array, example: dict[str, jax.Array]) -> jax.Array:
        order_key, key = jax.random.split(key)
        return self.for_step(order_key)(key, example)

    def for_step(self, key: jax.Array) -> Callable[[jax.Array, dict[str, jax.Array]], jax.Array]:
        """The same function with the order of colour jitter drawn, which a whole batch may then share."""
        return functools.partial(self._draw, draw_order(key))

    def _draw(self, order, key, example):
        crop_key, jitter_key, blur_key, coin_key = jax.random.split(key, 4)
        coins = jax.random.uniform(coin_key, (3,)) < jnp.array([self.flip, self.gray, self.solarize])
        image = _crop(crop_key, example, self.shape, self.interpolation, coins[0], scale=self.scale, ratio=self.ratio)
        if self.policy is not None:
            # A fifth key (and a sixth below): the other four, and so what they draw, are those of a view without.
            drawn = draw_auto_augment(jax.random.fold_in(key, 4), self.shape[:2], policy=self.policy)
            image = auto_augment(image, drawn, policy=self.policy)
        if self.rand is not None:
            image = rand_augment(image, draw_rand_augment(jax.random.fold_in(key, 4), self.shape[:2], **self.rand))
        if self.jitter["probability"] > 0:
            image = color_jitter(image, draw_color_jitter(jitter_key, **self.jitter, order=order))
        if self.gray > 0:
            image = grayscale(image, coins[1])
        if self.blur > 0:
            sigma = draw_blur(blur_key, sigma=self.sigma, probability=self.blur)
            radius = max(1, self.shape[0] // 20) if self.radius is None else min(self.radius, self.shape[0] - 1)
            image = gaussian_blur(image, sigma, radius=radius)
        if self.solarize > 0:
            image = solarize(image, coins[2])
        image = self.normalize(image)
        if self.erasing["probability"] > 0:
            image = erase(image, draw_erasing(jax.random.fold_in(key, 5), self.shape[:2], **self.erasing))
        return image


class MAEView:
    """The view of masked autoencoders: random crop and flip, no colour; of clips the same for all frames.

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", 2022, appendix A.1 ("pre-training",
    `RandomResizedCrop`), with the authors' code's area of 0.2 to 1, bicubic resize and ImageNet's mean and standard
    deviation.

    Args:
      spec: of the data; `spec.shapes['image']` is used.
      out_size: height and width of views; None: the height of the canvas.
      crop_scale: area of the random crop, relative to the image.
      crop_ratio: its aspect, width over height.
      interpolation: of the crop's resize.
      flip: probability of mirroring.
      eval_crop: side of the central square that is evaluated, relative to the image's shorter side; None: 0.875
        (the authors' 224 of 256), and the whole image where `out_size` is 32 or less.
      mean: subtracted by channel (one value, or one a channel); None: 0. The default is for 3 channels.
      std: divided by; None: 1.

    Attributes:
      gives: 'image', or 'clip' where the data are clips.
      shape: (size, size, channels) of a view, with the frames of a clip before them.

    Raises:
      ValueError: a setting is impossible or does not fit the images.
    """

    def __init__(
        self,
        spec: Any,
        *,
        out_size: int | None = None,
        crop_scale: tuple[float, float] = (0.2, 1.0),
        crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: Interpolation = "bicubic",
        flip: float = 0.5,
        eval_crop: float | None = None,
        mean: tuple[float, ...] | None = IMAGENET_MEAN,
        std: tuple[float, ...] | None = IMAGENET_STD,
    ):
        self.spec, self.shape = spec, _view_shape(spec, out_size, clips=True)
        self.gives = "image" if len(self.shape) == 3 else "clip"
        _check_crop(crop_scale, crop_ratio, interpolation)
        _check_probabilities(flip=flip)
        self._crop = {"scale": crop_scale, "ratio": crop_ratio, "interpolation": interpolation}
        self._flip = flip
        self._normalize = Normalize(self.shape[-1], mean, std)
        self.evaluation = _evaluation(_eval_crop(eval_crop, self.shape), interpolation, self._normalize)

    def train(self, key: jax.Array, example: dict[str, jax.Array]) -> jax.Array:
        """One random view of one example, float32 [S, S, C], or [T, S, S, C]."""
        crop_key, flip_key = jax.random.split(key)
        flip = jax.random.uniform(flip_key) < self._flip
        crop = lambda picture: _crop(crop_key, picture, self.shape, flip=flip, **self._crop)
        return self._normalize(_each_frame(crop, example))

    def evaluate(self, example: dict[str, jax.Array]) -> jax.Array:
        """The central crop of one example, float32 [S, S, C], or [T, S, S, C]."""
        return self._normalize(_each_frame(lambda picture: _center(picture, self.shape, self.evaluation), example))

    def displayable(self, images: jax.Array) -> jax.Array:
        """Views [..., S, S, C] with the normalisation undone, in 0..1."""
        return self._normalize.invert(images)

    def normalized(self, pixels: jax.Array) -> jax.Array:
        """The inverse of `displayable`: pixels [..., S, S, C] in 0..1 as views have them."""
        return self._normalize(pixels)


class AffineView:
    """A view for written characters: rotation, shift, scale, shear and noise; no flip, which would change what it says.

    The numbers are this project's own, chosen on scikit-learn's digits.

    Args:
      spec: of the data; `spec.shapes['image']` is used.
      out_size: height and width of views; None: the height of the canvas.
      degrees: rotation is uniform in -degrees to degrees.
      translate: shift each way is at most this part of the image's side.
      scale: the range of magnification.
      shear: horizontal shear is uniform in -shear to shear, in degrees.
      noise: standard deviation of the Gaussian noise that is added, pixels being 0..1.
      fill: value of what comes in from outside of the image, in 0..1.
      mean: subtracted by channel (one value, or one a channel); None: 0.
      std: divided by; None: 1.

    Raises:
      ValueError: a setting is impossible or does not fit the images.
    """

    def __init__(
        self,
        spec: Any,
        *,
        out_size: int | None = None,
        degrees: float = 20.0,
        translate: float = 0.1,
        scale: tuple[float, float] = (0.8, 1.2),
        shear: float = 15.0,
        noise: float = 0.1,
        fill: float = 0.0,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ):
        self.spec, self.shape = spec, _view_shape(spec, out_size)
        _check_range("scale", scale)
        if not 0 <= shear < 90:
            raise ValueError(f"shear {shear} is not in [0, 90) degrees")
        if noise < 0:
            raise ValueError(f"noise {noise} is negative")
        self._affine = {"degrees": degrees, "translate": translate, "scale": scale, "shear": shear}
        self._noise, self._fill = noise, fill
        self._normalize = Normalize(self.shape[-1], mean, std)
        self.evaluation = _evaluation(None, "bilinear", self._normalize)

    def train(self, key: jax.Array, example: dict[str, jax.Array]) -> jax.Array:
        """One random view of one example, float32 [S, S, C]."""
        affine_key, noise_key = jax.random.split(key)
        parameters = draw_affine(affine_key, **self._affine)
        image = affine(to_float(example["image"]), parameters, out_size=self.shape[0], fill=self._fill)
        return self._normalize(add_noise(noise_key, image, self._noise) if self._noise > 0 else image)

    def evaluate(self, example: dict[str, jax.Array]) -> jax.Array:
        """The whole image of one example, float32 [S, S, C]."""
        return self._normalize(_whole(example, self.shape))

    def displayable(self, images: jax.Array) -> jax.Array:
        """Views [..., S, S, C] with the normalisation undone, in 0..1."""
        return self._normalize.invert(images)

    def normalized(self, pixels: jax.Array) -> jax.Array:
        """The inverse of `displayable`: pixels [..., S, S, C] in 0..1 as views have them."""
        return self._normalize(pixels)


def _each_frame(function, example):
    """`function` of an example that is a picture; of a clip, of each frame, with all else as the clip has it."""
    if example["image"].ndim == 3:
        return function(example)
    return jax.vmap(lambda frame: function(example | {"image": frame}))(example["image"])


def _crop(key, example, shape, interpolation, flip, scale, ratio):
    image, size = to_float(example["image"]), example.get("size")
    box = draw_crop(key, original_size(image, size), scale=scale, ratio=ratio)
    box = on_canvas(box, image, size)
    return crop_and_resize(image, box, out_size=shape[-2], interpolation=interpolation, flip=flip)


def _center(example, shape, evaluation):
    image, size = to_float(example["image"]), example.get("size")
    box = on_canvas(center_box(original_size(image, size), evaluation.crop), image, size)
    return crop_and_resize(image, box, out_size=shape[-2], interpolation=evaluation.interpolation)


def _whole(example, shape):
    """The whole canvas; a crop of everything would be the same, but cost two products where no resize is needed."""
    image = to_float(example["image"])
    if image.shape == shape:
        return image
    box = on_canvas(center_box(jnp.ones(2), 1.0), image, jnp.ones(2))
    return crop_and_resize(image, box, out_size=shape[0], interpolation="bilinear")


def _view_shape(spec, out_size, clips=False):
    if "image" not in spec.shapes:
        raise ValueError("these are views of pictures, and the data has none; set config.data.modality to 'image'")
    *time, height, _, channels = spec.shapes["image"]
    if time and not clips:
        raise ValueError("these are views of pictures, and the data are clips; set config.views.name to 'mae'")
    size = height if out_size is None else out_size
    if size < 1:
        raise ValueError(f"out_size {size} is not positive")
    return (*time, size, size, channels)


def _eval_crop(proportion, shape):
    if proportion is None:
        return 1.0 if shape[-2] <= 32 else 0.875
    if not 0 < proportion <= 1:
        raise ValueError(f"eval_crop {proportion} is not in (0, 1]")
    return proportion


def _evaluation(crop, interpolation, normalize):
    """Numbers as they were given, not as float32 has them."""
    given = lambda array: tuple(float(str(number)) for number in array)
    return Evaluation(crop, interpolation, given(normalize.mean), given(normalize.std))


def _local_shape(count, size, shape):
    if count < 0:
        raise ValueError(f"local_crops {count} is below 0")
    size = round(shape[0] * 3 / 7) if size is None else size
    if size < 1:
        raise ValueError(f"local_size {size} is not positive")
    return (size, size, shape[-1])


def _jitter(probability, strength, brightness, contrast, saturation, hue):
    """The settings of `draw_color_jitter`."""
    amounts = dict(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
    for name, amount in (*amounts.items(), ("strength", strength)):
        if amount < 0:
            raise ValueError(f"{name} {amount} is negative")
    if hue * strength > 0.5:
        raise ValueError(f"hue {hue} times strength {strength} is more than half a turn, 0.5")
    return {**{name: amount * strength for name, amount in amounts.items()}, "probability": probability}


def _rand(magnitude, deviation):
    """The settings of `draw_rand_augment`; None: it is not asked for."""
    if magnitude is not None and not 0 <= magnitude <= LARGEST:
        raise ValueError(f"rand_augment {magnitude} is not in 0 to {LARGEST:g}, nor None")
    if deviation < 0:
        raise ValueError(f"rand_deviation {deviation} is negative")
    return None if magnitude is None else dict(magnitude=magnitude, deviation=deviation)


def _erasing(probability, scale, ratio):
    """The settings of `draw_erasing`."""
    _check_probabilities(erase=probability)
    _check_area("erase_scale", scale)
    _check_range("erase_ratio", ratio)
    return dict(probability=probability, scale=scale, ratio=ratio)


def _check_crop(scale, ratio, interpolation, name="crop_scale"):
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation {interpolation!r} is not one of {', '.join(get_args(Interpolation))}")
    _check_area(name, scale)
    _check_range("crop_ratio", ratio)


def _check_area(name, scale):
    _check_range(name, scale)
    if scale[1] > 1:
        raise ValueError(f"{name} {tuple(scale)} goes beyond 1, the whole image")


def _check_range(name, values):
    if len(values) != 2 or not 0 < values[0] <= values[1]:
        raise ValueError(f"{name} {tuple(values)} is not a range of positive numbers, low before high")


def _check_probabilities(**probabilities):
    for name, value in probabilities.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} {value} is not a probability (0 to 1)")
