"""Handwritten digits: the 1,797 grey 8x8 pictures that scikit-learn carries."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from ssl_jax.data.builders import png

_TEST_EXAMPLES = 360


class Digits(tfds.core.GeneratorBasedBuilder):
    """The UCI test set of optical recognition of handwritten digits (Alpaydin and Kaynak 1998), as scikit-learn has it.

    1,437 training and 360 test examples, the same share of each digit in both. Pixels, 0 to 16 in the source, are
    stretched to 0 to 255.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    name = "digits"

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(8, 8, 1)), "label": tfds.features.ClassLabel(num_classes=10)}
        )
        return tfds.core.DatasetInfo(
            builder=self, description=self.__doc__, features=features, supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        pixels, labels, splits = pictures()
        return {name: _examples(pixels, labels, indices) for name, indices in splits.items()}

    def _generate_examples(self) -> Iterator:
        raise NotImplementedError("_split_generators hands out the generators themselves")


def pictures() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """All digits, uint8 [1797, 8, 8], what they are, int [1797], and split -> the numbers of its pictures."""
    from sklearn import datasets, model_selection

    images, labels = datasets.load_digits(return_X_y=True)
    train, test = model_selection.train_test_split(
        np.arange(len(labels)), test_size=_TEST_EXAMPLES, stratify=labels, random_state=0
    )
    pixels = np.round(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    return pixels, labels, {"train": np.sort(train), "test": np.sort(test)}


def _examples(pixels: np.ndarray, labels: np.ndarray, indices: np.ndarray) -> Iterator[tuple[int, dict]]:
    for index in indices:
        yield int(index), {"image": png.encode(pixels[index]), "label": int(labels[index])}
