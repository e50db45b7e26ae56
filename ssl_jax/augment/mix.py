"""Mixed images with mixed labels: mixup and CutMix, of a batch.

    weights = per_example(lambda key, _: draw_mixup(key, alpha=0.2), key, images)
    images, targets = mixup(images, targets, weights)

`mix_batch` does this, and the same with CutMix. Each row is mixed with the one before it (the first with the last), as
in torchvision: batches come shuffled, and on many devices a shift by one row sends far less than the permutation that
the authors' codes draw (which may pair a row with itself). The authors' codes and torchvision draw one number a batch;
here each row has its own, which leaves each row's distribution as it is.
"""

import jax
import jax.numpy as jnp

from ssl_jax.augment.crop import Box
from ssl_jax.augment.erase import inside
from ssl_jax.augment.examples import per_example


def mix_batch(
    key: jax.Array, images: jax.Array, targets: jax.Array, *, mixup_alpha: float = 0.0, cutmix_alpha: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Each row by mixup, or by CutMix; where both are on, by one of them, as a fair coin for each row says.

    So does timm's `Mixup` with mode 'elem'. Its default and DeiT's, and torchvision's references, toss one coin a
    batch.

    Args:
      key: of this step.
      images: float [B, H, W, C], or clips, [B, T, H, W, C].
      targets: probabilities of classes (one-hot labels, say), float [B, K].
      mixup_alpha: see `draw_mixup`; 0: no mixup.
      cutmix_alpha: see `draw_cutmix`; 0: no CutMix.

    Returns:
      Images and targets, as given.
    """
    size, mixed = images.shape[-3:-1], []
    mixup_key, cutmix_key, coin_key = jax.random.split(key, 3)
    if mixup_alpha > 0:
        weights = per_example(lambda key, _: draw_mixup(key, alpha=mixup_alpha), mixup_key, targets)
        mixed.append(mixup(images, targets, weights))
    if cutmix_alpha > 0:
        boxes = per_example(lambda key, _: draw_cutmix(key, size, alpha=cutmix_alpha), cutmix_key, targets)
        mixed.append(cutmix(images, targets, boxes))
    if len(mixed) < 2:
        return mixed[0] if mixed else (images, targets)
    coins = per_example(lambda key, _: jax.random.bernoulli(key), coin_key, targets)
    return jax.tree.map(lambda one, other: jnp.where(_beside(coins, one), one, other), *mixed)


def draw_mixup(key: jax.Array, *, alpha: float) -> jax.Array:
    """A row's own weight, lambda in the paper: from Beta(alpha, alpha), a scalar.

    Source: Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization, arXiv:1710.09412, section 2.

    Args:
      key: of this row.
      alpha: positive; small values leave most images nearly unmixed.
    """
    return jax.random.beta(key, alpha, alpha)


def mixup(images: jax.Array, targets: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`weight * own + (1 - weight) * other`, of images and of targets.

    Args:
      images: float [B, H, W, C].
      targets: probabilities of classes (one-hot labels, say), float [B, K].
      weights: each row's own, [B], from `draw_mixup`.

    Returns:
      Images and targets, as given.
    """
    return _blend(images, weights), _blend(targets, weights)


def draw_cutmix(key: jax.Array, size: tuple[int, int], *, alpha: float) -> Box:
    """The rectangle that comes from the other image, of the image's aspect and a share 1 - Beta(alpha, alpha) of it.

    Its centre is uniform, and what would lie outside of the image is cut off, as in the authors' code (`rand_bbox`) and
    torchvision.

    Source: Yun et al. 2019, CutMix, arXiv:1905.04899, equation 2; alpha 1 there.

    Args:
      key: of this row.
      size: height and width of the images.
      alpha: positive.
    """
    share_key, row_key, column_key = jax.random.split(key, 3)
    half = jnp.sqrt(1 - jax.random.beta(share_key, alpha, alpha)) / 2
    top, height = _cut(jax.random.randint(row_key, (), 0, size[0]), jnp.floor(half * size[0]), size[0])
    left, width = _cut(jax.random.randint(column_key, (), 0, size[1]), jnp.floor(half * size[1]), size[1])
    return Box(top, left, height, width)


def cutmix(images: jax.Array, targets: jax.Array, boxes: Box) -> tuple[jax.Array, jax.Array]:
    """Pixels in the box come from the other image, and that share of the targets from its targets.

    Args:
      images: [B, H, W, C], or clips, [B, T, H, W, C], of which all frames have one box.
      targets: probabilities of classes (one-hot labels, say), float [B, K].
      boxes: one a row, [B] each, from `draw_cutmix`.

    Returns:
      Images and targets, as given.
    """
    size = images.shape[-3:-1]
    swapped = jax.vmap(lambda box: inside(box, size))(boxes)[..., None]
    swapped = swapped if images.ndim == 4 else swapped[:, None]
    weights = 1 - boxes.height * boxes.width / (size[0] * size[1])
    return jnp.where(swapped, _others(images), images), _blend(targets, weights)


def _cut(center, half, length):
    """Start and length of `center` - half to `center` + half, as far as it lies in 0 to `length`."""
    start = jnp.maximum(center - half, 0)
    return start, jnp.minimum(center + half, length) - start


def _others(rows):
    return jnp.roll(rows, 1, axis=0)


def _blend(rows, weights):
    weights = _beside(weights, rows)
    return weights * rows + (1 - weights) * _others(rows)


def _beside(numbers, rows):
    """One number a row, [B], to be broadcast along it."""
    return numbers.reshape(-1, *[1] * (rows.ndim - 1))
