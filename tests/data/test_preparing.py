"""`launch.py prepare --config=FILE`: a run finds all that it reads."""

from pathlib import Path

import pytest

import launch
from ssl_jax import data
from ssl_jax.data import files
from tests import tiny


@pytest.mark.parametrize(
    "method, overrides",
    [("bert", ["--config.data.layout=full_sentences", "--config.method.next_sentence_weight=0.0"]), ("simclr", [])],
)
def test_nothing_is_left_to_be_built(
    method: str, overrides: list[str], tmp_path: Path, data_dir: str, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(Path(__file__).parents[2])
    (tmp_path / "data").mkdir()
    for name in ("kjv", "digits"):
        data.prepare(name, data_dir)
        (tmp_path / "data" / name).symlink_to(Path(data_dir) / name)
    arguments = ["prepare", f"--config=tests/tiny.py:{method}", f"--data_dir={tmp_path / 'data'}", "--workers=1"]
    assert launch.main([*arguments, *overrides]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"All that tests/tiny.py:{method} reads is ready."

    monkeypatch.setattr(files, "build_alone", lambda folder, write: pytest.fail(f"{folder} was not there"))
    node = tiny.config(method)["data"] | ({"layout": "full_sentences"} if overrides else {})
    opened = data.described(node, str(tmp_path / "data"))
    for split in (opened.train, opened.eval_train, opened.eval):
        assert len(split.read([0])["label"]) == 1
