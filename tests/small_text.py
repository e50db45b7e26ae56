"""Small pieces of text without a data set: what a spec says, a batch, an encoder."""

import types
from typing import Any

import numpy as np
from flax import nnx

from ssl_jax import masking
from ssl_jax.models import TextTransformer

PAD, CLS, SEP, MASK, VOCABULARY, LENGTH = 0, 2, 3, 4, 40, 12


def spec(**shapes: tuple[int, ...]) -> types.SimpleNamespace:
    """Of sequences of `LENGTH` tokens, and more arrays."""
    return types.SimpleNamespace(
        shapes={"tokens": (LENGTH,), "segments": (LENGTH,), **shapes}, vocab_size=VOCABULARY, pad_id=PAD, cls_id=CLS,
        sep_id=SEP, mask_id=MASK, special_ids=(PAD, 1, CLS, SEP, MASK), word_starts=np.arange(VOCABULARY) % 3 > 0,
    )  # fmt: skip


def view(name: str = "bert", described: Any = None, **settings: Any) -> Any:
    """A view of such sequences, or of those that are `described` otherwise."""
    return masking.VIEWS[name](described or spec(), **settings)


def batch(rows: int = 3, seed: int = 0, *, padded: int = 4) -> dict[str, np.ndarray]:
    """[CLS] text [SEP], of which the last row is padded at `padded` places."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, VOCABULARY, (rows, LENGTH)).astype(np.int32)
    tokens[:, 0], tokens[:, -1] = CLS, SEP
    if padded:
        tokens[-1, -padded - 1 :] = [SEP] + [PAD] * padded
    return {"tokens": tokens, "segments": np.zeros_like(tokens), "label": np.arange(rows, dtype=np.int32)}


def encoder(**settings: Any) -> TextTransformer:
    """A small one."""
    sizes = dict(vocab_size=VOCABULARY, max_length=LENGTH, width=16, depth=2, heads=2, mlp_dim=24, dropout=0.0)
    return TextTransformer(**{**sizes, "initializer_range": 0.2, **settings}, rngs=nnx.Rngs(0))
