"""What can only be seen in processes of their own: what they import, and what is left when they are killed."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssl_jax import data

_ROOT = Path(__file__).parents[2]


def _run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, timeout=600)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_the_room_is_light():
    heavy = "('jax', 'flax', 'grain', 'tensorflow_datasets', 'tensorflow', 'tokenizers', 'PIL.Image')"
    assert _run(f"import sys, ssl_jax.data; print([m for m in {heavy} if m in sys.modules])") in ("[]", "['PIL.Image']")


_PREPARE_AND_READ = """
import sys
from ssl_jax import data
for name in ('digits', 'openmoji', 'kjv'):
    data.prepare(name, sys.argv[1])
pictures = data.ImageData('openmoji', data_dir=sys.argv[1])
verses = data.TextData('kjv', data_dir=sys.argv[1], label_key='book', sequence_length=32, vocab_size=300)
mock = data.ImageData('imagenet2012', data_dir=sys.argv[1], mock=8, image_size=32)
for dataset in (pictures, verses, mock):
    list(data.batches(dataset, batch_size=8, seed=0, start=0, stop=2))
print('tensorflow' in sys.modules)
"""


def test_no_tensorflow_to_prepare_and_read(tmp_path: Path):
    assert _run(_PREPARE_AND_READ, str(tmp_path)).splitlines()[-1] == "False"


_WORKER = """
import sys, numpy as np
from ssl_jax import data

class Spy:
    threads, draws = 1, False
    def __init__(self, source): self.source = source
    def __len__(self): return len(self.source)
    def read(self, indices, keys=None):
        batch = self.source.read(indices)
        bridge = sys.modules.get('jax._src.xla_bridge')
        started = bool(bridge and bridge._backends)
        batch['label'][:] = 2 * ('tensorflow' in sys.modules) + started
        return batch

class Dataset:
    workers, prefetch = 1, 1

if __name__ == '__main__':
    dataset = Dataset()
    dataset.train = Spy(data.ImageData('digits', data_dir=sys.argv[1], cache='never').train)
    [(_, batch)] = data.batches(dataset, batch_size=4, seed=0, start=0, stop=1)
    print(batch['label'].max())
"""


def test_workers_start_neither_tensorflow_nor_a_jax_backend(data_dir: str, tmp_path: Path):
    """Grain imports the module jax; no device may be claimed by it."""
    data.prepare("digits", data_dir)
    script = tmp_path / "spy.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(_ROOT)!r})\n" + _WORKER)
    result = subprocess.run([sys.executable, script, data_dir], capture_output=True, text=True, timeout=600)
    assert result.stdout.strip() == "0", result.stderr


_FIRST_USE = """
import sys
import grain, sklearn.datasets, sklearn.model_selection, tensorflow_datasets, tokenizers
from ssl_jax import data
print('ready', flush=True)
sys.stdin.readline()
pictures = data.ImageData('digits', data_dir=sys.argv[1])
verses = data.TextData('kjv', data_dir=sys.argv[1], label_key='book', sequence_length=32, vocab_size=300)
for dataset in (pictures, verses):
    batch = data.batch_at(dataset, batch_size=64, seed=0, step=3)
    print(int(batch['label'].sum()), sum(int(value.astype('int64').sum()) for value in batch.values()))
"""


def _ready(folder: Path) -> subprocess.Popen:
    """A process that has imported everything, and waits to be let go."""
    command = [sys.executable, "-c", _FIRST_USE, str(folder)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process = subprocess.Popen(command, cwd=_ROOT, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


def _let_go(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def _sums(process: subprocess.Popen) -> list[str]:
    """The pairs of numbers that it prints (beside them it may say that it waits for another, or what takes long)."""
    lines = process.communicate(timeout=600)[0].splitlines()
    return [line for line in lines if re.fullmatch(r"\d+ \d+", line)]


def test_two_processes_prepare_at_once(tmp_path: Path):
    processes = [_ready(tmp_path) for _ in range(2)]
    _let_go(*processes)
    sums = [_sums(process) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sums[0] == sums[1] and len(sums[0]) == 2
    assert not list(tmp_path.rglob("*incomplete*")) and not list(tmp_path.rglob("*.tmp-*"))


@pytest.mark.slow
def test_killed_at_any_moment_of_the_first_use(tmp_path: Path):
    """Killed ever later on the way to its first batches; the last start ends as if nothing had been."""
    whole = _ready(tmp_path / "whole")
    _let_go(whole)
    began = time.monotonic()
    expected = _sums(whole)
    seconds = time.monotonic() - began
    hits = 0
    for moment in range(1, 6):
        process = _ready(tmp_path / "killed")
        _let_go(process)
        time.sleep(0.5 * seconds * moment / 5)
        process.kill()
        sums = _sums(process)
        if process.returncode == -signal.SIGKILL:
            hits += 1
        else:  # it went on from what the others had done, and was through: the next one has all to do, and less time
            assert sums == expected
            shutil.rmtree(tmp_path / "killed")
            seconds *= 0.6
    assert hits >= 3, "most kills came too late to interrupt anything"
    last = _ready(tmp_path / "killed")
    _let_go(last)
    assert _sums(last) == expected
    assert not list((tmp_path / "killed").rglob("*incomplete*"))
    assert not list((tmp_path / "killed").rglob("*.tmp-*"))
