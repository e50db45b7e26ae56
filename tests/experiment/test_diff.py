"""`launch.py diff A B`: configs and runs, leaf by leaf."""

import json
import pathlib
import re

import pytest

import launch
from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.experiment import diff
from ssl_jax.experiment.resolve import resolved
from ssl_jax.train.workdir import Workdir, check_config

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
QUICKSTART, BYOL = str(CONFIGS / "quickstart.py"), str(CONFIGS / "byol_imagenet_rn50.py")


@pytest.fixture
def run_of_byol(tmp_path):
    """A workdir as a run leaves it, whose config differs from the paper's in three leaves."""
    config = resolved(configs.plain(configs.load(BYOL)))
    config["batch_size"], config["optimizer"]["nesterov"] = 2048, True
    del config["method"]["momentum"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    return str(tmp_path)


def test_a_run_beside_its_papers_config(run_of_byol):
    assert diff.differences(BYOL, run_of_byol) == {
        "config.batch_size": (4096, 2048),
        "config.method.momentum": (0.996, configs.ABSENT),
        "config.optimizer.nesterov": (configs.ABSENT, True),
    }


def test_lines_are_aligned_sorted_and_whole(run_of_byol, capsys, wide_terminal):
    assert launch.main(["diff", BYOL, run_of_byol]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "config." in line]
    assert lines == [
        ["config.batch_size", "4096", "2048"],
        ["config.method.momentum", "0.996", "—"],
        ["config.optimizer.nesterov", "—", "True"],
    ]


def test_a_setting_at_its_default_is_no_difference(tmp_path):
    path = tmp_path / "stated.py"
    states = "config.on_collapse, config.evaluate.k = 'warn', 20"
    path.write_text(
        f"{pathlib.Path(QUICKSTART).read_text()}\n\nshort = get_config\n\n\ndef get_config():\n"
        f"    config = short()\n    {states}\n    return config\n"
    )
    assert diff.differences(QUICKSTART, str(path)) == {}


def test_a_variant_and_values_that_look_like_markup(capsys):
    assert diff.differences(BYOL, f"{BYOL}:smoke")["config.data.mock"] == (0, 64)
    assert launch.main(["diff", BYOL, f"{BYOL}:smoke"]) == 0
    assert "('knn_full',)" in capsys.readouterr().out


def test_a_misspelled_run_is_told_the_runs_beside_it(run_of_byol, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    pathlib.Path(run_of_byol).rename(runs / "mine")
    said = f"diff: '{runs}/mien' does not exist. Did you mean '{runs}/mine'? Valid: {runs}/mine."
    with pytest.raises(UserError, match=f"^{re.escape(said)}$"):
        diff.differences(BYOL, str(runs / "mien"))


def test_equal_configs_say_so(capsys):
    assert launch.main(["diff", QUICKSTART, QUICKSTART]) == 0
    assert capsys.readouterr().out == f"No leaf differs between {QUICKSTART} and {QUICKSTART}.\n"


def test_whole_numbers_are_not_true_or_float(tmp_path):
    for name, value in (("a", 1), ("b", True), ("c", 1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"x": value}))
    assert diff.differences(str(tmp_path / "a"), str(tmp_path / "b")) == {"config.x": (1, True)}
    assert diff.differences(str(tmp_path / "a"), str(tmp_path / "c")) == {"config.x": (1, 1.0)}


def test_a_workdir_belongs_to_one_config(tmp_path):
    folder = Workdir(tmp_path)
    folder.write_json("config.json", {"x": {"rate": 1, "sizes": (1, 2)}})
    check_config(folder.path, {"x": {"rate": 1, "sizes": (1, 2)}})
    with pytest.raises(
        UserError, match=r"another config \(config.x.more: — there, 3 here; config.x.rate: 1 there, True here"
    ):
        check_config(folder.path, {"x": {"more": 3, "rate": True, "sizes": (1, 2)}})
    folder.release()
