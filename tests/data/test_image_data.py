import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data import image
from ssl_jax.data.builders import png
from ssl_jax.errors import UserError


class OddShapes(tfds.core.GeneratorBasedBuilder):
    """Pictures of different shapes, some of them damaged, without labels."""

    VERSION = tfds.core.Version("1.0.0")
    name = "odd_shapes"

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "pixels": tfds.features.Tensor(shape=(4, 6, 3), dtype=np.uint8),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        return {"train": self._generate_examples(damaged=False), "test": self._generate_examples(damaged=True)}

    def _generate_examples(self, damaged: bool) -> Iterator:
        for number in range(20):
            picture = np.full((8 + number, 30 - number, 3), 10 * number, np.uint8)
            encoded = png.encode(picture)[: 60 if damaged and number == 5 else None]
            yield number, {"image": encoded, "pixels": np.full((4, 6, 3), number, np.uint8)}


@pytest.fixture(scope="module")
def odd_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("odd"))
    data.prepare("odd_shapes", folder)
    return folder


def test_digits(data_dir: str):
    dataset = data.ImageData("digits", data_dir=data_dir)
    assert dataset.spec == data.Spec(
        shapes={"image": (8, 8, 1), "label": ()}, num_classes=10, class_names=tuple("0123456789")
    )
    assert (len(dataset.train), len(dataset.eval)) == (1437, 360)
    batch = dataset.train.read(np.array([5, 3, 5]))
    assert batch["image"].shape == (3, 8, 8, 1) and batch["image"].dtype == np.uint8
    assert batch["label"].shape == (3,) and batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][0], batch["image"][2])


@pytest.mark.parametrize("name", ["digits", "openmoji"])
def test_the_cache_changes_nothing(data_dir: str, name: str):
    cached, streamed = (data.ImageData(name, data_dir=data_dir, cache=cache) for cache in ("always", "never"))
    assert isinstance(cached.eval, data.CachedImages) and isinstance(streamed.eval, data.ImageSource)
    everything = np.arange(len(cached.eval))
    first, second = cached.eval.read(everything), streamed.eval.read(everything)
    for key in first:
        assert type(first[key]) is np.ndarray
        np.testing.assert_array_equal(first[key], second[key])


def test_records_are_those_of_tfds(data_dir: str):
    dataset = data.ImageData("digits", data_dir=data_dir)
    source = tfds.data_source("digits", split="test", data_dir=data_dir)
    batch = dataset.eval.read(np.arange(len(source)))
    for row, record in enumerate(source):
        np.testing.assert_array_equal(batch["image"][row], record["image"])
        assert batch["label"][row] == record["label"]


def test_auto_caches_what_is_small(data_dir: str, monkeypatch: pytest.MonkeyPatch):
    assert isinstance(data.ImageData("digits", data_dir=data_dir).train, data.CachedImages)
    monkeypatch.setattr(image, "_CACHE_LIMIT", 1437 * 64 - 1)
    assert isinstance(data.ImageData("digits", data_dir=data_dir).train, data.ImageSource)


def test_a_truncated_cache_is_built_again(data_dir: str):
    settings = dict(data_dir=data_dir, train_split="train[:100]")
    source = data.ImageData("digits", **settings).train
    before = source.read(np.arange(100))
    os.truncate(source.folder / "image.npy", 500)
    after = data.ImageData("digits", **settings).train.read(np.arange(100))
    np.testing.assert_array_equal(before["image"], after["image"])


def test_a_cache_that_is_damaged_while_in_use_is_named(data_dir: str):
    source = data.ImageData("digits", data_dir=data_dir, train_split="train[:90]").train
    os.truncate(source.folder / "image.npy", 500)
    with pytest.raises(UserError, match="is damaged .*: delete it, it will be built again"):
        source.read(np.arange(3))


_DECODE = """
import sys
from pathlib import Path
from ssl_jax import data
from ssl_jax.data import image
from ssl_jax.errors import RunError
source = data.ImageData('digits', data_dir=sys.argv[1], image_size=64, cache='never').train
try:
    image.cached(source, Path(sys.argv[2]))
except RunError as error:
    print(error)
"""


def test_a_disk_that_fills_up_while_a_cache_is_written(data_dir: str, tmpfs: Callable[[str], Path]):
    """In a process of its own, as writing through a mapping would end it."""
    folder = tmpfs("size=4m")
    data.prepare("digits", data_dir)
    command = [sys.executable, "-c", _DECODE, data_dir, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"No space left while writing {folder}/digits-train-"), done.stdout
    assert [path.name for path in folder.iterdir()] == [".ssl_jax_locks"]


def test_pictures_of_different_shapes_share_a_canvas(odd_dir: str):
    dataset = data.ImageData("odd_shapes", data_dir=odd_dir, label_key=None, image_size=16)
    assert dataset.spec.shapes == {"image": (16, 16, 3), "label": (), "size": (2,)}
    batch = dataset.train.read(np.arange(20))
    assert batch["image"].shape == (20, 16, 16, 3)
    assert batch["size"].dtype == np.int32
    number = batch["image"][:, 0, 0, 0].astype(int) // 10
    np.testing.assert_array_equal(batch["size"], np.stack([8 + number, 30 - number], axis=1))
    assert (batch["label"] == -1).all() and dataset.spec.num_classes == 0


