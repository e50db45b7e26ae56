"""How healthy embeddings are: pure functions of embeddings to a float32 scalar, for held-out examples.

`diagnose` puts them together and says in words whether, and how, a run has collapsed.
"""

from ssl_jax.diagnostics.lidar import lidar
from ssl_jax.diagnostics.spectrum import alpha_req
from ssl_jax.diagnostics.spread import embedding_std, rank_me
from ssl_jax.diagnostics.usage import perplexity
from ssl_jax.diagnostics.verdict import Diagnosis, diagnose
from ssl_jax.losses import alignment, uniformity

__all__ = [
    "Diagnosis",
    "alignment",
    "alpha_req",
    "diagnose",
    "embedding_std",
    "lidar",
    "perplexity",
    "rank_me",
    "uniformity",
]
