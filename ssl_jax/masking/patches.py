"""Which patches of an image are hidden."""

import jax
import jax.numpy as jnp


def count_visible(num_patches: int, ratio: float) -> int:
    """How many of `num_patches` stay visible when `ratio` of them are hidden, rounded down.

    Raises:
      ValueError: none would stay visible, or `ratio` is not in [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio {ratio} of hidden patches is not in [0, 1)")
    visible = int(num_patches * (1 - ratio) + 1e-6)  # 10 * (1 - 0.9) is a little less than 1
    if visible < 1:
        raise ValueError(f"ratio {ratio} leaves none of {num_patches} patches visible")
    return visible


def random_patches(key: jax.Array, num_patches: int, *, ratio: float = 0.75) -> dict[str, jax.Array]:
    """Hides a uniformly random subset of patches, of a fixed size.

    Source: He et al., "Masked Autoencoders Are Scalable Vision Learners", 2022, section 3 and Table 2 (75%).

    Args:
      key: of this example.
      num_patches: N.
      ratio: the part that is hidden; `count_visible(N, ratio)` patches stay.

    Returns:
      `visible` int32 [n] and `hidden` int32 [N - n]: patch numbers, in random order; `restore` int32 [N]: where
      patch i stands in the concatenation of visible and hidden ones, so that `concatenation[restore]` is in order;
      `mask` float32 [N]: 1 where hidden.

    Raises:
      ValueError: see `count_visible`.
    """
    visible = count_visible(num_patches, ratio)
    order = jax.random.permutation(key, jnp.arange(num_patches, dtype=jnp.int32))
    restore = jnp.zeros_like(order).at[order].set(jnp.arange(num_patches, dtype=jnp.int32))
    mask = (restore >= visible).astype(jnp.float32)
    return {"visible": order[:visible], "hidden": order[visible:], "restore": restore, "mask": mask}
