"""Fashion-MNIST from files that are at hand; TFDS's own builder needs a download and TensorFlow."""

import gzip
import zlib
from collections.abc import Iterator

import numpy as np
import requests
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import registered
from tensorflow_datasets.core.download.util import DownloadError
from tensorflow_datasets.image_classification import mnist

from ssl_jax.data.builders import png
from ssl_jax.errors import UserError

DEBIAN = "/usr/share/datasets/fashion-mnist"
"""Where Debian's package dataset-fashion-mnist puts the four files."""

_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_NAMES = [name for pair in _FILES.values() for name in pair]
_UNSIGNED_BYTE = 8
_PATIENCE = 15  # seconds


class FashionMNIST(mnist.FashionMNIST, skip_registration=True):
    """Grey 28x28 pictures of clothes in ten classes, 60,000 and 10,000 (Xiao et al. 2017, arXiv:1708.07747).

    The name, version and features are those of TFDS's builder, so sets that one has prepared are read too. The four
    files come from DATA_DIR/downloads/manual, from Debian's package, or from where TFDS downloads them, the first
    place that has all of them.
    """

    name = "fashion_mnist"
    url_infos = mnist.FashionMNIST.url_infos  # sizes and checksums of downloads

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        folders = (self.data_dir_root / "downloads" / "manual", epath.Path(DEBIAN))
        folder = next((place for place in folders if all((place / name).exists() for name in _NAMES)), None)
        paths = {name: folder / name for name in _NAMES} if folder else self._downloaded(dl_manager, folders[0])
        return {split: _examples(paths[images], paths[labels]) for split, (images, labels) in _FILES.items()}

    def _downloaded(self, dl_manager: tfds.download.DownloadManager, by_hand: epath.Path) -> dict[str, epath.Path]:
        try:
            requests.head(self.URL, timeout=_PATIENCE)  # TFDS would try again for minutes, in silence
            return dl_manager.download({name: f"{self.URL}{name}" for name in _NAMES})
        except (requests.RequestException, DownloadError) as error:
            raise UserError(
                f"config.data.name: 'fashion_mnist' could not be downloaded from {self.URL}. Run apt install"
                f" dataset-fashion-mnist, or put {', '.join(_NAMES)} into {by_hand}; then run the same command again."
            ) from error

    def _generate_examples(self) -> Iterator:
        raise NotImplementedError("_split_generators hands out the generators themselves")


def _examples(images_path: epath.Path, labels_path: epath.Path) -> Iterator[tuple[int, dict]]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != mnist.MNIST_IMAGE_SHAPE[:2] or labels.ndim != 1:
        raise _damaged(images_path, f"{images.shape} numbers, labels {labels.shape}, not [N, 28, 28] and [N]")
    if len(images) != len(labels) or labels.max(initial=0) >= mnist.MNIST_NUM_CLASSES:
        raise _damaged(labels_path, f"{len(labels)} labels up to {labels.max(initial=0)} for {len(images)} pictures")
    for index, (image, label) in enumerate(zip(images, labels)):
        yield index, {"image": png.encode(image), "label": int(label)}


def read_idx(path: epath.Path) -> np.ndarray:
    """The array, uint8, of a gzipped file in MNIST's idx format.

    Raises:
      UserError: the file is damaged or something else.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _damaged(path, f"{error}") from error
    rank = content[3] if len(content) > 3 and content[:3] == bytes((0, 0, _UNSIGNED_BYTE)) else 0
    begin = 4 + 4 * rank
    if not rank or len(content) < begin:
        raise _damaged(path, "no idx header of unsigned bytes")
    shape = tuple(int(side) for side in np.frombuffer(content[4:begin], ">u4"))
    if len(content) - begin != np.prod(shape, dtype=np.int64):
        raise _damaged(path, f"its header says {shape}, and {len(content) - begin} bytes follow")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def _damaged(path: epath.Path, reason: str) -> UserError:
    return UserError(f"{path} is damaged or no file of Fashion-MNIST ({reason}): delete it and get it again.")


class _OursFirst:
    """Makes `tfds.builder('fashion_mnist')` the one above: TFDS has that name already, and registers no name twice."""

    def has_dataset(self, name: str) -> bool:
        return name == FashionMNIST.name

    def get_builder_cls(self, name: str) -> type[FashionMNIST]:
        del name
        return FashionMNIST


registered.add_dataset_builder_provider(_OursFirst(), index=0)
