"""Writing down speech with what a run has learnt, from its folder."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import launch
from ssl_jax.data.builders import asterisk_sounds
from ssl_jax.evaluate import speech, transcripts
from ssl_jax.experiment import ctc, run
from tests import tiny


def begun(method, workdir, data_dir):
    """A run that has just begun."""
    less = dict(during=(), tasks=(), diagnostics=False)
    config = tiny.config(method, steps=2, schedule=dict(warmup_steps=1), evaluate=less)
    assert run(config, workdir, data_dir=data_dir) == 0
    return workdir


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    return begun("wav2vec2", tmp_path_factory.mktemp("runs") / "wav2vec2", data_dir)


def test_a_run_learns_to_spell_from_its_folder(folder, data_dir, tmp_path, capsys):
    places = [(asterisk_sounds.LISTS, "asterisk-core-sounds-it")]
    places += [(asterisk_sounds.DEBIAN, asterisk_sounds.VOICES["it"][0])]
    if not all(Path(*place).exists() for place in places):
        pytest.skip("asterisk-core-sounds-it and -wav are not installed")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"data": config["data"] | {"mock": 0}}))
    splits = ["--task.name=asterisk_sounds/it", "--task.train_split=train[:60]", "--task.eval_split=test[:40]"]
    few = ["--task.epochs=1", "--task.seconds=1.5", "--task.batch_size=8"]
    for untrained in (False, True):
        command = ["evaluate", str(folder), "--task=ctc", *splits, *few, f"--task.untrained={untrained}"]
        assert launch.main([*command, f"--data_dir={data_dir}"]) == 0
    printed = [line.split(" = ")[0] for line in capsys.readouterr().out.splitlines() if " = " in line]
    assert printed == ["word_error_rate", "character_error_rate", "recordings"] * 2
    kept = json.loads((folder / "fine_tuned.json").read_text())
    assert kept.keys() == {"ctc", "ctc/untrained"}
    assert 0 < kept["ctc"]["recordings"] < 40, "those that may have been cut are left out"
    assert kept["ctc"]["character_error_rate"] > 0 and kept["ctc"]["settings"]["name"] == "asterisk_sounds/it"


class Recordings:
    """Ten, of 100 samples at most; notes how many are read at once."""

    def __init__(self):
        self.waveform = np.random.default_rng(0).integers(-99, 99, (10, 100), np.int16)
        self.length, self.read_at_once = np.array([100, 90, 20, 80, 30, 60, 99, 70, 100, 50]), []

    def __len__(self):
        return 10

    def read(self, rows, keys=None):
        self.read_at_once.append(len(rows))
        return {"waveform": self.waveform[rows], "length": self.length[rows]}


def test_what_can_be_written_down_is_read_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(ctc, "_ROWS", 4)
    source, texts = Recordings(), ["yes", "no", "never", "seven", "one", "", "two", "three", "four", "five"]
    rows = np.array([1, 3, 4, 6, 7, 9])  # 0 and 8 may be cut, 2 has two frames for five letters, nothing is said in 5
    alphabet = transcripts.Alphabet.of(texts)
    model = SimpleNamespace(
        view=SimpleNamespace(evaluate=lambda example: example), encoder=SimpleNamespace(frames=lambda n: n // 10)
    )
    examples, said = ctc._read(source, texts, alphabet, model)
    assert source.read_at_once == [4, 4, 2] and said == [texts[row] for row in rows]
    answers = speech.spelled(alphabet, texts)
    for places in (np.array([5, 0, 2]), np.arange(6)):
        np.testing.assert_array_equal(examples["waveform"][places], source.waveform[rows[places]])
        np.testing.assert_array_equal(examples["length"][places], source.length[rows[places]])
        np.testing.assert_array_equal(examples["frames"][places], source.length[rows[places]] // 10)
        np.testing.assert_array_equal(examples["answer"][places], answers[rows[places]])
    assert len(examples["waveform"]) == 6


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--task=ctcc", "Did you mean 'ctc'?"),
        ("--task=ctc/x", "CTC is trained by --task=ctc"),
        ("--task.second=3", "Did you mean 'seconds'?"),
        ("--task.seconds=0", "seconds 0 is not positive"),
        ("--task.audio_key=speech", "'speech'"),
        ("--task.epochs=0", "epochs 0 is not positive"),
    ],
)
def test_wrong_settings(argument, message, folder, data_dir, capsys):
    assert launch.main(["evaluate", str(folder), "--task=ctc", argument, f"--data_dir={data_dir}"]) == 2
    assert message in capsys.readouterr().err


def test_a_reader_of_text_cannot_listen(data_dir, tmp_path, capsys):
    workdir = begun("bert", tmp_path / "bert", data_dir)
    assert launch.main(["evaluate", str(workdir), "--task=ctc", f"--data_dir={data_dir}"]) == 2
    assert "config.data.modality is 'audio', which this is not" in capsys.readouterr().err
