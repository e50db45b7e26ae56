"""The predictor of I-JEPA (Assran et al. 2023) and V-JEPA (Bardes et al. 2024)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.models import settings
from ssl_jax.models.normalization import layer_norm
from ssl_jax.models.patches import take_patches
from ssl_jax.models.positions import sincos
from ssl_jax.models.transformer import PreNormBlock, Remat, Stack, how_it_runs


class JEPAPredictor(nnx.Module):
    """A narrow transformer that reads a context's patches, and says what an encoder would make of patches elsewhere.

    Fixed sin-cos positions. Matrices and mask token start normal with deviation 0.02, as in the official codes, which
    cut at 100 deviations. These also shrink the last matrices of deep blocks, and then start all linear layers again
    (`src/helper.py`; `app/vjepa/utils.py`), so that nothing of it is left.

    Args:
      features: width of the encoder's states, read and predicted.
      grid: (rows, columns) of patches, or (times, rows, columns), the encoder's `grid`.
      kinds: how many kinds of targets there are, each with a mask token of its own that starts at 0, as in V-JEPA;
        None: one mask token for all.
      width, depth, heads: sizes of the blocks; their MLPs are 4 times as wide.
      scan, remat, accumulate: as for `Stack`.
      dtype: of the computation; parameters are float32.
      rngs: stream `params`.

    Raises:
      ValueError: a `width` that is no multiple of `heads`, or of 4 where patches are of pictures; a dtype that is not
        float32 or bfloat16; or what `Stack` refuses.
    """

    def __init__(
        self,
        features: int,
        *,
        grid: tuple[int, ...],
        kinds: int | None = None,
        width: int,
        depth: int,
        heads: int,
        scan: bool = False,
        remat: Remat = False,
        accumulate: int = 1,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        sincos(grid, width)  # so that an impossible width is refused now
        self.grid, self.width = tuple(grid), width
        start = nnx.initializers.normal(0.02)
        make = dict(dtype=settings.computation_dtype(dtype), kernel_init=start, rngs=rngs)
        self.embedding = nnx.Linear(features, width, **make)
        token = start(rngs.params(), (width,)) if kinds is None else jnp.zeros((kinds, width))
        self.mask_token = nnx.Param(token)

        def block(rngs):
            return PreNormBlock(width, heads=heads, mlp_dim=4 * width, kernel_init=start, dtype=dtype, rngs=rngs)

        self.stack = Stack(block, depth=depth, scan=scan, remat=remat, accumulate=accumulate, rngs=rngs)
        self.norm = layer_norm(width, epsilon=1e-6, rngs=rngs)
        self.prediction = nnx.Linear(width, features, **make)

    def __call__(
        self,
        context: jax.Array,
        visible: jax.Array,
        seen: jax.Array,
        targets: jax.Array,
        counted: jax.Array,
        kind: int | None = None,
    ) -> jax.Array:
        """Predicts each target block by itself.

        Args:
          context: states of the visible patches, [B, V, features].
          visible: their numbers, int [B, V].
          seen: which of them count, bool [B, V].
          targets: numbers of the patches of K blocks, int [B, K, T].
          counted: which of them count, bool [B, K, T].
          kind: which kind they all are of, where there are several.

        Returns:
          [B, K, T, features]; of no meaning where a patch does not count.
        """
        batch, blocks, most = targets.shape
        positions = jnp.asarray(sincos(self.grid, self.width))
        x = self.embedding(context)
        x = x + positions[visible].astype(x.dtype)
        token = self.mask_token[...] if kind is None else self.mask_token[kind]
        wanted = token[None, None, :] + positions[targets.reshape(batch * blocks, most)]
        each = lambda array: jnp.repeat(array, blocks, axis=0)
        tokens = jnp.concatenate([each(x), wanted.astype(x.dtype)], axis=1)
        mask = jnp.concatenate([each(seen), counted.reshape(batch * blocks, most)], axis=1)
        found = self.norm(self.stack(tokens, mask))[:, x.shape[1] :].astype(x.dtype)
        return self.prediction(found).reshape(batch, blocks, most, -1)


def predictor_beside(backbone: nnx.Module, *, rngs: nnx.Rngs, **sizes: int) -> JEPAPredictor:
    """The predictor of a ViT's states, which runs as that one does.

    Args:
      backbone: the ViT.
      rngs: source of the parameters.
      sizes: `width`, `depth`, `heads` and `kinds` of the `JEPAPredictor`.

    Raises:
      ValueError: sizes that cannot be, as `predictor_width` and so on.
    """
    with settings.called_after("predictor", "width", "depth", "heads"):
        return JEPAPredictor(backbone.features, grid=backbone.grid, **sizes, **how_it_runs(backbone), rngs=rngs)


def predict_blocks(
    encoder: nnx.Module,
    predictor: JEPAPredictor,
    embedded: jax.Array,
    truths: jax.Array,
    blocks: Mapping[str, jax.Array],
    *,
    kind: int | None = None,
    train: bool,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What is predicted of target blocks from the context, and what is true.

    Args:
      encoder: a ViT, which sees the context alone.
      predictor: is told where each block is.
      embedded: all patches, [B, N, F], as `encoder.embed_patches` gives them.
      truths: the target encoder's states of all patches, [B, N, F].
      blocks: 'visible', 'seen', 'targets' and 'counted', [B, ...], as in `masking.Blocks`.
      kind: of the blocks, where the predictor tells several apart.
      train: drop.
      key: of the drawing.

    Returns:
      Predictions and truths, [B * K, T, F], and which of them count, bool [B * K, T]: each block is a row of its own.
    """
    visible = take_patches(embedded, blocks["visible"])
    context = encoder.encode(visible, mask=blocks["seen"], train=train, key=key)
    places = (blocks[name] for name in ("visible", "seen", "targets", "counted"))
    predicted = predictor(context, *places, kind=kind)
    truths = jax.vmap(take_patches, (None, 1), 1)(truths, blocks["targets"])
    rows = lambda x: x.reshape(-1, *x.shape[2:])
    return rows(predicted), rows(truths), rows(blocks["counted"])