def test_pictures_of_different_shapes_need_a_canvas(odd_dir: str):
    with pytest.raises(UserError, match="config.data.image_size: the pictures of 'odd_shapes' differ in shape"):
        data.ImageData("odd_shapes", data_dir=odd_dir, label_key=None).spec  # noqa: B018


def test_pictures_that_are_arrays(odd_dir: str):
    dataset = data.ImageData("odd_shapes", data_dir=odd_dir, image_key="pixels", label_key=None, image_size=5)
    assert dataset.spec.shapes["image"] == (5, 5, 3)
    assert sorted(dataset.train.read(np.arange(20))["image"].mean(axis=(1, 2, 3))) == list(range(20))


@pytest.mark.parametrize("cache", ["always", "never"])
def test_a_damaged_picture_is_named(odd_dir: str, cache: str):
    dataset = data.ImageData("odd_shapes", data_dir=odd_dir, label_key=None, image_size=16, cache=cache)
    with pytest.raises(UserError, match=r"Picture \d+ of 'odd_shapes' \(test\) cannot be decoded"):
        dataset.eval.read(np.arange(20))


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "overwritten"])
@pytest.mark.parametrize("cache", ["always", "never"])
def test_damaged_records_are_named(digits_copy: Path, damage: str, cache: str):
    [path] = (digits_copy / "digits" / "1.0.0").glob("*train*")
    if damage == "missing":
        path.unlink()
    elif damage == "overwritten":
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 20)
            file.write(b"\xa5" * (path.stat().st_size // 10))
    else:
        os.truncate(path, path.stat().st_size // 2 if damage == "truncated" else 0)
    dataset = data.ImageData("digits", data_dir=str(digits_copy), cache=cache)
    with pytest.raises(UserError) as caught:
        dataset.train.read(np.arange(len(dataset.train)))
    assert str(path) in str(caught.value) and "python launch.py prepare digits" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_met_by_a_worker_process_is_named(digits_copy: Path):
    [path] = (digits_copy / "digits" / "1.0.0").glob("*train*")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 20)
        file.write(b"\xa5" * (path.stat().st_size // 10))
    dataset = data.ImageData("digits", data_dir=str(digits_copy), cache="never", workers=1)
    with pytest.raises(UserError, match="is missing, truncated or unreadable"):
        list(data.batches(dataset, batch_size=256, seed=0, start=0, stop=5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"image_key": "imag"},
            "config.data.image_key .*'imag' does not exist. Did you mean 'image'.*Valid: image, label",
        ),
        ({"label_key": "lable"}, "config.data.label_key .*'lable' does not exist. Did you mean 'label'"),
        ({"image_key": "label"}, "config.data.image_key: feature 'label' of 'digits' is not a picture"),
        ({"label_key": "image"}, "config.data.label_key: feature 'image' of 'digits' is no class label"),
        (
            {"train_split": "tran"},
            "config.data.train_split, .*'tran' does not exist. Did you mean 'train'.*: test, train",
        ),
        ({"train_split": "train[:a%]"}, r"split 'train\[:a%\]' is malformed"),
    ],
)
def test_mistakes(data_dir: str, settings: dict, message: str):
    with pytest.raises(UserError, match=message) as caught:
        dataset = data.ImageData("digits", data_dir=data_dir, **settings)
        dataset.spec, len(dataset.train)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 0}, "image_size 0"),
        ({"cache": "sometimes"}, "cache 'sometimes'"),
        ({"workers": -1}, "workers -1"),
        ({"prefetch": 0}, "prefetch 0"),
        ({"mock": -3}, "mock -3"),
    ],
)
def test_impossible_settings(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        data.ImageData("digits", **settings)


def test_made_up_imagenet(tmp_path: Path):
    dataset = data.ImageData("imagenet2012", data_dir=str(tmp_path), mock=32, image_size=48, eval_split="validation")
    assert dataset.spec.num_classes == 1000
    [(_, batch)] = data.batches(dataset, batch_size=16, seed=0, start=0, stop=1)
    assert batch["image"].shape == (16, 48, 48, 3) and batch["size"].min() >= 160
    np.testing.assert_array_equal(batch["image"], data.batch_at(dataset, batch_size=16, seed=0, step=0)["image"])
    everything = np.arange(32)
    train, test = (source.read(everything)["image"] for source in (dataset.train, dataset.eval))
    assert not np.array_equal(train, test)
    assert not os.listdir(tmp_path)


def test_made_up_digits_have_the_shape_of_real_ones(data_dir: str):
    dataset = data.ImageData("digits", data_dir=data_dir, mock=10, workers=1)
    [(_, batch)] = data.batches(dataset, batch_size=8, seed=0, start=0, stop=1)
    assert batch["image"].shape == (8, 8, 8, 1) and set(batch["label"]) <= set(range(10))
