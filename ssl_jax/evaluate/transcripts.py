"""Speech to text: what a transcript is spelled with, what frames say, and how wrong that is."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

BLANK = 0  # what a frame says that says nothing (Graves et al. 2006)


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """The characters of transcripts, numbered from 1; 0 is CTC's blank.

    Attributes:
      characters: each once, in order of their code points.
    """

    characters: str

    @classmethod
    def of(cls, transcripts: Iterable[str]) -> "Alphabet":
        """All characters that occur.

        Raises:
          ValueError: there are none.
        """
        found = sorted(set().union(*map(set, transcripts)))
        if not found:
            raise ValueError("the transcripts are empty: there is nothing to learn to write")
        return cls("".join(found))

    def __len__(self) -> int:
        """Classes of a frame, the blank among them."""
        return 1 + len(self.characters)

    def spell(self, transcript: str) -> np.ndarray:
        """The numbers of its characters, int32 [length]; those that the alphabet lacks are left out."""
        places = (self.characters.find(character) for character in transcript)
        return np.array([1 + place for place in places if place >= 0], np.int32)

    def read(self, numbers: Sequence[int]) -> str:
        """The text of numbers without blanks."""
        return "".join(self.characters[number - 1] for number in numbers)


def greedy(logits: np.ndarray, frames: np.ndarray) -> list[list[int]]:
    """CTC's best path: the likeliest class of each frame, repeats taken as one, blanks left out.

    Source: Graves et al., "Connectionist Temporal Classification", 2006, section 3.2 (best path decoding).

    Args:
      logits: [B, T, classes] of any float type; class 0 is the blank.
      frames: int [B], how many of the T frames are no padding.

    Returns:
      For each example the classes that are left, none of them 0.
    """
    paths = np.asarray(logits).argmax(-1)
    return [_collapsed(path[:count]) for path, count in zip(paths, np.asarray(frames), strict=True)]


def _collapsed(path: np.ndarray) -> list[int]:
    begins = np.concatenate([np.ones(min(len(path), 1), bool), path[1:] != path[:-1]])
    return path[begins & (path != BLANK)].tolist()


def error_rates(references: Sequence[str], guesses: Sequence[str]) -> dict[str, float]:
    """Edits that turn the guesses into the references, as a share of the references' words and characters.

    Computed by jiwer over the whole set: edits of all examples over words of all examples, not a mean of rates. Spaces
    at the ends, and all but one between words, do not count. May be above 1.

    Args:
      references: what was said; at least one of them has a word.
      guesses: what was understood, in the same order.

    Returns:
      `word_error_rate` and `character_error_rate`.

    Raises:
      ValueError: there are not as many guesses as references, or no reference has a word.
    """
    import jiwer  # here, as no run but those of speech needs it

    if len(references) != len(guesses):
        raise ValueError(f"{len(guesses)} guesses do not match {len(references)} references")
    references, guesses = ([_single_spaced(text) for text in texts] for texts in (references, guesses))
    if not any(references):
        raise ValueError("no reference has a word")
    return {
        "word_error_rate": float(jiwer.wer(references, guesses)),
        "character_error_rate": float(jiwer.cer(references, guesses)),
    }


def _single_spaced(text: str) -> str:
    return " ".join(text.split())
