"""Clips of a handwritten digit that moves: the pictures that scikit-learn carries."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from ssl_jax.data.builders import digits

FRAMES, SIDE = 8, 24
DIRECTIONS = ("right", "down right", "down", "down left", "left", "up left", "up", "up right")
_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # rows and columns a frame
_SPEED = 2  # pixels a frame and axis
_CLIPS = 4  # of each picture


class MovingDigits(tfds.core.GeneratorBasedBuilder):
    """Clips of 8 frames, 24x24 pixels: a digit of 8x8 pixels that moves on in one of eight directions.

    What leaves at one side comes in at the other, and a clip begins with the digit anywhere, so that a single frame
    tells nothing of its `direction`; `label` is the digit. Each picture of the set `digits` has four clips, of four
    directions, drawn by the picture's number; training and test clips show the training and test pictures of that set.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    name = "moving_digits"

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(shape=(FRAMES, SIDE, SIDE, 1), dtype=np.uint8, encoding="bytes"),
                "label": tfds.features.ClassLabel(num_classes=10),
                "direction": tfds.features.ClassLabel(names=list(DIRECTIONS)),
                "picture": np.int32,
            }
        )
        return tfds.core.DatasetInfo(
            builder=self, description=self.__doc__, features=features, supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        pixels, labels, splits = digits.pictures()
        return {name: _examples(pixels, labels, indices) for name, indices in splits.items()}

    def _generate_examples(self) -> Iterator:
        raise NotImplementedError("_split_generators hands out the generators themselves")


def _examples(pixels: np.ndarray, labels: np.ndarray, indices: np.ndarray) -> Iterator[tuple[str, dict]]:
    for index in map(int, indices):
        rng = np.random.default_rng(index)
        for direction in map(int, rng.permutation(len(DIRECTIONS))[:_CLIPS]):
            clip = moving(pixels[index], direction, rng.integers(SIDE, size=2))
            record = {"image": clip, "label": int(labels[index]), "direction": direction, "picture": index}
            yield f"{index}_{direction}", record


def moving(digit: np.ndarray, direction: int, start: np.ndarray) -> np.ndarray:
    """A clip, uint8 [frames, side, side, 1].

    Args:
      digit: uint8 [8, 8].
      direction: which of `DIRECTIONS`.
      start: row and column of its first place, int [2].
    """
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    canvas[: digit.shape[0], : digit.shape[1]] = digit
    step = _SPEED * np.array(_STEPS[direction])
    return np.stack([np.roll(canvas, tuple(start + time * step), axis=(0, 1)) for time in range(FRAMES)])[..., None]
