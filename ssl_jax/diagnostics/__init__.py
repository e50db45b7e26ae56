"""How healthy embeddings are: pure functions of embeddings to a float32 scalar, for held-out examples."""

from ssl_jax.diagnostics.pairs import alignment, uniformity
from ssl_jax.diagnostics.spread import embedding_std, rank_me

__all__ = ["alignment", "embedding_std", "rank_me", "uniformity"]
