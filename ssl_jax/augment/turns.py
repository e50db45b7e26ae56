"""Rotation by quarter turns, which moves pixels without resampling them."""

import jax
import jax.numpy as jnp


def draw_quarter_turn(key: jax.Array) -> jax.Array:
    """How many quarter turns, 0 to 3 with equal probability: an int32 scalar."""
    return jax.random.randint(key, (), 0, 4, dtype=jnp.int32)


def quarter_turn(image: jax.Array, turns: jax.Array | int) -> jax.Array:
    """The image turned by `turns` times 90 degrees, counterclockwise as one looks at it.

    Args:
      image: [S, S, C], any dtype.
      turns: an int scalar, 0 to 3.

    Returns:
      [S, S, C]. `turns` is also the label that `losses.rotation` asks for.

    Raises:
      ValueError: the image is not square.
    """
    images, _ = quarter_turns(image)
    return images[turns]


def quarter_turns(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """All four rotations of an image, with their labels.

    Source: Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", 2018, section 3: a
    batch holds all four copies of each image, which the paper finds better than one copy. The direction is that of
    the authors' code.

    Args:
      image: [S, S, C], any dtype.

    Returns:
      [4, S, S, C], turned by 0, 90, 180 and 270 degrees counterclockwise, and int32 [4]: 0, 1, 2, 3.

    Raises:
      ValueError: the image is not square.
    """
    if image.ndim != 3 or image.shape[0] != image.shape[1]:
        raise ValueError(f"image must be square, [S, S, C], to be turned by 90 degrees, not {image.shape}")
    return jnp.stack([jnp.rot90(image, turns) for turns in range(4)]), jnp.arange(4, dtype=jnp.int32)
