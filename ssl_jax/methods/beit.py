"""BEiT: Bao et al. 2022, BEiT: BERT Pre-Training of Image Transformers, arXiv:2106.08254."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax import config as configs
from ssl_jax.models import VisualTokenizer, earlier_run, settings, targets
from ssl_jax.models.hiding import blocks_hidden, hidden_states, hide_blocks
from ssl_jax.models.pooling import share_right
from ssl_jax.models.requirements import check_patches

_TRAIN = "train one before with config.method.name 'dvae', by python launch.py --config=FILE --workdir="


class BEiT(nnx.Module):
    """A ViT that sees a mask token in place of hidden blocks, and tells the visual token of each patch in them.

    Tokens are the likeliest ones of a discrete VAE's encoder (`methods/dvae.py`), which an earlier run has trained. It
    sees the same view, resized until it has a cell for each patch: 112 pixels, at 8 a cell, where the ViT has 224 and
    patches of 16.
    """

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        tokenizer: str | None = None,
        mask_ratio: float = 0.4,
        min_block: int = 16,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: a ViT; the official code's has relative positions, and so `interop.beit` needs them.
          view: draws one view of one image (`augment.VIEWS`).
          tokenizer: folder of a run of `dvae` (`evaluate` and `export` take what the run itself keeps of that one's
            config, WORKDIR/tokenizer, in its place); or its config file, where that run is still to be done
            (`models.earlier_run`).
          mask_ratio: share of the patches that is hidden, in blocks (`masking.exact_blocks`; section 2.3: 40 %; the
            official code hides at most 75 of 196).
          min_block: patches of the smallest block that is drawn.
          rngs: source of the parameters.

        Raises:
          ValueError: the backbone is no ViT, nothing would be hidden or visible, or the tokenizer's folder does not
            fit.
        """
        check_patches("beit", backbone)
        settings.at_least(1, min_block=min_block)
        if tokenizer is None:
            raise ValueError(f"tokenizer is None: {_TRAIN}FOLDER, and write that folder here")
        if not hasattr(view, "normalized"):
            raise ValueError("beit reads pictures, whose pixels have bounds: set config.data.modality to 'image'")
        self.backbone, self.view = backbone, view
        self.count, self.min_block = blocks_hidden(backbone, mask_ratio), min_block
        self.tokenizer_folder, self.tokenizer = tokenizer, _network(tokenizer, backbone.channels, rngs)
        start, width = nnx.initializers.truncated_normal(0.02, lower=-1.0, upper=1.0), backbone.features
        self.mask_token = nnx.Param(start(rngs.params(), (width,)))
        make = dict(kernel_init=start, dtype=settings.computation_dtype(backbone.dtype), rngs=rngs)
        self.prediction = nnx.Linear(width, self.tokenizer.vocab_size, **make)

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """One view of each image, what of it is hidden (`models.hiding.hide_some`), and the `tokens` there.

        The tokens are int32 [B, M], in the order of `places`.
        """
        view_key, mask_key = jax.random.split(key)
        smallest = min(self.min_block, self.count)
        images = augment.per_example(self.view.train, view_key, batch)
        views = hide_blocks(self.backbone, mask_key, images, self.count, min_block=smallest)
        return views | {"tokens": jnp.take_along_axis(self.tokens(images), views["places"], axis=1)}

    def tokens(self, images: jax.Array) -> jax.Array:
        """The tokenizer's token of each patch of views [B, S, S, C], int32 [B, N]; no gradient goes through them."""
        side = self.backbone.grid[0] * self.tokenizer.factor
        pixels = self.view.displayable(images)
        if side != images.shape[1]:
            whole = augment.center_box(jnp.asarray(images.shape[1:3]), 1.0)
            pixels = jax.vmap(lambda image: augment.crop_and_resize(image, whole, out_size=side))(pixels)
        return self.tokenizer.tokens(losses.map_pixels(pixels))

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Cross entropy of the hidden patches' tokens (section 2.3), and how many are told."""
        tokens = views["tokens"]
        states = hidden_states(self.backbone, views, self.mask_token[...], train=train, key=key)
        logits = self.prediction(states)
        loss = losses.beit(logits, tokens, jnp.ones(tokens.shape))
        return loss, _token_metrics(jax.lax.stop_gradient(logits), tokens)

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Features of whole images (nothing hidden), pooled as the ViT pools: [B, F]."""
        return self.backbone(jax.vmap(self.view.evaluate)(inputs))


def _network(folder: str, channels: int, rngs: nnx.Rngs) -> VisualTokenizer:
    """The encoder of a run of `dvae`, whose weights are yet to be read, as one that is not trained."""
    config = earlier_run.read_config("tokenizer", folder, _TRAIN + folder)
    method = config.get("method", {"name": None})["name"]
    if method != "dvae":
        raise ValueError(f"tokenizer {folder!r} is no run of dvae; its config.method is {method}")
    given = earlier_run.network_settings("tokenizer", folder, config, "visual_tokenizer")
    network = configs.construct(VisualTokenizer, given, f"config.model of {folder}", rngs=rngs)
    if network.channels != channels:
        raise ValueError(f"tokenizer {folder!r} reads {network.channels} channels, and config.model {channels}")
    return targets.target_copy(network)


def _token_metrics(logits, tokens):
    """Share of the tokens that are told, that which the commonest of this batch would find, and how many are in use."""
    shares = jnp.bincount(tokens.reshape(-1), length=logits.shape[-1]) / tokens.size
    return {
        "token_accuracy": share_right(logits, tokens),
        "token_accuracy_commonest": shares.max(),
        "token_perplexity": jnp.exp(-jnp.sum(jax.scipy.special.xlogy(shares, shares))),
    }
