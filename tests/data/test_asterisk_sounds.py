"""The prompts of Asterisk from small recordings made here, and the real ones where Debian's packages are installed."""

import gzip
import io
import re
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data.builders import asterisk_sounds
from ssl_jax.errors import UserError

FILES = ("digits/7", "letters/b", "vm-goodbye", "phonetic/b_p", "conf-full", "beep", "silence/1", "empty")
LIST = """\ufeff; Core Asterisk Sounds

digits/7: Seven. [7]
phonetic/b_p:  bravo
 vm-goodbye:vm-goodbye: Good  bye: (in %s) come again
; conf-full: nothing
"""


def wav(samples: np.ndarray, *, rate: int = 8000, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(samples.itemsize)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def recordings(language: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(sum(language.encode()))
    lengths = {file: 0 if file == "empty" else 5 + number for number, file in enumerate(FILES)}
    return {file: rng.integers(-(2**15), 2**15, length, np.int16) for file, length in lengths.items()}


def write_folder(sounds: Path, language: str) -> None:
    for file, samples in recordings(language).items():
        path = sounds / asterisk_sounds.VOICES[language][0] / f"{file}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(samples))


def spoken(language: str) -> bytes:
    """The list of what is said; letters/b and conf-full are left out."""
    return gzip.compress((LIST % language).encode())


def write_list(lists: Path, language: str) -> None:
    path = lists / f"asterisk-core-sounds-{language}" / f"core-sounds-{language}.txt.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(spoken(language))


def ar(members: dict[str, bytes]) -> bytes:
    """An archive as `man 5 ar` describes it; members begin at even places."""
    content = b"!<arch>\n"
    for name, body in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
        content += header + body + b"\n" * (len(body) % 2)
    return content


def write_packages(folder: Path, language: str, *, damage: int | None = None) -> Path:
    """Both packages of a language; the path of that of its recordings, of which `damage` bytes may be left."""
    sounds = f".{asterisk_sounds.DEBIAN}/{asterisk_sounds.VOICES[language][0]}"
    listed = f".{asterisk_sounds.LISTS}/asterisk-core-sounds-{language}"
    write_package(folder, language, {f"{listed}/core-sounds-{language}.txt.gz": spoken(language), f"{listed}/x": b""})
    files = {f"{sounds}/{file}.wav": wav(samples) for file, samples in recordings(language).items()}
    return write_package(folder, f"{language}-wav", files, damage=damage)


def write_package(folder: Path, name: str, files: dict[str, bytes], *, damage: int | None = None) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for file, content in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": buffer.getvalue()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"asterisk-core-sounds-{name}_1.6.1-1_all.deb"
    path.write_bytes(ar(members)[:damage])
    return path


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the builder now looks for what Debian's packages install; empty."""
    monkeypatch.setattr(asterisk_sounds, "DEBIAN", str(tmp_path / "debian"))
    monkeypatch.setattr(asterisk_sounds, "LISTS", str(tmp_path / "lists"))
    return tmp_path / "debian"


@pytest.fixture
def by_hand(debian: Path, tmp_path: Path) -> Path:
    return tmp_path / "data" / "downloads" / "manual"


def records(name: str, data_dir: Path, split: str) -> dict[str, dict]:
    data.prepare(name, str(data_dir))
    found = tfds.data_source(name, split=split, data_dir=str(data_dir))
    return {record["file"].decode(): record for record in found}


def check_reads(data_dir: Path, language: str) -> None:
    """All that is spoken is there once, with its samples and its labels."""
    name = f"asterisk_sounds/{language}"
    train, test = (records(name, data_dir, split) for split in ("train", "test"))
    assert records(name, data_dir, f"train_{language}").keys() == train.keys()
    assert sorted((*train, *test)) == ["conf-full", "digits/7", "letters/b", "phonetic/b_p", "vm-goodbye"]
    for file, record in (train | test).items():
        np.testing.assert_array_equal(record["audio"], recordings(language)[file])
        assert record["audio"].dtype == np.int16 and record["language"] == list(asterisk_sounds.VOICES).index(language)
    seven, b = (train | test)["digits/7"], (train | test)["phonetic/b_p"]
    assert (seven["digit"], seven["letter"]) == (7, -1)
    said = {file: (record["name"].decode(), record["text"].decode()) for file, record in (train | test).items()}
    assert said.pop("vm-goodbye") == ("goodbye", "Good bye: come again")
    others = {"digits/7": ("seven", "Seven."), "letters/b": ("b", ""), "phonetic/b_p": ("bravo", "bravo")}
    assert said == others | {"conf-full": ("full", "")}
    assert asterisk_sounds.WORDS[seven["word"]] == "digits/7" and asterisk_sounds.WORDS[b["word"]] == "phonetic/b_p"
    assert (b["digit"], b["letter"]) == (-1, -1)
    assert list(records(name, data_dir, f"digits_{language}")) == ["digits/7"]
    assert list(records(name, data_dir, f"letters_{language}")) == ["letters/b"]
    assert sorted(records(name, data_dir, f"words_{language}")) == ["digits/7", "letters/b", "phonetic/b_p"]


def test_installed_recordings_are_read(debian: Path, tmp_path: Path):
    write_folder(debian, "fr")
    write_list(debian.parent / "lists", "fr")
    check_reads(tmp_path / "data", "fr")


def test_packages_are_read_without_installing_them(by_hand: Path, tmp_path: Path):
    write_packages(by_hand, "it")
    check_reads(tmp_path / "data", "it")


@pytest.mark.parametrize("place", ["", "unpacked"])
def test_folders_of_unpacked_packages_are_read(by_hand: Path, debian: Path, tmp_path: Path, place: str):
    write_folder(by_hand / (str(debian).lstrip("/") if place else ""), "ru")
    if place:
        write_list(by_hand / asterisk_sounds.LISTS.lstrip("/"), "ru")
    else:
        (by_hand / "core-sounds-ru.txt.gz").write_bytes(spoken("ru"))
    check_reads(tmp_path / "data", "ru")


def test_all_languages_by_default(debian: Path, by_hand: Path, tmp_path: Path):
    for language in ("en", "es", "fr"):
        write_folder(debian, language)
        write_list(debian.parent / "lists", language)
    for language in ("it", "ru"):
        write_packages(by_hand, language)
    data.prepare("asterisk_sounds", str(tmp_path / "data"))
    read = lambda split: list(tfds.data_source("asterisk_sounds", split=split, data_dir=str(tmp_path / "data")))
    splits = ("train", "test")
    found = {split: read(split) for split in splits}
    names = {split: {record["name"] for record in found[split]} for split in splits}
    italian = [record for record in found["train"] if record["language"] == 3]
    assert {record["file"] for record in read("train_it")} == {record["file"] for record in italian} != set()
    assert sum(map(len, found.values())) == 5 * 5 and not names["train"] & names["test"]
    who = {(int(record["language"]), int(record["speaker"])) for split in splits for record in found[split]}
    assert who == {(0, 0), (1, 0), (2, 3), (3, 1), (4, 2)}  # English and Spanish are of one speaker


def test_what_is_missing_is_said(debian: Path, by_hand: Path, tmp_path: Path):
    for language in ("en", "fr", "ru"):
        write_folder(debian, language)
        if language != "fr":
            write_list(debian.parent / "lists", language)
    packages = " ".join(f"asterisk-core-sounds-{name}" for name in ("es-wav", "it-wav", "es", "fr", "it"))
    with pytest.raises(UserError, match=f"^config.data.name: .*: run apt install {packages}, or put") as caught:
        data.prepare("asterisk_sounds", str(tmp_path / "data"))
    assert str(by_hand) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(5, "no Debian package"), (100, "it holds no data.tar"), (-200, "(end|ended)")],
)
def test_a_damaged_package_is_named(by_hand: Path, tmp_path: Path, damage: int, message: str):
    path = write_packages(by_hand, "en", damage=damage)
    with pytest.raises(UserError, match=f"{path.name} is damaged or cannot be unpacked here .*{message}") as caught:
        data.prepare("asterisk_sounds/en", str(tmp_path / "data"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"no list", gzip.compress(b"a: b" * 99)[:-9], gzip.compress(b"\xff"), gzip.compress(b"a")[:10] + b"\xff" * 20],
    ids=["not packed", "cut", "no UTF-8", "no code of zlib"],
)
def test_a_damaged_list_is_named(debian: Path, tmp_path: Path, content: bytes):
    write_folder(debian, "en")
    write_list(debian.parent / "lists", "en")
    path = debian.parent / "lists" / "asterisk-core-sounds-en" / "core-sounds-en.txt.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} holds no list of what is said, or a damaged one") as caught:
        data.prepare("asterisk_sounds/en", str(tmp_path / "data"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF", "is damaged or no WAV file"),
        (b"no sound at all", "is damaged or no WAV file"),
        (wav(np.zeros(4, np.int16), rate=16000), "has 16000 Hz, 2 bytes a sample, 1 channels, not 8000, 2 and 1"),
        (wav(np.zeros(4, np.int16), channels=2), "has 8000 Hz, 2 bytes a sample, 2 channels"),
        (wav(np.zeros(4, np.uint8)), "has 8000 Hz, 1 bytes a sample"),
    ],
)
def test_another_file_is_named(debian: Path, tmp_path: Path, content: bytes, message: str):
    write_folder(debian, "en")
    write_list(debian.parent / "lists", "en")
    path = debian / asterisk_sounds.VOICES["en"][0] / "digits" / "7.wav"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} {message}") as caught:
        data.prepare("asterisk_sounds/en", str(tmp_path / "data"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("vm-goodbye", "goodbye"),
        ("goodbye", "goodbye"),
        ("vm-INBOX", "inbox"),
        ("pls-hold-while-try", "please hold while try"),
        ("followme/sorry", "sorry"),
        ("dictate/play_help", "play help"),
        ("digits/0", "zero"),
        ("digits/1F", "one"),
        ("digits/21", "twenty one"),
        ("digits/90", "ninety"),
        ("digits/h-1", "first"),
        ("digits/h-7", "seventh"),
        ("digits/h-12", "twelfth"),
        ("digits/h-20", "twentieth"),
        ("digits/h-million", "millionth"),
        ("digits/day-0", "sunday"),
        ("digits/mon-11", "december"),
        ("digits/a-m", "a m"),
        ("letters/a", "a"),
        ("letters/ascii43", "plus sign"),
        ("phonetic/z_p", "zulu"),
    ],
)
def test_what_a_file_name_says(file: str, said: str):
    assert asterisk_sounds.words(file) == said


