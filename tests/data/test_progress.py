import itertools
import sys
import time
import types

import numpy as np
import pytest
import rich

from ssl_jax import data
from ssl_jax.data import files, image, progress, tokenizing


def tick(monkeypatch: pytest.MonkeyPatch, *, seconds: int) -> None:
    """So many seconds pass from one look at the clock to the next, for `progress` alone."""
    clock = itertools.count(0, seconds)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))


def be_terminal(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(rich, "_console", None)  # rich asks once what its console is
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", kind)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes long."""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.setattr(tokenizing, "_DOCUMENTS_AT_A_TIME", 50)
    monkeypatch.setattr(image, "_CHUNK", 100)


def test_what_takes_long_is_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    with progress.announced("Thinking"):
        assert capsys.readouterr().out == ""
        time.sleep(0.5)
        assert capsys.readouterr().out == "Thinking\n"


def test_what_is_done_or_fails_soon_is_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(progress, "PATIENCE", 0.3)
    with progress.announced("Thinking"):
        pass
    with pytest.raises(KeyError), progress.announced("Thinking"):
        raise KeyError
    time.sleep(0.6)
    assert capsys.readouterr().out == ""


def test_chunks_cover_everything_once():
    parts = list(progress.chunks(10, 4, "Counting"))
    assert [len(part) for part in parts] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(10))
    assert list(progress.chunks(0, 4, "Counting")) == []


def test_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Four seconds a chunk: a line after 12 s, not before, and again 12 s later."""
    tick(monkeypatch, seconds=4)
    assert sum(len(part) for part in progress.chunks(8000, 1000, "Counting")) == 8000
    assert capsys.readouterr().out.splitlines() == [
        "Counting: 3,000 of 8,000, 250.0/s, 20 s left",
        "Counting: 6,000 of 8,000, 250.0/s, 8 s left",
    ]


def test_what_was_done_before_is_not_counted_into_the_rate(monkeypatch: pytest.MonkeyPatch, capsys):
    tick(monkeypatch, seconds=10)
    with progress.counted(100, "Counting", done=50) as advance:
        advance(20)
    assert capsys.readouterr().out == "Counting: 70 of 100, 2.0/s, 15 s left\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    tick(monkeypatch, seconds=4)
    be_terminal(monkeypatch, "xterm")
    with progress.counted(100, "Counting") as advance:
        advance(10)
        assert capsys.readouterr().out == ""  # it has not taken long
        advance(10)
        assert "Counting" in capsys.readouterr().out
        advance(80)
    assert "100/100" in capsys.readouterr().out


def test_a_terminal_that_cannot_redraw_gets_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    tick(monkeypatch, seconds=10)
    be_terminal(monkeypatch, "dumb")
    with progress.counted(100, "Counting") as advance:
        advance(20)
    assert capsys.readouterr().out == "Counting: 20 of 100, 2.0/s, 40 s left\n"


@pytest.mark.usefixtures("impatient")
def test_decoding_says_so(data_dir: str, capsys: pytest.CaptureFixture):
    data.prepare("digits", data_dir)
    capsys.readouterr()
    assert len(data.ImageData("digits", data_dir=data_dir, eval_split="test[:350]").eval) == 350
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Decoding 350 pictures of digits (test[:350]) into {data_dir}")
    assert [line.split(",")[0] for line in lines[1:]] == [
        f"Decoding digits (test[:350]): {done} of 350" for done in (100, 200, 300)
    ]


@pytest.mark.usefixtures("impatient")
def test_learning_and_tokenizing_say_so(data_dir: str, capsys: pytest.CaptureFixture):
    settings = dict(train_split="test[:110]", vocab_size=333, sequence_length=32)
    assert len(data.TextData("kjv", data_dir=data_dir, **settings).train)
    lines = capsys.readouterr().out.splitlines()
    assert "Learning 333 word pieces from kjv (test[:110])" in lines
    assert f"Tokenizing 110 documents of kjv (test[:110]) into {data_dir}/ssl_jax_cache" in lines
    assert lines[-1].startswith("Tokenizing kjv (test[:110]): 100 of 110, ")


def test_waiting_for_a_lock_says_so(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    import threading

    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with files.locked(tmp_path, "digits/1.0.0"):
            held.set()
            enough.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    threading.Timer(0.6, enough.set).start()
    with files.locked(tmp_path, "digits/1.0.0"):
        other.join()
    assert capsys.readouterr().out == f"Waiting for another process that prepares digits/1.0.0 in {tmp_path}\n"
