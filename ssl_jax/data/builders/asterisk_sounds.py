"""Spoken prompts of the telephone exchange Asterisk, from Debian's packages."""

import gzip
import hashlib
import io
import re
import tarfile
import unicodedata
import wave
import zlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from ssl_jax.errors import UserError

DEBIAN = "/usr/share/asterisk/sounds"
"""Where Debian's packages put the recordings."""

LISTS = "/usr/share/doc"
"""Where they put the lists of what is said."""

VOICES = {
    "en": ("en_US_f_Allison", "Allison"),
    "es": ("es_MX_f_Allison", "Allison"),
    "fr": ("fr_CA_f_June", "June"),
    "it": ("it_IT_m_Carlo", "Carlo"),
    "ru": ("ru_RU_f_IvrvoiceRU", "IvrvoiceRU"),
}
"""Language -> (folder, who speaks); English and Spanish are of one speaker."""

SAMPLE_RATE = 8000  # Hz
_TEST_SHARE = 5  # one wording in so many is for testing
_SOUNDS = re.compile(r"silence/.*|beep|beeperr|confbridge-(join|leave)|(a|de)scending-2tone|tt-monkeys")  # no speech
_NOTES = re.compile(r"\[[^]]*\]|\([^)]*\)|<[^>]*>")  # in lists: 'at [@]', '(in English)'
_SECTIONS = re.compile(r"(vm|conf|confbridge|pbx|priv|privacy|queue|dir|agent|auth|tt|spy|ss|demo|screen|pm)-")

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
_TENS = dict(zip(range(20, 100, 10), "twenty thirty forty fifty sixty seventy eighty ninety".split()))
_ORDINALS = dict(one="first", two="second", three="third", five="fifth", eight="eighth", nine="ninth", twelve="twelfth")
_DAYS = "sunday monday tuesday wednesday thursday friday saturday".split()
_MONTHS = "january february march april may june july august september october november december".split()
_SAME = dict(
    pair.split("=")
    for pair in (
        "zed=z oh=zero o=zero enabled=activated disabled=deactivated reenterpassword=pass usermenu=adminmenu"
        " lockednow=locked unlockednow=unlocked onlyperson=onlyparticipant declistvolout=declistvolin"
        " dectalkvolout=dectalkvolin inclistvolout=inclistvolin inctalkvolout=inctalkvolin leaveout=leavein"
        " lockout=lockin menuexitout=menuexitin muteout=mutein removelastout=removelastin"
        " restlistvolout=restlistvolin resttalkvolout=resttalkvolin at=a secondtime=second seventieth=eightieth"
        " millions=million star=asterisk fromunknowncaller=unknowncaller dollarsign=dollar lethan=lessthansign"
        " urgent=uniform somethingterriblywrong=somethingwrong locallocal=local esde=from messagex=messages ninth=nine"
        " p=nine oclock=hours time=hours e=and y=and newx=inbox nuovo=inbox oldx=old vecchio=old for=extension"
        " multi=extension press=extension begingloriousb=begingloriousa begingloriousc=begingloriousa"
        " beginleader=begingloriousa waitforleader=begingloriousa"
    ).split()
)  # words of file names under which a list has the same text as under others, in any language
_ALPHABET = (
    "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo"
    " sierra tango uniform victor whiskey xray yankee zulu"
).split()

DIGITS = tuple(str(digit) for digit in range(10))
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
WORDS = (
    *(f"digits/{number}" for number in (*range(20), *_TENS)),
    *(f"digits/h-{number}" for number in (*range(1, 20), *_TENS)),
    *(f"digits/{name}" for name in ("hundred", "thousand", "million")),
    *(f"digits/day-{number}" for number in range(7)),
    *(f"digits/mon-{number}" for number in range(12)),
    *(f"letters/{letter}" for letter in LETTERS),
    *(f"phonetic/{letter}_p" for letter in LETTERS),
)
"""Numbers, days, months, letters and the words letters are spelled with: recorded alone, in all five languages."""


