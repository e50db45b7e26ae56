import numpy as np
import pytest

from ssl_jax import data
from ssl_jax.data.builders import openmoji
from ssl_jax.data.records import Records


def _records(data_dir: str, name: str, split: str, *keys: str) -> list[dict]:
    records = Records(name, data_dir, split, keys)
    return records.read(np.arange(len(records)))


def test_digits_are_those_of_scikit_learn(data_dir: str):
    from sklearn.datasets import load_digits

    dataset = data.ImageData("digits", data_dir=data_dir)
    parts = [source.read(np.arange(len(source))) for source in (dataset.train, dataset.eval)]
    images = np.concatenate([part["image"] for part in parts]).reshape(-1, 64)
    labels = np.concatenate([part["label"] for part in parts])
    found = np.column_stack([images, labels])
    pixels, targets = load_digits(return_X_y=True)
    expected = np.column_stack([np.round(pixels * 255 / 16), targets]).astype(found.dtype)
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    shares = np.bincount(parts[1]["label"]) / np.bincount(labels)
    np.testing.assert_allclose(shares, 0.2, atol=0.01)


def test_openmoji(data_dir: str):
    train, test = (
        _records(data_dir, "openmoji", split, "label", "base", "emoji", "caption_en") for split in ("train", "test")
    )
    assert (len(train), len(test)) == (1511, 387)
    assert not {record["base"] for record in train} & {record["base"] for record in test}
    assert len({record["emoji"] for record in train + test}) == 1898
    for split in (train, test):
        assert set(np.bincount([record["label"] for record in split], minlength=9) > 0) == {True}
    assert all(record["caption_en"] for record in train)
    names = {record["emoji"].decode(): record["caption_en"].decode() for record in train + test}
    assert names["🍕"] == "pizza"


def test_openmoji_pictures_are_drawn_on_white(data_dir: str):
    dataset = data.ImageData("openmoji", data_dir=data_dir)
    images = dataset.eval.read(np.arange(len(dataset.eval)))["image"]
    assert images.shape[1:] == (64, 64, 3)
    assert (images[:, 0, 0] == 255).all(axis=1).mean() > 0.95
    assert (images.reshape(len(images), -1).std(axis=1) > 5).mean() > 0.98
    assert (images.max(axis=-1) - images.min(axis=-1) > 60).any(axis=(1, 2)).mean() > 0.6


@pytest.mark.parametrize(
    ("codes", "base"),
    [
        (["1F44D", "1F44D-1F3FB", "1F44D-1F3FF"], "1F44D"),
        (["1F3C3", "1F3C3-200D-2640-FE0F", "1F3C3-1F3FD-200D-2642-FE0F-200D-27A1-FE0F"], "1F3C3"),
        (["1F9D1-200D-1F680", "1F468-200D-1F680", "1F469-1F3FC-200D-1F680"], "1F9D1-200D-1F680"),
        (["2764-FE0F", "2764"], "2764"),
        (["1F1E9-1F1EA"], "1F1E9-1F1EA"),
    ],
)
def test_variants_have_one_base_and_one_split(codes: list[str], base: str):
    assert {openmoji.base(code) for code in codes} == {base}
    assert len({openmoji.in_test(code) for code in codes}) == 1


def test_kjv(data_dir: str):
    train, test = (_records(data_dir, "kjv", split, "text", "book", "chapter") for split in ("train", "test"))
    assert (len(train), len(test)) == (1071, 118)
    chapters = {(int(record["book"]), int(record["chapter"])): record["text"].decode() for record in train + test}
    assert len(chapters) == 1189
    assert chapters[0, 1].splitlines()[0] == "In the beginning God created the heaven and the earth."
    assert chapters[65, 22].splitlines()[-1] == "The grace of our Lord Jesus Christ be with you all. Amen."
    assert sum(len(text.splitlines()) for text in chapters.values()) == 31_102
    numbers = {place: number for number, place in enumerate(sorted(chapters), 1)}
    assert all(numbers[int(record["book"]), int(record["chapter"])] % 10 == 0 for record in test)
    assert len({int(record["book"]) for record in train}) == 66
