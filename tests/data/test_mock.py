import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.data.mock import MockRecords

_FEATURES = {
    "image": tfds.features.Image(shape=(None, None, 3)),
    "grey": tfds.features.Image(shape=(12, 10, 1)),
    "label": tfds.features.ClassLabel(num_classes=5),
    "text": tfds.features.Text(),
    "vector": tfds.features.Tensor(shape=(None, 3), dtype=np.float32),
    "sound": tfds.features.Tensor(shape=(None,), dtype=np.int16),
    "count": tfds.features.Scalar(dtype=np.int32),
}


@pytest.fixture
def records() -> MockRecords:
    return MockRecords(_FEATURES, size=20, split="train")


def test_values_are_those_of_the_features(records: MockRecords):
    for record in records.__getitems__(list(range(20))):
        assert Image.open(io.BytesIO(record["image"])).format == "JPEG"
        assert Image.open(io.BytesIO(record["grey"])).size == (10, 12)
        assert 0 <= record["label"] < 5
        assert len(record["text"].decode().splitlines()) >= 4
        assert record["vector"].shape == (8, 3) and record["vector"].dtype == np.float32
        assert len(record["sound"]) >= 2000 and record["sound"].dtype == np.int16 and record["sound"].max() > 1000
        assert record["count"].dtype == np.int32


def test_records_are_the_same_whenever_they_are_read(records: MockRecords):
    [again] = MockRecords(_FEATURES, size=20, split="train").__getitems__([7])
    assert again["image"] == records.__getitems__([3, 7])[1]["image"]
    assert again["text"] == records.__getitems__([7])[0]["text"]


def test_records_and_splits_differ(records: MockRecords):
    other = MockRecords(_FEATURES, size=20, split="test")
    texts = [source.__getitems__([index])[0]["text"] for source in (records, other) for index in range(20)]
    assert len(set(texts)) == 40


def test_the_end(records: MockRecords):
    assert len(records) == 20
    with pytest.raises(IndexError, match="record 20 of 20"):
        records.__getitems__([20])
