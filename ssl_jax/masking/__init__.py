"""What is hidden from a model: pure functions of a key, each for one example (`jax.vmap` them over a batch)."""

from ssl_jax.masking.blocks import block_patches, hidden_first, spread_ratios
from ssl_jax.masking.negatives import sample_negatives
from ssl_jax.masking.patches import count_visible, random_patches
from ssl_jax.masking.skip_gram import SkipGramView, skip_gram_pairs
from ssl_jax.masking.spans import random_spans
from ssl_jax.masking.tokens import bert_tokens
from ssl_jax.masking.views import BertView, TokensView

VIEWS = {"bert": BertView, "skip_gram": SkipGramView, "tokens": TokensView}

__all__ = [
    "VIEWS",
    "BertView",
    "SkipGramView",
    "TokensView",
    "bert_tokens",
    "block_patches",
    "count_visible",
    "hidden_first",
    "random_patches",
    "random_spans",
    "sample_negatives",
    "skip_gram_pairs",
    "spread_ratios",
]
