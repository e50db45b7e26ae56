"""Jigsaw puzzles: Noroozi and Favaro 2016, Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles,
arXiv:1603.09246."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import settings
from ssl_jax.models.pooling import share_right
from ssl_jax.models.requirements import check_any_patches


class Jigsaw(nnx.Module):
    """Tells in which of a set of orders the tiles of an image are shown, each tile through one network (section 3).

    Tiles begin anywhere in their cells, and each is normalised by its own mean and deviation, so that neither edges nor
    brightness tell where it was. The paper also makes three pictures of ten grey, and shifts their colours against each
    other by up to two pixels: the first is the view's `grayscale`, the second is not here.
    """

    collapse_causes = "the learning rate is too high, or there are too many orders for so few tiles"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        tiles: int = 9,
        tile_size: int = 64,
        orders: int = 1000,
        tile_features: int = 512,
        hidden: int = 4096,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: tiles [B, tile_size, tile_size, C] -> features [B, F]; has `features` = F. A vit's `image_size` is
            that of whole images, which it embeds; positions of tiles are resized.
          view: draws one view of one image (`augment.VIEWS`), from which tiles are cut.
          tiles: how many, a square number of at most 9.
          tile_size: height and width of a tile in pixels; cells are those of the view over the tiles in a row.
          orders: P, how many orders there are.
          tile_features: width to which the features of each tile are brought (the paper's fc6).
          hidden: width of the layer that sees all tiles (the paper's fc7).
          rngs: source of the parameters.

        Raises:
          ValueError: the number of tiles is no square, tiles do not fit their cells or the patches, or there are not
            so many orders.
        """
        side = math.isqrt(settings.one_of("tiles", tiles, (4, 9)))
        self.cell = min(view.shape[:2]) // side
        if not 1 <= tile_size <= self.cell:
            raise ValueError(f"tile_size {tile_size} is not between 1 and the cells' size {self.cell}")
        settings.divisible("tile_size", tile_size, "model.patch_size", getattr(backbone, "patch_size", 1))
        settings.at_least(2, orders=orders)
        settings.at_least(1, tile_features=tile_features, hidden=hidden)
        check_any_patches("jigsaw", backbone)
        self.backbone, self.view, self.tile_size = backbone, view, tile_size
        with settings.called(count="orders"):
            self.orders = nnx.static(_frozen(augment.hamming_permutations(orders, tiles=tiles)))
        self.of_tile = nnx.Linear(backbone.features, tile_features, rngs=rngs)
        self.of_all = nnx.Linear(tiles * tile_features, hidden, rngs=rngs)
        self.classifier = nnx.Linear(hidden, orders, rngs=rngs)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Tiles of each image in an order, normalised: 'image' [B, T, s, s, C]; its number, 'order' int32 [B]."""
        tiles, order = augment.per_example(self._puzzle, key, batch)
        return {"image": tiles, "order": order}

    def _puzzle(self, key, example):
        view_key, puzzle_key = jax.random.split(key)
        sizes = dict(cell_size=self.cell, tile_size=self.tile_size)
        orders = jnp.asarray(self.orders)
        puzzle = augment.draw_jigsaw(puzzle_key, permutations=len(orders), tiles=orders.shape[1], **sizes)
        tiles = augment.jigsaw_tiles(self.view.train(view_key, example), puzzle, orders, tile_size=self.tile_size)
        mean, deviation = (of(tiles, axis=(1, 2, 3), keepdims=True) for of in (jnp.mean, jnp.std))
        return (tiles - mean) / (deviation + 1e-5), puzzle.permutation

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross entropy of the order, and the share of orders that are told right."""
        features = augment.each_view(lambda tiles: self.backbone(tiles, train=train, key=key), views["image"])
        each = jax.nn.relu(self.of_tile(features.astype(jnp.float32)))
        logits = self.classifier(jax.nn.relu(self.of_all(each.reshape(len(each), -1))))
        return losses.jigsaw(logits, views["order"]), {"jigsaw_accuracy": share_right(logits, views["order"])}

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of whole images as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))


def _frozen(array):
    return tuple(map(tuple, array.tolist()))
