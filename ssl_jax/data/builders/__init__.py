"""TFDS builders of data that pip packages carry: nothing is downloaded, and no TensorFlow is needed.

They import tensorflow_datasets, so `ssl_jax.data.catalogue` imports them when they are asked for.
"""
