"""CLIP: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, arXiv:2103.00020.

Its authors published the networks (openai/CLIP) and no code that trains them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import losses
from ssl_jax.models import matching


class CLIP(nnx.Module):
    """A picture and what is said of it find each other among those of the batch (section 2.3, figure 3).

    Texts are read from left to right, by a transformer that normalises before each branch, and what stands at their
    end is their feature (section 2.4). Each tower ends in a linear map into a common space, without bias. A ViT of the
    paper has `pooling='cls'`, `positions='learned'`, `pre_norm=True`, `gelu='quick'` and `epsilon=1e-5`.
    """

    least_batch = 2
    collapse_causes = "the batch is too small, or several of its pictures have one text"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        text_width: int = 512,
        text_depth: int = 12,
        text_heads: int = 8,
        text_dropout: float = 0.0,
        joint_width: int = 512,
        temperature: float = 0.07,
        block_size: int | None = None,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: pictures [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws one view of one picture, with the data's `spec` (the paper's: a random crop alone).
          text_width, text_depth, text_heads, text_dropout: of the text's transformer, whose MLPs are 4 times as wide.
          joint_width: of the common space.
          temperature: that similarities are divided by at the start; it is learnt, and kept at 0.01 or above, also
            where the start is lower.
          block_size: rows of a block of `losses.clip`, for memory that grows with the batch; None: all at once.
          rngs: source of the parameters.

        Raises:
          ValueError: the data has no texts, or a setting is impossible.
        """
        spec = matching.described(view, "image", f"name 'clip' {matching.PICTURES_AND_TEXTS}")
        sizes = dict(text_width=text_width, text_depth=text_depth, joint_width=joint_width)
        matching.check_settings(temperature=temperature, block_size=block_size, **sizes)
        self.backbone, self.view, self.block_size = backbone, view, block_size
        self.pad_id, self.sep_id = spec.pad_id, spec.sep_id
        sizes = dict(width=text_width, depth=text_depth, heads=text_heads, dropout=text_dropout)
        form = dict(causal=True, norm_first=True, gelu="quick", epsilon=1e-5)
        self.parts = matching.take_parts(backbone)
        self.text = matching.text_transformer(spec, backbone, **sizes, **form, rngs=rngs)
        self.image_map = nnx.Linear(backbone.features, joint_width, use_bias=False, rngs=rngs)
        self.text_map = nnx.Linear(text_width, joint_width, use_bias=False, rngs=rngs)
        self.log_scale = matching.log_scale(max(temperature, matching.LEAST_TEMPERATURE))

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each picture, and one of its texts: {'image': [B, H, W, C], 'tokens': [B, S]}."""
        return matching.draw_views(self.view, self.sep_id, batch, key)

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Figure 3 (`losses.clip`); outside of training also how many find what belongs to them first of all.

        Where several pictures have one text, any of them is right; the loss takes them for strangers, as in the paper.
        """
        image_key, text_key = jax.random.split(key)
        images = matching.in_parts(self.project_images, views["image"], train=train, key=image_key)
        texts = matching.in_parts(self.project_texts, views["tokens"], train=train, key=text_key)
        temperature = jnp.exp(-self.log_scale[...])
        loss = losses.clip(images, texts, temperature=temperature, block_size=self.block_size)
        found = {} if train else matching.retrieved("image", images, texts, views["tokens"])
        return loss, {"temperature": temperature, **found}

    def follow(self, step: jax.Array) -> None:
        """Keeps the temperature above the least, as the authors do after each update."""
        del step
        matching.keep_temperature(self.log_scale)

    def read(self, tokens: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Features of texts, int32 [B, S], that of the first [SEP] of each: [B, text_width]."""
        attend = tokens != self.pad_id
        states = self.text(tokens, jnp.zeros_like(tokens), attend, train=train, key=key)
        end = jnp.argmax(tokens == self.sep_id, axis=1)
        return jnp.take_along_axis(states, end[:, None, None], axis=1)[:, 0]

    def project_images(self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Pictures, float [B, H, W, C], in the common space: [B, joint_width]."""
        return self.image_map(self.backbone(images, train=train, key=key))

    def project_texts(self, tokens: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Texts, int32 [B, S], in the common space: [B, joint_width]."""
        return self.text_map(self.read(tokens, train=train, key=key))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of pictures as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Pictures in the common space: [B, joint_width]."""
        return self.image_map(self.embed(inputs))
