"""SigLIP: Zhai et al. 2023, Sigmoid Loss for Language Image Pre-Training, arXiv:2303.15343."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import losses
from ssl_jax.models import heads, matching, settings


class SigLIP(nnx.Module):
    """Of each picture and each text of the batch: do they belong together? (section 3.2)

    As in the authors' code (big_vision), a ViT's patches are pooled by attention, and of a text that is read both ways,
    padding too, the last token's state is brought to as many features by a linear layer. A ViT of theirs has
    `pooling='mean'`, `positions='learned'` and `gelu='tanh'`. Known difference: the last token is [PAD] where a text is
    short, and [SEP] where it was cut; there texts are filled up with their end token, so that it always is that one.
    """

    least_batch = 2
    collapse_causes = "the batch is too small, or several of its pictures have one text"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        text_width: int = 768,
        text_depth: int = 12,
        text_heads: int = 12,
        text_dropout: float = 0.0,
        temperature: float = 0.1,
        bias: float = -10.0,
        block_size: int | None = None,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT without a class token.
          view: draws one view of one picture, with the data's `spec`.
          text_width, text_depth, text_heads, text_dropout: of the text's transformer, whose MLPs are 4 times as wide.
          temperature: that similarities are divided by at the start; it is learnt (t' = log 10 in the paper).
          bias: what is added to them at the start; it is learnt.
          block_size: rows of a block of `losses.siglip`, for memory that grows with the batch; None: all at once.
          rngs: source of the parameters.

        Raises:
          ValueError: the data has no texts, the backbone is no such ViT, or a setting is impossible.
        """
        settings.network("siglip", backbone, "embed_patches", "vit")
        if backbone.class_token is not None:
            raise ValueError("siglip pools patches by attention alone: set config.model.pooling to 'mean'")
        spec = matching.described(view, "image", f"name 'siglip' {matching.PICTURES_AND_TEXTS}")
        sizes = dict(text_width=text_width, text_depth=text_depth)
        matching.check_settings(temperature=temperature, block_size=block_size, **sizes)
        self.backbone, self.view, self.block_size, self.sep_id = backbone, view, block_size, spec.sep_id
        sizes = dict(width=text_width, depth=text_depth, heads=text_heads, dropout=text_dropout)
        form = dict(norm_first=True, gelu="tanh", epsilon=1e-6)
        self.parts = matching.take_parts(backbone)
        self.text = matching.text_transformer(spec, backbone, **sizes, **form, rngs=rngs)
        shape = dict(heads=backbone.heads, mlp_dim=backbone.mlp_dim, gelu=backbone.gelu, epsilon=backbone.epsilon)
        self.pool = heads.AttentionPool(backbone.features, **shape, dtype=backbone.dtype, rngs=rngs)
        self.text_map = nnx.Linear(text_width, backbone.features, rngs=rngs)
        self.log_scale, self.bias = matching.log_scale(temperature), nnx.Param(jnp.float32(bias))

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each picture, and one of its texts: {'image': [B, H, W, C], 'tokens': [B, S]}."""
        return matching.draw_views(self.view, self.sep_id, batch, key)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Algorithm 1 (`losses.siglip`); outside of training also how many find what belongs to them first of all.

        Where several pictures have one text, any of them is right; the loss takes them for strangers, as in the paper.
        """
        image_key, text_key = jax.random.split(key)
        images = matching.in_parts(self.look, views["image"], train=train, key=image_key)
        texts = matching.in_parts(self.project_texts, views["tokens"], train=train, key=text_key)
        learnt = dict(temperature=jnp.exp(-self.log_scale[...]), bias=self.bias[...])
        loss = losses.siglip(images, texts, **learnt, block_size=self.block_size)
        found = {} if train else matching.retrieved("image", images, texts, views["tokens"])
        return loss, {**learnt, **found}

    def look(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Features of pictures, float [B, H, W, C], which are in the common space: [B, F]."""
        return self.pool(self.backbone.tokens(images, train=train, key=key)[1])

    def project_texts(self, tokens: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Texts, int32 [B, S], in the common space: [B, F]."""
        seen = jnp.ones(tokens.shape, bool)
        return self.text_map(self.text(tokens, jnp.zeros_like(tokens), seen, train=train, key=key)[:, -1])

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of pictures as they are, pooled by attention: [B, F]."""
        return self.look(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same: features are in the common space."""
        return self.embed(inputs)
