"""Writing down speech with what a run has learnt, from its folder."""

import json
from pathlib import Path

import pytest

import launch
from ssl_jax.data.builders import asterisk_sounds
from ssl_jax.experiment import run
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
    if not Path(asterisk_sounds.DEBIAN, asterisk_sounds.VOICES["it"][0]).exists():
        pytest.skip("asterisk-core-sounds-it-wav is not installed")
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
