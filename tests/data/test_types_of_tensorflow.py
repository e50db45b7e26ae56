"""TFDS's features and builders without TensorFlow."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax.data import catalogue, types_of_tensorflow

without = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")


@without
def test_audio_features_are_made_and_read_without_tensorflow():
    with pytest.raises(ImportError):
        tfds.features.Audio(sample_rate=16000)
    with types_of_tensorflow.stood_in_for():
        features = tfds.features.FeaturesDict({"audio": tfds.features.Audio(sample_rate=16000)})
    with pytest.raises(ImportError):  # nothing stays changed
        tfds.features.Audio(sample_rate=16000)
    samples = np.array([3, -32768, 32767], np.int64)
    read = features.deserialize_example_np(features.serialize_example(features.encode_example({"audio": samples})))
    np.testing.assert_array_equal(read["audio"], samples)


@without
def test_a_builder_may_call_its_numbers_by_names_of_tensorflow(tmp_path: Path):
    features = catalogue.find("laion400m/images", str(tmp_path)).info.features
    assert features["original_width"].np_dtype == np.int32 and features["similarity"].np_dtype == np.float64
    assert isinstance(features["caption"], tfds.features.Text) and features["image"].shape == (None, None, 3)


@without
def test_the_first_of_two_that_leaves_takes_nothing_from_the_other():
    """Two threads may open a set at the same time."""
    first, second = types_of_tensorflow.stood_in_for(), types_of_tensorflow.stood_in_for()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    tfds.features.Audio(sample_rate=16000)
    second.__exit__(None, None, None)
    with pytest.raises(ImportError):
        tfds.features.Audio(sample_rate=16000)
