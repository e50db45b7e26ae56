"""Fashion-MNIST from small files made here, and from the real ones where Debian's package is installed."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data import catalogue
from ssl_jax.data.builders import fashion_mnist
from ssl_jax.errors import UserError

TRAIN, TEST = 12, 5
FILES = {"train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")}
FILES["test"] = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


def idx(array: np.ndarray) -> bytes:
    """As http://yann.lecun.com/exdb/mnist describes it: 0, 0, type, rank, big-endian sides, numbers."""
    return bytes((0, 0, 8, array.ndim)) + b"".join(side.to_bytes(4, "big") for side in array.shape) + array.tobytes()


def write(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(content))


def write_all(folder: Path, *, seed: int = 0) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng, arrays = np.random.default_rng(seed), {}
    for (split, names), count in zip(FILES.items(), (TRAIN, TEST)):
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        arrays[split] = images, np.arange(count, dtype=np.uint8) % 10
        for name, array in zip(names, arrays[split]):
            write(folder, name, idx(array))
    return arrays


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the builder now looks for Debian's package; empty."""
    monkeypatch.setattr(fashion_mnist, "DEBIAN", str(tmp_path / "debian"))
    return tmp_path / "debian"


@pytest.fixture
def by_hand(debian: Path, tmp_path: Path) -> Path:
    return tmp_path / "data" / "downloads" / "manual"


def check_reads(arrays: dict, data_dir: Path) -> None:
    dataset = data.ImageData("fashion_mnist", data_dir=str(data_dir))
    for source, (images, labels) in zip((dataset.train, dataset.eval), arrays.values()):
        read = source.read(np.arange(len(source)))
        order = [[(image == other).all() for other in images].index(True) for image in read["image"][..., 0]]
        assert sorted(order) == list(range(len(images)))
        np.testing.assert_array_equal(read["label"], labels[order])
    assert dataset.spec.class_names[0] == "T-shirt/top" and dataset.spec.class_names[9] == "Ankle boot"


def test_files_of_debians_package_are_read(debian: Path, tmp_path: Path):
    check_reads(write_all(debian), tmp_path / "data")


def test_files_put_there_by_hand_come_first(debian: Path, by_hand: Path, tmp_path: Path):
    write_all(debian, seed=1)
    check_reads(write_all(by_hand, seed=2), tmp_path / "data")


def test_three_of_four_files_are_no_place_to_read_from(debian: Path, by_hand: Path, tmp_path: Path):
    arrays = write_all(debian, seed=1)
    write_all(by_hand, seed=2)
    (by_hand / FILES["test"][1]).unlink()
    check_reads(arrays, tmp_path / "data")


def test_without_files_and_network_it_says_what_to_do(by_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def offline(*_, **__):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "head", offline)
    with pytest.raises(UserError, match="^config.data.name: .*apt install dataset-fashion-mnist, or put") as caught:
        data.prepare("fashion_mnist", str(tmp_path / "data"))
    assert all(name in str(caught.value) for names in FILES.values() for name in (*names, str(by_hand)))
    assert "\n" not in str(caught.value)


def test_with_a_network_the_files_are_downloaded(debian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arrays = write_all(tmp_path / "served")
    monkeypatch.setattr(requests, "head", lambda *_, **__: None)
    names = lambda _, urls: {name: tmp_path / "served" / url.rpartition("/")[2] for name, url in urls.items()}
    monkeypatch.setattr(tfds.download.DownloadManager, "download", names)
    check_reads(arrays, tmp_path / "data")


LABELS = idx(np.arange(TRAIN, dtype=np.uint8) % 10)


@pytest.mark.parametrize(
    ("which", "content", "message"),
    [
        (0, b"no header at all", "no idx header of unsigned bytes"),
        (0, b"\0\0", "no idx header"),
        (0, b"\0\0\x0d\x03" + bytes(12), "no idx header of unsigned bytes"),
        (0, b"\0\0\x08\x03" + bytes(11), "no idx header"),
        (0, idx(np.zeros((TRAIN, 28, 28), np.uint8))[:-1], r"says \(12, 28, 28\), and 9407 bytes follow"),
        (0, idx(np.zeros((TRAIN, 28, 28), np.uint8)) + b"\0", r"says \(12, 28, 28\), and 9409 bytes follow"),
        (0, idx(np.zeros((TRAIN, 32, 32), np.uint8)), r"not \[N, 28, 28\]"),
        (0, LABELS, r"not \[N, 28, 28\]"),
        (1, LABELS[:-1], "12.*and 11 bytes follow"),
        (1, idx(np.arange(11, dtype=np.uint8) % 10), "11 labels up to 9 for 12 pictures"),
        (1, idx(np.arange(TRAIN, dtype=np.uint8)), "12 labels up to 11 for 12 pictures"),
    ],
)
def test_a_damaged_file_is_named(which: int, content: bytes, message: str, by_hand: Path, tmp_path: Path):
    write_all(by_hand)
    name = FILES["train"][which]
    write(by_hand, name, content)
    with pytest.raises(UserError, match=f"{name} is damaged or no file of Fashion-MNIST.*{message}") as caught:
        data.prepare("fashion_mnist", str(tmp_path / "data"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"abc" + raw, lambda raw: raw[:200] + raw[201:]])
def test_a_file_that_is_no_whole_gzip_is_named(damage, by_hand: Path, tmp_path: Path):
    write_all(by_hand)
    path = by_hand / FILES["train"][0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"{path.name} is damaged"):
        data.prepare("fashion_mnist", str(tmp_path / "data"))


def test_the_name_stays_ours_beside_those_of_tfds(tmp_path: Path):
    """TFDS has a builder of that name, which it registers when any of its older builders is asked for."""
    tfds.list_builders(with_community_datasets=False)
    assert type(catalogue.find("fashion_mnist", str(tmp_path))) is fashion_mnist.FashionMNIST
    assert catalogue.find("kmnist", str(tmp_path)).name == "kmnist"


@pytest.mark.skipif(not Path(fashion_mnist.DEBIAN).exists(), reason="dataset-fashion-mnist is not installed")
def test_the_real_set(tmp_path: Path):
    """Its sizes and balance: section 3 of the paper."""
    dataset = data.ImageData("fashion_mnist", data_dir=str(tmp_path), cache="never")
    assert (len(dataset.train), len(dataset.eval)) == (60_000, 10_000)
    labels = dataset.eval.read(np.arange(10_000))["label"]
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 1000))
