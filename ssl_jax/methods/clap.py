"""CLAP: Elizalde et al. 2022, CLAP: Learning Audio Concepts From Natural Language Supervision, arXiv:2206.04769."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import matching


class CLAP(nnx.Module):
    """A sound and what is said of it (here: in it) find each other among those of the batch (section 2.1, equation 5).

    Each tower ends in a linear map into a common space (equation 2), without biases, as in CLIP. The paper's towers are
    pretrained; here both start from nothing.
    """

    least_batch = 2
    collapse_causes = "the batch is too small, or several of its sounds have one text"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        text_width: int = 768,
        text_depth: int = 12,
        text_heads: int = 12,
        text_dropout: float = 0.1,
        joint_width: int = 1024,
        temperature: float = 0.007,
        block_size: int | None = None,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: spectrograms [B, frames, mels, 1] -> features [B, F]; has `features` = F.
          view: draws one view of one sound, with the data's `spec` (`augment.VIEWS['log_mel']`).
          text_width, text_depth, text_heads, text_dropout: of the text's transformer, whose first token is the text's
            feature; its MLPs are 4 times as wide.
          joint_width: of the common space (1024 in the paper).
          temperature: that similarities are divided by at the start; it is learnt, and kept at 0.01 or above,
            also where the start is lower.
          block_size: rows of a block of `losses.clip`, for memory that grows with the batch; None: all at once.
          rngs: source of the parameters.

        Raises:
          ValueError: the data has no text, or a setting is impossible.
        """
        spec = matching.described(
            view,
            "waveform",
            "name 'clap' learns from sounds and texts: set config.data.text_key to the feature that holds the text,"
            " and config.views.name to 'log_mel'",
        )
        sizes = dict(text_width=text_width, text_depth=text_depth, joint_width=joint_width)
        matching.check_settings(temperature=temperature, block_size=block_size, **sizes)
        self.backbone, self.view, self.block_size, self.pad_id = backbone, view, block_size, spec.pad_id
        sizes = dict(width=text_width, depth=text_depth, heads=text_heads, dropout=text_dropout)
        self.parts = matching.take_parts(backbone)
        self.text = matching.text_transformer(spec, backbone, **sizes, rngs=rngs)
        self.sound_map = nnx.Linear(backbone.features, joint_width, use_bias=False, rngs=rngs)
        self.text_map = nnx.Linear(text_width, joint_width, use_bias=False, rngs=rngs)
        self.log_scale = matching.log_scale(max(temperature, matching.LEAST_TEMPERATURE))

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each sound, and the text as it is: {'image': [B, frames, mels, 1], 'tokens': [B, S]}."""
        return {"image": augment.per_example(self.view.train, key, batch), "tokens": batch["tokens"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Equation 5 (`losses.clip`); outside of training also how many find what belongs to them first of all.

        Where several sounds have one text, any of them is right; the loss takes them for strangers, as in the paper.
        """
        sound_key, text_key = jax.random.split(key)
        sounds = matching.in_parts(self.project_sounds, views["image"], train=train, key=sound_key)
        texts = matching.in_parts(self.project_texts, views["tokens"], train=train, key=text_key)
        temperature = jnp.exp(-self.log_scale[...])
        loss = losses.clip(sounds, texts, temperature=temperature, block_size=self.block_size)
        found = {} if train else matching.retrieved("sound", sounds, texts, views["tokens"])
        return loss, {"temperature": temperature, **found}

    def follow(self, step: jax.Array) -> None:
        """Keeps the temperature above the least, as the authors of CLIP do after each update."""
        del step
        matching.keep_temperature(self.log_scale)

    def read(self, tokens: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Features of texts, int32 [B, S]: [B, text_width]."""
        attend = tokens != self.pad_id
        return self.text(tokens, jnp.zeros_like(tokens), attend, train=train, key=key)[:, 0]

    def project_sounds(self, sounds: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Sounds, float [B, frames, mels, 1], in the common space: [B, joint_width]."""
        return self.sound_map(self.backbone(sounds, train=train, key=key))

    def project_texts(self, tokens: jax.Array, *, train: bool = False, key: jax.Array | None = None) -> jax.Array:
        """Texts, int32 [B, S], in the common space: [B, joint_width]."""
        return self.text_map(self.read(tokens, train=train, key=key))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of the backbone of sounds as they are: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))

    def project(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Sounds in the common space, for the diagnosis of collapse: [B, joint_width]."""
        return self.sound_map(self.embed(inputs))