class AsteriskSounds(tfds.core.GeneratorBasedBuilder):
    """Recorded prompts of a telephone exchange in five languages: 8 kHz, mono, some 550 a language, 2.2 hours in all.

    They are the packages asterisk-core-sounds-{en,es,fr,it,ru}{,-wav} of Debian (CC BY-SA 3.0; Russian and Italian CC
    BY 3.0), from DATA_DIR/downloads/manual (the .deb files, or the folders in them) or where they are installed. Tones
    and silence are left out. Each language has one speaker, who is the same one for English and Spanish.

    `text` is what is said, from the lists in the packages asterisk-core-sounds-{en,es,fr,it,ru}, without their notes in
    brackets; it is empty for some 70 recordings that the lists leave out. `name` is what the file name says, in English
    for all languages: 'vm-goodbye' is 'goodbye', 'digits/7' is 'seven'. `word` is the file name where it is one of
    `WORDS`; `digit` and `letter` are those recorded alone. The three are -1 elsewhere.

    Splits 'train' and 'test': about a fifth of the wordings, chosen by a hash of `name`, is the test split, in all
    languages alike; names under which the same is said in any of the languages go together. 'train_LANGUAGE' is one
    language's part of 'train'. Splits 'digits_LANGUAGE', 'letters_LANGUAGE' and 'words_LANGUAGE' hold the same
    recordings again, those that have that label: so a probe can learn from some speakers and be tested on another.

    The configurations 'en', 'es', 'fr', 'it' and 'ru' have one language, 'all' (the default) has the five.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "A split for training with each language.",
        "2.0.0": "What is said as it is listed; prompts that say the same in one split; two tones less.",
    }
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in ("all", *VOICES)]
    name = "asterisk_sounds"

    def _info(self) -> tfds.core.DatasetInfo:
        label = tfds.features.ClassLabel
        features = tfds.features.FeaturesDict(
            {
                "audio": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="bytes"),
                "text": tfds.features.Text(),
                "name": tfds.features.Text(),
                "file": tfds.features.Text(),
                "language": label(names=list(VOICES)),
                "speaker": label(names=sorted({speaker for _, speaker in VOICES.values()})),
                "digit": label(names=list(DIGITS)),
                "letter": label(names=list(LETTERS)),
                "word": label(names=list(WORDS)),
            }
        )
        metadata = tfds.core.MetadataDict({"sample_rate": SAMPLE_RATE})
        return tfds.core.DatasetInfo(builder=self, description=self.__doc__, features=features, metadata=metadata)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager  # nothing to download
        languages = tuple(VOICES) if self.builder_config.name == "all" else (self.builder_config.name,)
        records = list(_records(self.data_dir_root / "downloads" / "manual", languages))
        splits = {
            "train": [record for record in records if not in_test(record["file"])],
            "test": [record for record in records if in_test(record["file"])],
        }
        for language in languages:
            splits[f"train_{language}"] = [record for record in splits["train"] if record["language"] == language]
            for label in ("digit", "letter", "word"):
                found = [r for r in records if r["language"] == language and r[label] != -1]
                splits[f"{label}s_{language}"] = found
        return {split: _keyed(found) for split, found in splits.items()}

    def _generate_examples(self) -> Iterator:
        raise NotImplementedError("_split_generators hands out the generators themselves")


def _keyed(records: list[dict]) -> Iterator[tuple[str, dict]]:
    for record in records:
        yield f"{record['language']}/{record['file']}", record


def _records(by_hand: epath.Path, languages: tuple[str, ...]) -> Iterator[dict]:
    """The recordings of these languages in which somebody speaks, by language and file name."""
    packages = [f"asterisk-core-sounds-{language}{kind}" for kind in ("-wav", "") for language in languages]
    sources = {package: _source(by_hand, package) for package in packages}
    missing = [package for package, source in sources.items() if source is None]
    if missing:
        packages = " ".join(missing)
        raise UserError(
            f"config.data.name: 'asterisk_sounds' needs files that are not there: run apt install {packages}, or"
            f" put the files of apt-get download {packages} into {by_hand}; then run the same command again."
        )
    for language in languages:
        source, speaker = sources[f"asterisk-core-sounds-{language}-wav"], VOICES[language][1]
        said = _said(sources[f"asterisk-core-sounds-{language}"])
        for file, content in sorted(_files(source, ".wav")):
            samples = read_wav(source / f"{file}.wav", content)
            if len(samples) and not _SOUNDS.fullmatch(file):
                labels = {"language": language, "speaker": speaker, **_labels(file)}
                yield {"audio": samples, "text": said.get(file, ""), "name": words(file), "file": file, **labels}


def _said(source: epath.Path) -> dict[str, str]:
    """What is said in the recordings of a language, by file name.

    Raises:
      UserError: the list is damaged.
    """
    try:
        [(_, content)] = _files(source, ".txt.gz")
        lines = [line.partition(":") for line in gzip.decompress(content).decode("utf-8-sig").splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{source} holds no list of what is said, or a damaged one ({error}): get it again.") from error
    listed = {file.strip(): text for file, colon, text in lines if colon and not file.startswith(";")}
    without = lambda file, text: _NOTES.sub(" ", text.strip().removeprefix(f"{file}:"))
    return {file: " ".join(without(file, text).split()) for file, text in listed.items()}


def _labels(file: str) -> dict[str, str | int]:
    """The classes of a file name; -1 for what it is not."""
    folder, _, name = file.rpartition("/")
    return {
        "digit": name if folder == "digits" and name in DIGITS else -1,
        "letter": name if folder == "letters" and name in LETTERS else -1,
        "word": file if file in WORDS else -1,
    }


def words(file: str) -> str:
    """What a file name says, in lower-case English words: 'vm-goodbye' -> 'goodbye', 'digits/h-7' -> 'seventh'."""
    folder, _, name = file.lower().rpartition("/")
    name = _SECTIONS.sub("", name)
    if folder == "digits":
        name = _number(name)
    elif folder == "phonetic" and name[0] in LETTERS:
        name = _ALPHABET[LETTERS.index(name[0])]
    elif name.startswith("ascii"):
        name = unicodedata.name(chr(int(name.removeprefix("ascii")))).lower()
    return " ".join({"pls": "please", "num": "number"}.get(word, word) for word in re.split(r"[-_ ]+", name))


def _number(name: str) -> str:
    """The words of a file in digits/: 'h-20' -> 'twentieth', 'mon-0' -> 'january', '1f' (feminine) -> 'one'."""
    kind, _, rest = name.rpartition("-")
    if kind in ("day", "mon") and rest.isdigit():
        return (_DAYS if kind == "day" else _MONTHS)[int(rest)]
    number = re.fullmatch(r"(h-)?(\d\d?)[fmn]?", name)
    if number is None:
        return name.removeprefix("h-") + "th" if name.startswith("h-") else name
    tens, units = divmod(int(number[2]), 10)
    words = [_UNITS[int(number[2])]] if tens < 2 else [_TENS[10 * tens], *([_UNITS[units]] if units else [])]
    if number[1]:
        regular = f"{words[-1][:-1]}ieth" if words[-1].endswith("y") else f"{words[-1]}th"
        words[-1] = _ORDINALS.get(words[-1], regular)
    return " ".join(words)


def in_test(file: str) -> bool:
    """Whether a prompt is in the test split: decided by its words alone, of which numbered variants go together."""
    said = re.sub(r"[\d ]", "", words(file))
    said = _SAME.get(said, said)
    return hashlib.sha256(said.encode()).digest()[0] % _TEST_SHARE == 0


def _source(by_hand: epath.Path, package: str) -> epath.Path | None:
    """The folder, list or .deb file that has what a package installs, the first there is."""
    language = package.split("-")[3]
    if package.endswith("-wav"):
        place, name = DEBIAN, VOICES[language][0]
    else:
        place, name = f"{LISTS}/{package}", f"core-sounds-{language}.txt.gz"
    packages = sorted(by_hand.glob(f"{package}_*.deb"))
    places = (*packages, by_hand / place.lstrip("/") / name, by_hand / name, epath.Path(place) / name)
    return next((place for place in places if place.exists()), None)


def _files(source: epath.Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """(name without `ending`, content) of the files in a folder or a package, or of a file."""
    if source.suffix == ".deb":
        yield from _of_package(source, ending)
    elif source.is_dir():
        for path in (*source.glob(f"*{ending}"), *source.glob(f"*/*{ending}")):
            yield str(path.relative_to(source)).removesuffix(ending), path.read_bytes()
    else:
        yield source.name.removesuffix(ending), source.read_bytes()


def _of_package(path: epath.Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """(name without `ending`, content) of the recordings or the list of a Debian package.

    Raises:
      UserError: it is damaged, or packed in a way that Python cannot unpack.
    """
    folder = re.compile(rf"\.(?:{re.escape(DEBIAN)}|{re.escape(LISTS)})/[^/]+/(.*){re.escape(ending)}")
    try:
        with tarfile.open(fileobj=io.BytesIO(_data_member(path.read_bytes()))) as archive:
            for member in archive:
                found = folder.fullmatch(member.name)
                if member.isfile() and found:
                    yield found[1], archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or cannot be unpacked here ({error}): get it again, or unpack it with dpkg-deb -x"
            f" {path.name} {path.parent} and delete it."
        ) from error


def _data_member(content: bytes) -> bytes:
    """The file data.tar.* in a .deb file, which is an `ar` archive: headers of 60 bytes, contents at even places."""
    if not content.startswith(b"!<arch>\n"):
        raise ValueError("no Debian package")
    start = 8
    while start + 60 <= len(content):
        header = content[start : start + 60]
        size = int(header[48:58])
        start += 60
        if header.startswith(b"data.tar"):
            return content[start : start + size]
        start += size + size % 2
    raise ValueError("it holds no data.tar")


def read_wav(path: epath.Path, content: bytes) -> np.ndarray:
    """The samples, int16 [samples], of a WAV file with 8000 samples of 16 bits a second and one channel.

    Raises:
      UserError: it is something else.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            form = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    except (wave.Error, EOFError, ValueError) as error:
        raise UserError(f"{path} is damaged or no WAV file ({error or 'it ends early'}): get it again.") from error
    if form != (SAMPLE_RATE, 2, 1):
        raise UserError(f"{path} has {form[0]} Hz, {form[1]} bytes a sample, {form[2]} channels, not 8000, 2 and 1.")
    return samples.astype(np.int16)
