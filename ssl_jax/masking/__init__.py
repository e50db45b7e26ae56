"""What is hidden from a model: pure functions of a key, each for one example (`jax.vmap` them over a batch)."""

from ssl_jax.masking.blocks import block_patches, exact_blocks, hidden_first, some_places, spread_ratios
from ssl_jax.masking.inverse_block import inverse_block
from ssl_jax.masking.multi_block import Blocks, most_in_target, multi_block
from ssl_jax.masking.negatives import sample_negatives
from ssl_jax.masking.patches import count_visible, random_patches
from ssl_jax.masking.skip_gram import SkipGramView, skip_gram_pairs
from ssl_jax.masking.span_corruption import corrupted_sizes, span_corruption, span_numbers
from ssl_jax.masking.spans import random_spans
from ssl_jax.masking.token_spans import token_spans
from ssl_jax.masking.tokens import bert_tokens
from ssl_jax.masking.tubes import block_tubes
from ssl_jax.masking.units import count_hidden_units, unit_patches
from ssl_jax.masking.views import BertView, SpanCorruptionView, TokenSpansView, TokensView

VIEWS = {
    "bert": BertView,
    "skip_gram": SkipGramView,
    "span_corruption": SpanCorruptionView,
    "token_spans": TokenSpansView,
    "tokens": TokensView,
}

__all__ = [
    "VIEWS",
    "BertView",
    "Blocks",
    "SpanCorruptionView",
    "SkipGramView",
    "TokenSpansView",
    "TokensView",
    "bert_tokens",
    "block_patches",
    "block_tubes",
    "corrupted_sizes",
    "count_hidden_units",
    "count_visible",
    "exact_blocks",
    "hidden_first",
    "inverse_block",
    "most_in_target",
    "multi_block",
    "random_patches",
    "random_spans",
    "sample_negatives",
    "span_corruption",
    "span_numbers",
    "skip_gram_pairs",
    "some_places",
    "spread_ratios",
    "token_spans",
    "unit_patches",
]
