"""What the methods that match pictures or sounds with texts have in common."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax import augment
from ssl_jax.losses.rows import unit_length
from ssl_jax.models import accumulate, settings
from ssl_jax.models.text_transformer import TextTransformer

LEAST_TEMPERATURE = 0.01  # Radford et al. 2021, section 2.5: the scale is kept below 100
_ROWS = 256  # that are compared with all others at once
PICTURES_AND_TEXTS = (
    "learns from pictures and texts: set config.data.modality to 'image' and config.data.text_keys to the features that"
    " hold the texts, such as ('caption_en',)"
)


def described(view: Any, kind: str, complaint: str) -> Any:
    """The `spec` of data that comes with texts.

    Args:
      view: draws views of it.
      kind: what is described, a key of its examples: 'image' or 'waveform'.
      complaint: what is said of other data.

    Raises:
      ValueError: it is not of that kind, or has no texts.
    """
    spec = getattr(view, "spec", None)
    if spec is None or not {kind, "tokens"} <= spec.shapes.keys():
        raise ValueError(complaint)
    return spec


def check_settings(*, temperature: float, block_size: int | None, **sizes: int) -> None:
    """Raises ValueError for settings that cannot be."""
    settings.at_least(1, **sizes)
    settings.positive(temperature=temperature)
    if block_size is not None:
        settings.at_least(1, block_size=block_size)


def text_transformer(
    spec: Any, backbone: nnx.Module, *, width: int, depth: int, heads: int, dropout: float, rngs: nnx.Rngs, **form: Any
) -> TextTransformer:
    """A reader of the texts of `spec`, without segments; its matrices start with a deviation of 1 / sqrt(width).

    Args:
      spec: of the data.
      backbone: the other tower, whose `dtype`, `scan` and `remat` are those of this one too, if it has them.
      width, depth, heads, dropout: of the blocks, whose MLPs are 4 times as wide.
      rngs: source of the parameters.
      form: other settings of a `TextTransformer`.

    Raises:
      ValueError: sizes that cannot be, as `text_width` and so on.
    """
    words = dict(vocab_size=spec.vocab_size, max_length=spec.shapes["tokens"][-1], segments=0)
    sizes = dict(width=width, depth=depth, heads=heads, mlp_dim=4 * width, dropout=dropout)
    same = ("dtype", "scan", "remat")
    form |= {name: getattr(backbone, name) for name in same if hasattr(backbone, name)}
    with settings.called_after("text", "width", "depth", "heads", "dropout"):
        return TextTransformer(**words, **sizes, initializer_range=width**-0.5, rngs=rngs, **form)


def take_parts(backbone: nnx.Module) -> int:
    """In how many parts both towers run, as wholes: its `accumulate`, which its blocks are told to forget."""
    if not hasattr(backbone, "accumulate"):
        return 1
    backbone.stack.accumulate = 1
    return backbone.accumulate


def in_parts(tower: Callable, rows: jax.Array, *, train: bool, key: jax.Array | None) -> jax.Array:
    """`tower(rows, train=train, key=key)`, embeddings [B, D] of rows [B, ...], in `parts` parts of the batch.

    Args:
      tower: a bound method, of a module that says how many `parts`.
      rows, train, key: what it is given.
    """
    module = tower.__self__
    call = lambda module, rows, key: getattr(module, tower.__name__)(rows, train=train, key=key)
    return accumulate.in_parts(module, call, module.parts, rows, key)


def draw_text(key: jax.Array, tokens: jax.Array, sep_id: int) -> jax.Array:
    """One of the texts of an example, int [K, S] -> [S]; one without words only where all are so.

    Args:
      key: of this example.
      tokens: [CLS] words [SEP], and padding.
      sep_id: of [SEP].
    """
    there = written(tokens, sep_id)
    chosen = jax.random.categorical(key, jnp.where(there | ~there.any(), 0.0, -jnp.inf))
    return tokens[chosen]


def draw_views(view: Any, sep_id: int, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
    """One view of each picture, and one of its texts.

    Args:
      view: of one picture.
      sep_id: token at the end of a text.
      batch: with 'image' [B, ...] and 'tokens' [B, K, S].
      key: of this step.

    Returns:
      'image' [B, H, W, C] and 'tokens' [B, S].
    """
    image_key, text_key = jax.random.split(key)
    text = lambda key, tokens: draw_text(key, tokens, sep_id)
    images = augment.per_example(view.train, image_key, batch)
    return {"image": images, "tokens": augment.per_example(text, text_key, batch["tokens"])}


def written(tokens: jax.Array, sep_id: int) -> jax.Array:
    """Which texts [..., S] have words, bool [...]: their [SEP] does not follow [CLS] at once."""
    return tokens[..., 1] != sep_id


def log_scale(temperature: float) -> nnx.Param:
    """The logarithm of 1 / temperature, to be learnt."""
    return nnx.Param(jnp.float32(-math.log(temperature)))


def keep_temperature(scale: nnx.Param) -> None:
    """Keeps the temperature above the least, in place, as the authors of CLIP do after each update."""
    scale[...] = jnp.minimum(scale[...], -math.log(LEAST_TEMPERATURE))


def retrieved(kind: str, examples: jax.Array, texts: jax.Array, tokens: jax.Array) -> dict[str, jax.Array]:
    """How many examples of the batch have the nearest text for their own, and texts the nearest example.

    Where several have one text, any of them is right.

    Args:
      kind: 'sound' or 'image'.
      examples: [B, D].
      texts: [B, D].
      tokens: int [B, S], of the texts.

    Returns:
      The shares `KIND_to_text` and `text_to_KIND`, and beside each, with `_chance`, what chance would find.
    """
    examples, texts = unit_length(examples), unit_length(texts)
    there, back = f"{kind}_to_text", f"text_to_{kind}"
    right, alike = _nearest_is_right(examples, texts, tokens)
    by_chance = dict.fromkeys((f"{there}_chance", f"{back}_chance"), alike)
    return {there: right, back: _nearest_is_right(texts, examples, tokens)[0], **by_chance}


def _nearest_is_right(asked: jax.Array, others: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How often the nearest of `others` [B, D] has the tokens of what is `asked`, and how many of all have; in rows."""

    def of_row(row):
        vector, text = row
        same = jnp.all(tokens == text[None], axis=-1).astype(jnp.float32)
        return same[jnp.argmax(others @ vector)], jnp.mean(same)

    right, alike = jax.lax.map(of_row, (asked, tokens), batch_size=_ROWS)
    return jnp.mean(right), jnp.mean(alike)
