"""Made-up records with a builder's features, to try a configuration without having its data.

`tfds.testing.mock_data` draws decoded arrays, so nothing would be decoded, and words without sentences, which no
tokenizer can be trained on. These records hold what real ones hold: JPEG files, sentences and tones. Like real records
they are the same whenever they are read.
"""

import dataclasses
import functools
import io
import zlib

import numpy as np

from ssl_jax.data import sound

_SIDES = (160, 320)  # of mock pictures whose shape the builder leaves open, in pixels
_WORDS = 2000
_SAMPLES = (2_000, 40_000)  # of mock recordings


@dataclasses.dataclass(frozen=True)
class MockRecords:
    """`size` records with `features`.

    Attributes:
      features: name -> TFDS feature (Audio, Image, ClassLabel, Text, Tensor, Scalar).
      size: number of records.
      split: keeps the records of different splits apart.
    """

    features: dict
    size: int
    split: str

    def __len__(self) -> int:
        return self.size

    def __getitems__(self, indices: list[int]) -> list[dict]:
        return [self._record(index) for index in indices]

    def _record(self, index: int) -> dict:
        if not 0 <= index < self.size:
            raise IndexError(f"record {index} of {self.size}")
        rng = np.random.default_rng((zlib.crc32(self.split.encode()), index))
        return {key: _example(feature, rng) for key, feature in self.features.items()}


def _example(feature, rng: np.random.Generator):
    """One value of a TFDS feature, as reading a record gives it."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Image):
        return _picture(feature.shape, rng)
    if isinstance(feature, tfds.features.ClassLabel):
        return rng.integers(max(1, feature.num_classes or 1))
    if isinstance(feature, tfds.features.Text):
        return _text(rng).encode()
    if sound.is_sound(feature):
        return _tones(feature, rng)
    shape = tuple(8 if side is None else side for side in feature.shape)
    if np.issubdtype(feature.np_dtype, np.integer):
        return rng.integers(128, size=shape).astype(feature.np_dtype)
    return rng.normal(size=shape).astype(feature.np_dtype)


def _picture(shape: tuple[int | None, ...], rng: np.random.Generator) -> bytes:
    """An encoded picture of large coloured patches (JPEG where it has three channels, else PNG)."""
    from PIL import Image

    height, width = (int(rng.integers(*_SIDES)) if side is None else side for side in shape[:2])
    coarse = rng.integers(256, size=(4, 4, shape[2] or 3), dtype=np.uint8)
    image = Image.fromarray(coarse[..., 0] if coarse.shape[2] == 1 else coarse).resize((width, height))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG" if image.mode == "RGB" else "PNG")
    return buffer.getvalue()


def _tones(feature, rng: np.random.Generator) -> np.ndarray:
    """A chord of three decaying tones."""
    time = np.arange(rng.integers(*_SAMPLES))
    pitches, phases = rng.uniform(0.01, 0.25, (2, 3, 1))  # cycles a sample, and cycles
    chord = np.sin(2 * np.pi * (pitches * time + phases)).mean(axis=0) * np.exp(-time / 20_000)
    chord = np.broadcast_to(chord[:, None], (len(time), *feature.shape[1:])) if len(feature.shape) > 1 else chord
    peak = 1.0 if np.issubdtype(feature.np_dtype, np.floating) else 20_000
    return (chord * peak).astype(feature.np_dtype)


@functools.cache
def _words() -> tuple[str, ...]:
    """A made-up vocabulary: words of two to four syllables."""
    rng = np.random.default_rng(0)
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    return tuple("".join(rng.choice(syllables, size=rng.integers(2, 5))) for _ in range(_WORDS))


def _text(rng: np.random.Generator) -> str:
    """A document of 4 to 24 lines of 5 to 24 words, frequent ones more often (Zipf's law)."""
    words = _words()
    lines = []
    for _ in range(rng.integers(4, 25)):
        ranks = np.minimum(rng.zipf(1.3, size=rng.integers(5, 25)) - 1, len(words) - 1)
        lines.append(" ".join(words[rank] for rank in ranks).capitalize() + ".")
    return "\n".join(lines)
