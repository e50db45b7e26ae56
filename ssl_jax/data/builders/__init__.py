"""TFDS builders of data that pip or apt packages carry: no TensorFlow is needed, and nothing need be downloaded.

They import tensorflow_datasets, so `ssl_jax.data.catalogue` imports them when they are asked for.
"""
