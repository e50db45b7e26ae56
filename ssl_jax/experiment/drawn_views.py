"""LiDAR of a run: features of several random views of each of some held-out images."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

EXAMPLES, VIEWS = 1000, 10  # images, and views of each, that LiDAR is measured on at most


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A view maker whose view for evaluations is one for training, drawn by the example's `key`."""

    view: Any

    def evaluate(self, example: dict[str, jax.Array]) -> jax.Array:
        """One random view of one example."""
        return self.view.train(example["key"], example)

    def displayable(self, images: jax.Array) -> jax.Array:
        """As that of the view maker."""
        return self.view.displayable(images)


def can_draw(method: nnx.Module) -> bool:
    """Whether the method reads images, of which views can be drawn."""
    return hasattr(method.view, "train") and hasattr(method.view, "evaluate")


def features_of_views(method: nnx.Module, batch: dict[str, jax.Array], key: jax.Array) -> jax.Array:
    """Features of `VIEWS` training views of each example.

    Args:
      method: its `view` is replaced.
      batch: arrays [B, ...]; `row` int32 [B] numbers the examples, so that each has its own views in any batch.
      key: of all views.

    Returns:
      [B, VIEWS, F].
    """
    method.view = Drawn(method.view)
    keys = jax.vmap(lambda row: jax.random.split(jax.random.fold_in(key, row), VIEWS))(batch["row"])
    one = lambda number: method.embed(batch | {"key": keys[:, number]})
    return jnp.moveaxis(jax.lax.map(one, jnp.arange(VIEWS)), 0, 1)
