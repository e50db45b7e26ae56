"""A store is the same however many processes make it, and however often they are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ssl_jax.data import files, tokenizing, wordpiece
from ssl_jax.data.records import Records
from ssl_jax.data.tokenizing import Tokenizing
from ssl_jax.errors import UserError

_ROOT = Path(__file__).parents[2]
_COUNT = 70


def _work(**settings) -> Tokenizing:
    """Made-up articles with labels."""
    records = Records("kjv", None, "train", ("text", "book"), mock=_COUNT)
    texts = [record["text"].decode() for record in records.read(np.arange(_COUNT))]
    return Tokenizing(records, wordpiece.train(lambda: texts, 300), "text", "book", "punctuation", **settings)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizing, "_SHARD", 16)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("small_shards")
def test_any_number_of_processes_gives_the_same_bytes(tmp_path: Path):
    work = _work()
    stores = [tokenizing.build(tmp_path / str(processes), work, processes=processes) for processes in (1, 2, 3)]
    contents = [_bytes(store.folder) for store in stores]
    assert contents[0] == contents[1] == contents[2]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["1", "2", "3"]


def test_shards_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    work = _work()
    whole = _bytes(tokenizing.build(tmp_path / "one", work).folder)
    monkeypatch.setattr(tokenizing, "_SHARD", 9)
    assert len(work.shards()) == 8
    assert _bytes(tokenizing.build(tmp_path / "eight", work).folder) == whole


@pytest.mark.usefixtures("small_shards")
def test_the_store_holds_what_the_tokenizer_says(tmp_path: Path):
    work = _work()
    store = tokenizing.build(tmp_path / "store", work)
    assert store.tokens.dtype == np.uint16
    for number, record in enumerate(work.records.read(np.arange(_COUNT))):
        encoded = [work.tokenizer.encode(line).ids for line in record["text"].decode().splitlines()]
        first, end = store.documents[number : number + 2]
        assert np.diff(store.sentences[first : end + 1]).tolist() == [len(ids) for ids in encoded]
        tokens = store.tokens[store.sentences[first] : store.sentences[end]]
        np.testing.assert_array_equal(tokens, [token for ids in encoded for token in ids])
        assert store.labels[number] == record["book"]
    np.testing.assert_array_equal(store.stream, store.sentences[store.documents] + np.arange(_COUNT + 1))
    np.testing.assert_array_equal(store.counts, np.bincount(store.tokens, minlength=work.tokenizer.get_vocab_size()))


def test_many_shards_are_not_too_many(monkeypatch: pytest.MonkeyPatch):
    work = Tokenizing(range(10_000_000), None, "text", None, "lines")
    shards = work.shards()
    assert len(shards) <= 1024 and shards[0] == (0, 9766) and shards[-1][1] == 10_000_000
    assert all(one[1] == other[0] for one, other in zip(shards, shards[1:]))


def test_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Tokenizing, "texts", lambda self, indices: (([[]], -1) for _ in indices))
    with pytest.raises(UserError, match="config.data: the split 'train' of 'kjv' has no text"):
        tokenizing.build(tmp_path / "store", _work())


_SLOW = """
import pathlib, sys, time
from ssl_jax.data import tokenizing
from tests.data import test_tokenizing

def slowly(records, indices, read=test_tokenizing.Records.read):
    time.sleep(0.3)
    return read(records, indices)

if __name__ in ("__main__", "__mp_main__"):
    test_tokenizing.Records.read = slowly
    tokenizing._SHARD = 16
if __name__ == "__main__":
    tokenizing.build(pathlib.Path(sys.argv[1]), test_tokenizing._work(), processes=int(sys.argv[2]))
"""


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.usefixtures("small_shards")
def test_killed_and_gone_on_with(processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was finished before kill -9 is not tokenized again, and the end is the same."""
    script = tmp_path / "slow.py"
    script.write_text(_SLOW)
    command = [sys.executable, str(script), str(tmp_path / "store"), str(processes)]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(command, cwd=_ROOT, env=environment, start_new_session=True)
    shards = tmp_path / "store.shards"
    while not (finished := _finished(shards)) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    _wait_for_end_of(process.pid)
    finished = _finished(shards)
    assert 0 < len(finished) < 5 and not (tmp_path / "store").exists()

    written, write = [], tokenizing._write_shard
    monkeypatch.setattr(
        tokenizing, "_write_shard", lambda work, ends, *rest: (written.append(ends), write(work, ends, *rest))
    )
    store = tokenizing.build(tmp_path / "store", _work())
    assert not {16 * int(shard.name) for shard in finished} & {start for start, _ in written}
    assert len(written) == 5 - len(finished)
    assert _bytes(store.folder) == _bytes(tokenizing.build(tmp_path / "at once", _work()).folder)
    assert not shards.exists()


def _finished(shards: Path) -> list[Path]:
    return [shard for shard in shards.glob("*") if files.is_whole(shard) and ".tmp-" not in shard.name]


def _wait_for_end_of(session: int) -> None:
    """The processes that tokenized end by themselves when the one that started them was killed."""
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-s", str(session)], capture_output=True).stdout:
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.05)
