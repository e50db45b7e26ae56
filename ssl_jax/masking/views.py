"""What a text model sees of a sequence, by config name."""

from typing import Any

import jax
import jax.numpy as jnp

from ssl_jax.masking.span_corruption import corrupted_sizes, span_corruption
from ssl_jax.masking.token_spans import token_spans
from ssl_jax.masking.tokens import bert_tokens


class TokensView:
    """Shows sequences as they are.

    Attributes:
      hides: whether tokens are hidden: False.
      told: what is known of two segments: 'next' (whether the second follows), 'order', or None.
      pad_id, special_ids: as in the spec.
    """

    hides = False

    def __init__(self, spec: Any):
        """
        Args:
          spec: of the data.

        Raises:
          ValueError: the data is no text.
        """
        self.told = _told("tokens", spec)
        self.pad_id, self.special_ids = spec.pad_id, tuple(spec.special_ids)


class BertView:
    """Hides tokens of one sequence as BERT does.

    Attributes:
      hides: whether tokens are hidden: True.
      lists: that where they are, and what stood there, comes with them.
      told, pad_id, special_ids: as in `TokensView`.
      mask_id: the token that hides.
    """

    hides = lists = True

    def __init__(
        self,
        spec: Any,
        *,
        rate: float = 0.15,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        max_predictions: int | None = None,
        whole_words: bool = False,
        max_ngram: int = 1,
    ):
        """
        Args:
          spec: of the data: the sequence's length, the vocabulary's size, and the special tokens.
          rate: share of a sequence's ordinary tokens that is predicted.
          mask_share: of these, how many are replaced by [MASK].
          random_share: of these, how many are replaced by a random token.
          max_predictions: the most tokens predicted in one sequence; None: `rate` of the longest, rounded.
          whole_words: choose words with all their pieces, not pieces; as many tokens are predicted.
          max_ngram: the most words (or pieces, without `whole_words`) hidden one after the other (ALBERT: 3).

        Raises:
          ValueError: the data is no text, has no token to hide others with, or a share is impossible.
        """
        self.told = _told("bert", spec)
        _check_mask("bert", spec)
        length = spec.shapes["tokens"][0]
        self.pad_id, self.special_ids, self.mask_id = spec.pad_id, tuple(spec.special_ids), spec.mask_id
        self.settings = dict(
            special_ids=self.special_ids,
            mask_id=spec.mask_id,
            vocab_size=spec.vocab_size,
            max_predictions=max(1, round(rate * length)) if max_predictions is None else max_predictions,
            rate=rate,
            mask_share=mask_share,
            random_share=random_share,
            word_starts=spec.word_starts if whole_words else None,
            max_ngram=max_ngram,
        )
        key = jax.eval_shape(lambda: jax.random.key(0))
        jax.eval_shape(self.train, key, jax.ShapeDtypeStruct((length,), "int32"))

    def train(self, key: jax.Array, tokens: jax.Array) -> dict[str, jax.Array]:
        """`masking.bert_tokens` of one sequence, int32 [S]."""
        return bert_tokens(key, tokens, **self.settings)


class TokenSpansView:
    """Hides spans of the tokens of one sequence, as data2vec does.

    Attributes:
      hides: whether tokens are hidden: True.
      told, pad_id, special_ids: as in `TokensView`.
      mask_id: the token that hides.
    """

    hides = True

    def __init__(self, spec: Any, *, rate: float = 0.35, span: int = 4):
        """
        Args:
          spec: of the data: the sequence's length, and the special tokens.
          rate: share of a sequence's tokens that would be hidden if spans did not overlap.
          span: tokens of a hidden span.

        Raises:
          ValueError: the data is no text, has no token to hide others with, or a setting is impossible.
        """
        self.told = _told("token_spans", spec)
        _check_mask("token_spans", spec)
        self.pad_id, self.special_ids, self.mask_id = spec.pad_id, tuple(spec.special_ids), spec.mask_id
        self.settings = dict(
            special_ids=self.special_ids, pad_id=spec.pad_id, mask_id=spec.mask_id, rate=rate, span=span
        )
        key = jax.eval_shape(lambda: jax.random.key(0))
        jax.eval_shape(self.train, key, jax.ShapeDtypeStruct(spec.shapes["tokens"], "int32"))

    def train(self, key: jax.Array, tokens: jax.Array) -> dict[str, jax.Array]:
        """`tokens` int32 [S], of which `masking.token_spans` has hidden some."""
        return {"tokens": token_spans(key, tokens, **self.settings)}


class SpanCorruptionView:
    """Takes spans out of one sequence as T5 does.

    Attributes:
      hides: whether tokens are hidden: True.
      told, pad_id, special_ids: as in `TokensView`.
      corrupts: that what is read and what is to be written are two sequences.
      marks: the tokens that stand for spans, and the one that ends a sequence.
    """

    hides = corrupts = True

    def __init__(self, spec: Any, *, rate: float = 0.15, mean_span: float = 3.0):
        """
        Args:
          spec: of the data: the sequence's length, and the special tokens, sentinels among them.
          rate: share of a sequence's tokens that is hidden.
          mean_span: tokens of a hidden span on average.

        Raises:
          ValueError: the data is no text, has too few sentinels, or a setting is impossible.
        """
        self.told = _told("span_corruption", spec)
        self.pad_id, self.special_ids, self.sep_id = spec.pad_id, tuple(spec.special_ids), spec.sep_id
        (length,), sentinels = spec.shapes["tokens"], tuple(spec.sentinel_ids)
        self.marks = (*sentinels, spec.sep_id)
        self.settings = dict(
            sentinel_ids=sentinels, end_id=spec.sep_id, pad_id=spec.pad_id, rate=rate, mean_span=mean_span
        )
        enough = dict(self.settings, sentinel_ids=(0,) * length)
        key = jax.eval_shape(lambda: jax.random.key(0))
        row = jax.ShapeDtypeStruct((length,), "int32")
        jax.eval_shape(lambda key, row: span_corruption(key, row, row[0], **enough), key, row)
        spans = corrupted_sizes(length, rate=rate, mean_span=mean_span)[2]
        if len(sentinels) < spans:
            raise ValueError(
                f"name 'span_corruption' hides up to {spans} spans, and the vocabulary has {len(sentinels)} tokens for "
                f"them: set config.data.sentinels to {spans} or more, or config.data.tokenizer to one of T5's"
            )

    def train(self, key: jax.Array, tokens: jax.Array) -> dict[str, jax.Array]:
        """`masking.span_corruption` of one sequence, int32 [S], without the [SEP] that may end it."""
        length = jnp.sum(tokens != self.pad_id)
        length = length - (tokens[jnp.maximum(length - 1, 0)] == self.sep_id)
        return span_corruption(key, tokens, length, **self.settings)


def _told(name: str, spec: Any) -> str | None:
    if "tokens" not in spec.shapes or {"image", "waveform"} & spec.shapes.keys():
        raise ValueError(f"name {name!r} is for tokens, and the data has none; set config.data.modality to 'text'")
    return next((key for key in ("next", "order") if key in spec.shapes), None)


def _check_mask(name: str, spec: Any) -> None:
    if spec.mask_id is None:
        raise ValueError(
            f"name {name!r} puts a token in place of others, and this vocabulary has no [MASK] or <mask>; "
            "set config.data.tokenizer to one that has"
        )
