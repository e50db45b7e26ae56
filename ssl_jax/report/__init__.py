"""What a run looks like, or all runs of a sweep: figures, tables, and one HTML page that holds everything."""

from ssl_jax.report.embedding import embedding_map
from ssl_jax.report.images import film, image_grid, nearest_neighbours_images, reconstructions, views
from ssl_jax.report.machine import environment, record_environment
from ssl_jax.report.page import write
from ssl_jax.report.panels import curves
from ssl_jax.report.sweep import is_sweep
from ssl_jax.report.sweep_page import write_sweep
from ssl_jax.report.table import results_table
from ssl_jax.report.text import masked_tokens, nearest_neighbours_text

__all__ = [
    "curves",
    "embedding_map",
    "environment",
    "film",
    "image_grid",
    "is_sweep",
    "masked_tokens",
    "nearest_neighbours_images",
    "nearest_neighbours_text",
    "reconstructions",
    "record_environment",
    "results_table",
    "views",
    "write",
    "write_sweep",
]
