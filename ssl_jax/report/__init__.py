"""What a run looks like: figures, the table of results, and one HTML page that holds everything."""

from ssl_jax.report.embedding import embedding_map
from ssl_jax.report.images import image_grid, nearest_neighbours_images, reconstructions, views
from ssl_jax.report.machine import environment, record_environment
from ssl_jax.report.page import write
from ssl_jax.report.panels import curves
from ssl_jax.report.table import results_table
from ssl_jax.report.text import masked_tokens, nearest_neighbours_text

__all__ = [
    "curves",
    "embedding_map",
    "environment",
    "image_grid",
    "masked_tokens",
    "nearest_neighbours_images",
    "nearest_neighbours_text",
    "reconstructions",
    "record_environment",
    "results_table",
    "views",
    "write",
]