@pytest.mark.parametrize(
    "files",
    [
        ("vm-goodbye", "goodbye"),
        ("sorry", "followme/sorry", "vm-sorry"),
        ("vm-invalidpassword", "vm-invalid-password"),
        ("digits/1", "digits/1F", "digits/1M", "digits/1n"),
        ("conf-adminmenu", "conf-adminmenu-162", "conf-adminmenu-18"),
        ("letters/z", "letters/zed"),
        ("letters/o", "digits/oh"),
        ("conf-lockednow", "confbridge-locked"),
    ],
)
def test_one_wording_is_in_one_split(files: tuple[str, ...]):
    assert len({asterisk_sounds.in_test(file) for file in files}) == 1


@pytest.fixture(scope="module")
def real(data_dir: str) -> str:
    missing = [
        language
        for language, (folder, _) in asterisk_sounds.VOICES.items()
        if not Path(asterisk_sounds.DEBIAN, folder).exists()
        or not Path(asterisk_sounds.LISTS, f"asterisk-core-sounds-{language}").exists()
    ]
    if missing:
        pytest.skip("asterisk-core-sounds-{en,es,fr,it,ru} and -wav are not installed")
    data.prepare("asterisk_sounds", data_dir)
    return data_dir


def test_the_real_set(real: str):
    found = {
        split: list(tfds.data_source("asterisk_sounds", split=split, data_dir=real)) for split in ("train", "test")
    }
    assert {split: len(examples) for split, examples in found.items()} == {"train": 2197, "test": 548}
    everything = found["train"] + found["test"]
    hours = sum(len(record["audio"]) for record in everything) / 8000 / 3600
    assert 2.0 < hours < 2.4
    assert np.bincount([record["language"] for record in everything]).min() > 500
    files = {split: {record["file"] for record in found[split]} for split in found}
    names = {split: {record["name"] for record in found[split]} for split in found}
    assert not files["train"] & files["test"] and not names["train"] & names["test"]


def test_nothing_is_said_in_both_splits(real: str):
    letters = lambda text: re.sub(r"[\W_]+", "", text.decode().casefold())
    said = {
        split: {letters(record["text"]) for record in tfds.data_source("asterisk_sounds", split=split, data_dir=real)}
        for split in ("train", "test")
    }
    assert said["train"] & said["test"] == {""}, "what the lists leave out alone"
    assert all(len(texts) > 400 for texts in said.values())


@pytest.mark.parametrize("language", asterisk_sounds.VOICES)
def test_every_language_has_every_word_once(real: str, language: str):
    for split, label, count in (("digits", "digit", 10), ("letters", "letter", 26), ("words", "word", 129)):
        examples = list(tfds.data_source("asterisk_sounds", split=f"{split}_{language}", data_dir=real))
        assert sorted(int(record[label]) for record in examples) == list(range(count))
        assert {int(record["language"]) for record in examples} == {list(asterisk_sounds.VOICES).index(language)}
