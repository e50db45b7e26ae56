"""The page of a sweep, of made-up runs with known numbers."""

import json
import pathlib
import re
import time

import filelock
import numpy as np
import pytest
from PIL import Image
from scipy import stats

import launch
from ssl_jax import config as configs
from ssl_jax import report
from ssl_jax.errors import UserError
from ssl_jax.report import measures, parallel, ranking, sweep, sweep_curves
from ssl_jax.report.style import MUTED, SERIES
from ssl_jax.train import runs
from tests.pages import Page

CONFIG = {
    "seed": 0,
    "steps": 20,
    "batch_size": 64,
    "data": {"modality": "image", "name": "digits"},
    "method": {"name": "simclr", "temperature": 0.2},
    **dict.fromkeys(("views", "model", "optimizer", "schedule", "checkpoint", "evaluate", "expected"), {}),
}
LINES = ({"step": 10, "train/loss": 5.0}, {"step": 20, "train/loss": 4.0, "eval/alpha_req": 1.5})


def add(folder, name, overrides, *, results=None, lines=LINES, config=CONFIG, **files):
    """A run's folder; `files`: name without .json -> content. Without results it is not done."""
    run = folder / name
    run.mkdir(parents=True)
    if results is not None:
        files["results"] = {f"pretrained/{measure}": value for measure, value in results.items()}
    for file, content in {"overrides": overrides, "config": config, **files}.items():
        (run / f"{file}.json").write_text(json.dumps(content))
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.fixture
def folder(tmp_path):
    """Three temperatures with two seeds each, and what can become of runs besides."""
    accuracies = {(0.1, 0): 0.90, (0.1, 1): 0.94, (0.5, 0): 0.95, (0.5, 1): 0.95, (1.0, 0): 0.80, (1.0, 1): 0.70}
    for place, ((temperature, seed), accuracy) in enumerate(accuracies.items()):
        scores = {"linear": accuracy, "loss": 3.0 - accuracy, "rank_me": 50 - 10 * accuracy, "knn_full": 0.5}
        add(tmp_path, f"run{place}", {"steps": 20, "method.temperature": temperature, "seed": seed}, results=scores)
    lines = [*LINES, {"step": 30, "eval/linear": 0.99, "eval/linear/std": 0.1}]
    failed = {"reason": "It broke."}
    add(tmp_path, "broken", {"steps": 20, "method.temperature": 9.0, "seed": 0}, lines=lines, failed=failed)
    add(tmp_path, "pruned", {"steps": 20, "method.temperature": 8.0, "seed": 0}, pruned={"step": 20, "value": 0.1})
    add(tmp_path, "stopped", {"steps": 20, "method.temperature": 7.0, "seed": 0})
    return tmp_path


def page_of(folder):
    path = report.write_sweep(folder)
    assert path == folder / "report.html"
    page = Page(path.read_text())
    assert page.open == []
    return page


def spoken(row):
    return {name: " ".join(text.split()) for name, text in row.items()}


def test_all_runs_with_what_they_were_given_and_how_they_stand(folder):
    page = page_of(folder)
    rows = page.table("Run", "State", "temperature")
    assert [row["Run"] for row in rows] == [*(f"run{i}" for i in (2, 3, 1, 0, 4, 5)), "stopped", "pruned", "broken"]
    assert [row["State"] for row in rows] == ["done"] * 6 + ["stopped", "pruned", "failed"]
    expected = {"temperature": "0.1", "seed": "1", "Step": "20", "Linear probe": "94.0 %", "Loss": "2.06"}
    assert expected.items() <= rows[2].items()
    assert (rows[8]["Step"], rows[8]["Linear probe"]) == ("30", "99.0 %"), "the last evaluation of a run that failed"
    assert "steps" not in rows[0] and "Sweep of SimCLR on digits" in page.text
    assert "Runs 9 Done 6 Stopped 1 Pruned 1 Failed 1" in page.text and "steps 20" in page.text
    assert "1 of these runs is not finished" in page.text
    assert "Linear probe: 95.0 % at best, with temperature=0.5, seed=0." in page.text


def test_the_best_of_each_column_is_marked_among_runs_that_are_done(folder):
    rows = page_of(folder).cells("Run", "State")
    expected = {"Linear probe": {"run2", "run3"}, "Loss": {"run2", "run3"}, "Effective rank": {"run5"}}
    for heading, best in expected.items():
        assert {row["Run"]["text"] for row in rows if row[heading].get("class") == "best"} == best
    assert all(row["Full kNN"].get("class") != "best" for row in rows), "all the same"
    assert rows[8]["Linear probe"]["class"] == "early" and rows[8]["Linear probe"]["title"].endswith("step 30")


def test_a_running_run_is_shown_as_such(folder):
    with filelock.FileLock(folder / "stopped" / ".lock"):
        states = {row["Run"]: row["State"] for row in page_of(folder).table("Run", "State")}
    assert states["stopped"] == "running"


def test_a_run_that_waits_has_no_config(folder):
    (folder / "waiting").mkdir()
    (folder / "waiting" / "overrides.json").write_text('{"steps": 20, "method.temperature": 6.0, "seed": 0}')
    page = page_of(folder)
    assert {row["Run"]: row["State"] for row in page.table("Run", "State")}["waiting"] == "waiting"
    assert "2 of these runs are not finished" in page.text


def test_a_pruned_run_that_is_done_is_done(folder):
    (folder / "run0" / "pruned.json").write_text("{}")
    assert "Done 6" in page_of(folder).text


def test_the_best_by_each_measure(folder):
    rows = {row["Measure"]: row for row in map(spoken, page_of(folder).table("Measure", "Best"))}
    assert rows["Linear probe higher is better"] == {
        "Measure": "Linear probe higher is better",
        "Best": "95.0 %",
        "Run": "run2 temperature=0.5, seed=0run3 temperature=0.5, seed=1",
    }
    assert rows["Loss lower is better"]["Best"] == "2.05"
    assert rows["Effective rank (RankMe) higher is better"]["Run"] == "run5 temperature=1, seed=1"
    assert not any(name.startswith(("Full kNN", "Decay")) for name in rows), "all the same"


def test_more_than_three_equal_ones_are_counted(tmp_path):
    for place in range(6):
        add(tmp_path, f"run{place}", {"seed": place}, results={"linear": 0.5 if place else 0.1})
    (row,) = page_of(tmp_path).table("Measure", "Best")
    assert row["Run"].count("seed=") == 3 and "and 2 more" in row["Run"]


def test_seeds_of_one_setting_together(folder):
    rows = page_of(folder).cells("temperature", "Seeds")
    by_temperature = {row["temperature"]["text"]: row for row in rows}
    assert by_temperature.keys() == {"0.1", "0.5", "1"} and {row["Seeds"]["text"] for row in rows} == {"2"}
    # (0.94 - 0.90) / sqrt(2) and (0.80 - 0.70) / sqrt(2)
    assert by_temperature["0.1"]["Linear probe"]["text"] == "92.0 ± 2.8 %"
    assert by_temperature["1"]["Linear probe"]["text"] == "75.0 ± 7.1 %"
    assert by_temperature["1"]["Loss"]["text"] == "2.25 ± 0.071"
    assert {name for name, row in by_temperature.items() if row["Linear probe"].get("class") == "best"} == {"0.5"}


def test_a_seed_alone_is_one_setting_and_single_seeds_are_none(tmp_path):
    add(tmp_path, "a", {"seed": 0, "steps": 1}, results={"linear": 0.5})
    add(tmp_path, "b", {"seed": 1, "steps": 2}, results={"linear": 0.7})
    assert "Over seeds" not in page_of(tmp_path).text
    for name in "ab":
        (tmp_path / name / "overrides.json").write_text(json.dumps({"seed": ord(name)}))
    assert [row["Linear probe"] for row in page_of(tmp_path).table("Seeds")] == ["60.0 ± 14.1 %"]


def test_reasons_stand_beside_failed_runs_and_are_only_text(folder):
    hostile = '<script>alert("1")</script><img src=x onerror=alert(2)>'
    (folder / "broken" / "failed.json").write_text(json.dumps({"reason": hostile}))
    (folder / "broken" / "log.txt").write_text("a line\n")
    add(folder, 'x"><b onclick=y>', {"method.temperature": '"><script>alert(3)</script>', "seed": 0}, results={})
    page = page_of(folder)
    (row,) = page.table("Setting", "Reason")
    assert row["Reason"] == hostile and row["Step"] == "30" and row["Setting"] == "temperature=9, seed=0"
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any("onerror" in attributes or "onclick" in attributes for _, attributes in page.tags)
    assert "broken/log.txt" in page.addresses


def test_a_run_that_failed_without_a_word_has_the_last_line_of_its_log(folder):
    (folder / "broken" / "failed.json").write_text("{}")
    (folder / "broken" / "log.txt").write_text("one\nKilled\n\n")
    assert page_of(folder).table("Setting", "Reason")[0]["Reason"] == "Killed"


def test_tables_can_be_sorted(folder):
    page = page_of(folder)
    rows = page.cells("Run", "State")
    (head, *_) = next(table for table in page.tables if table[0][0]["text"] == "Run")
    assert all(cell["data-first"] in ("ascending", "descending") for cell in head)
    assert {" ".join(cell["text"].split()): cell["aria-sort"] for cell in head if "aria-sort" in cell} == {
        "Linear probe": "descending"
    }
    assert {cell["text"]: cell["data-first"] for cell in head}["Loss"] == "ascending"
    assert all("data-by" in cell for row in rows for cell in row.values())
    assert rows[2]["Linear probe"]["data-by"] == "0.94" and rows[6]["Linear probe"]["data-by"] == ""
    buttons = [attributes for tag, attributes in page.tags if tag == "button"]
    assert len(buttons) >= len(head) and all(attributes == {"type": "button"} for attributes in buttons)


def test_not_a_number_is_shown_sorted_last_and_never_best(folder):
    (folder / "run5" / "results.json").write_text('{"pretrained/linear": NaN, "pretrained/rank_me": 1e9}')
    row = next(row for row in page_of(folder).cells("Run", "State") if row["Run"]["text"] == "run5")
    assert row["Linear probe"]["text"] == "NaN" and row["Linear probe"]["data-by"] == ""
    assert row["Effective rank"]["class"] == "best"


def test_loads_nothing_from_anywhere(folder):
    (folder / "run0" / "report.html").write_text("")
    page = page_of(folder)
    others = [address for address in page.addresses if not address.startswith("data:image/png;base64,")]
    assert set(others) == {"run0/report.html"}
    source = re.sub(r"data:image/png;base64,[\w+/=]+", "", (folder / "report.html").read_text())
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link|src=\"(?!\")", source.replace("// Sorts", ""))


def test_figures_are_left_as_files_too(folder):
    page_of(folder)
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert names == {
        "parallel",
        *("curves_train_loss", "curves_eval_alpha_req", "curves_eval_linear"),
        *("ranking_rank_me", "ranking_loss"),
    }
    assert not list(folder.glob("*.tmp"))


def test_the_same_runs_give_the_same_page(folder):
    assert report.write_sweep(folder).read_bytes() == report.write_sweep(folder).read_bytes()


@pytest.mark.parametrize("name", ["results", "config", "overrides", "diagnosis"])
def test_damaged_files_are_named(folder, name):
    (folder / "run1" / f"{name}.json").write_text("{")
    with pytest.raises(UserError, match=f"run1/{name}.json"):
        report.write_sweep(folder)


def test_a_sweep_of_one_run(tmp_path):
    add(tmp_path, "only", {"seed": 3}, results={"linear": 0.5, "rank_me": 9.0})
    page = page_of(tmp_path)
    assert page.table("Run", "State") == [
        {"Run": "only", "State": "done", "Step": "20", "Linear probe": "50.0 %", "Effective rank": "9"}
        | {"Decay of the spectrum": "1.5"}
    ]
    assert "too few runs" in page.text and "What the settings do" not in page.text and "best by" not in page.text


def test_a_sweep_without_results(tmp_path):
    for seed in range(3):
        add(tmp_path, f"run{seed}", {"seed": seed}, lines=())
    page = page_of(tmp_path)
    assert "No metrics were written yet" in page.text and "3 of these runs are not finished" in page.text
    assert "No run has a score of a linear probe or of neighbours yet" in page.text


def test_all_runs_wait(tmp_path):
    for seed in range(2):
        add(tmp_path, f"run{seed}", {"seed": seed}, lines=())
        (tmp_path / f"run{seed}" / "config.json").unlink()
    assert [row["State"] for row in page_of(tmp_path).table("Run", "State")] == ["waiting"] * 2


def test_a_diagnosis_of_any_run_has_a_column(folder):
    assert not any("Diagnosis" in cell["text"] for table in page_of(folder).tables for cell in table[0])
    found = [{"step": 20, "verdict": "complete collapse", "text": ""}]
    (folder / "run5" / "diagnosis.json").write_text(json.dumps({"causes": "", "evaluations": found}))
    verdicts = {row["Run"]: row["Diagnosis"] for row in page_of(folder).table("Run", "Diagnosis")}
    assert verdicts["run5"] == "complete collapse" and verdicts["run0"] == ""


def test_fifty_runs_take_seconds(tmp_path):
    draw = np.random.default_rng(0)
    for place in range(50):
        lines = [{"step": t, "train/loss": draw.random(), "train/grad_norm": draw.random()} for t in range(0, 2000, 10)]
        lines += [{"step": t, "eval/knn_full": draw.random(), "eval/rank_me": 9.0} for t in range(0, 2000, 100)]
        overrides = {"optimizer.learning_rate": draw.random(), "model.name": ["vit", "resnet"][place % 2]}
        add(tmp_path, f"run{place}", overrides, lines=lines, results={"knn_full": draw.random(), "loss": draw.random()})
    before = time.process_time()  # on a busy machine the clock on the wall says nothing about the page
    page = page_of(tmp_path)
    assert time.process_time() - before < 20
    assert len(page.table("Run", "State")) == 50 and (tmp_path / "report.html").stat().st_size < 5e6


# How measures without labels rank.


def test_spearman_by_hand():
    # Squared differences of ranks sum to 4: rho = 1 - 6 * 4 / (5 * 24). Of the 120 orders the identity, 4 swaps of
    # neighbours and 3 pairs of such swaps have as much, and as many the other way round.
    rho, p = ranking.spearman([10, 20, 30, 40, 50], [2, 1, 4, 3, 5])
    assert rho == pytest.approx(0.8) and p == pytest.approx(16 / 120)
    # Ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4, about their mean of 2.5: 4.5 / sqrt(4.5 * 5).
    assert ranking.spearman([7, 7, 8, 9], [1, 2, 3, 4])[0] == pytest.approx(np.sqrt(0.9))
    assert ranking.spearman([1, 2, 3, 4], [9, 8, 7, 6]) == (pytest.approx(-1), pytest.approx(2 / 24))


def test_p_of_a_few_runs_and_of_many_agree():
    x, y = np.random.default_rng(1).random((2, 8))
    rho, p = ranking.spearman(x, y)
    approximate = stats.spearmanr(x, y)
    assert rho == pytest.approx(approximate.statistic) and p == pytest.approx(approximate.pvalue, abs=0.02)
    x, y = np.random.default_rng(1).random((2, 9))
    assert ranking.spearman(x, y) == tuple(stats.spearmanr(x, y))


def test_label_free_measures_against_the_probe(tmp_path):
    """alpha-ReQ of 0.8, 1.1, 1.4, 1.6, 0.3 is 0.2, 0.1, 0.4, 0.6, 0.7 away from 1: the best two are swapped."""
    accuracies, alphas = (0.9, 0.8, 0.7, 0.6, 0.5), (0.8, 1.1, 1.4, 1.6, 0.3)
    for place, (accuracy, alpha) in enumerate(zip(accuracies, alphas)):
        lines = [{"step": 10, "eval/alpha_req": 99.0}, {"step": 20, "eval/alpha_req": alpha}]
        scores = {"linear": accuracy, "loss": 1 - accuracy, "rank_me": 10 - accuracy}
        add(tmp_path, f"run{place}", {"seed": place}, results=scores, lines=lines)
    add(tmp_path, "other", {"seed": 9}, lines=[{"step": 5, "eval/linear": 0.0, "eval/loss": 0.0, "eval/rank_me": 99.0}])
    page = page_of(tmp_path)
    rows = {row["Measure"].split()[0]: row for row in map(spoken, page.table("Measure", "ρ"))}
    assert (rows["Loss"]["ρ"], rows["Loss"]["p"], rows["Loss"]["Runs"]) == ("1.00", "0.017", "5")  # 2 / 120
    assert (rows["RankMe"]["ρ"], rows["alpha-ReQ"]["ρ"]) == ("−1.00", "0.90")
    assert rows["LiDAR"]["ρ"] == "not measured"
    assert rows["Loss"]["Its choice"] == "run0 seed=0" and rows["Loss"]["Probe of its choice"] == "90.0 %"
    assert rows["RankMe"]["Probe of its choice"] == "50.0 %" and rows["alpha-ReQ"]["Its choice"] == "run1 seed=1"
    assert "the probe (Linear probe)" in page.text and "Loss: ρ = 1.00" in page.text


@pytest.mark.parametrize("count, why", [(0, "not measured"), (3, "too few runs"), (4, "all runs have the same value")])
def test_no_number_where_there_can_be_none(tmp_path, count, why):
    for place in range(4):
        scores = {"linear": place / 10} | ({"lidar": 5.0} if place < count else {})
        add(tmp_path, f"run{place}", {"seed": place}, results=scores)
    found = ranking.rankings(sweep.entries(tmp_path), "linear")
    lidar = next(each for each in found if each.measure == "lidar")
    assert (lidar.rho, lidar.p, lidar.why, len(lidar.runs)) == (None, None, why, count)


@pytest.mark.parametrize(
    "present, probe, main",
    [
        (("knn_1shot", "knn_full", "linear", "loss"), "linear", "linear"),
        (("knn_1shot", "knn_full", "rank_me"), "knn_full", "knn_full"),
        (("knn_10shot", "knn_5shot", "masked_accuracy"), "knn_10shot", "knn_10shot"),
        (("masked_accuracy", "loss", "rank_me"), None, "masked_accuracy"),
        (("loss", "rank_me"), None, "loss"),
        (("rank_me", "spread"), None, None),
    ],
)
def test_what_runs_are_judged_by(present, probe, main):
    assert (measures.probe(present), measures.main(present)) == (probe, main)


def test_a_measure_of_which_nobody_knows_which_way_is_better_has_no_best():
    assert measures.direction("spread") is None and measures.direction("patch_loss") == "lower is better"
    assert measures.best("alpha_req", [0.7, None, 1.2, float("nan"), 3.0]) == {2}
    assert measures.best("loss", [1.0, None]) == set()


# What runs were given.


def test_leaves_are_told_apart_by_as_little_of_their_names_as_will_do():
    leaves = ["method.name", "model.name", "optimizer.learning_rate", "seed", "data.seed", "a.b.c", "b.c"]
    assert list(runs.short_names(leaves).values()) == [
        *("method.name", "model.name", "learning_rate", "seed", "data.seed", "a.b.c", "b.c")
    ]


def test_a_leaf_that_one_run_does_not_override_is_what_its_config_says(tmp_path):
    add(tmp_path, "a", {"method.temperature": 0.5}, results={})
    add(tmp_path, "b", {"seed": 0}, results={})
    found = sweep.entries(tmp_path)
    assert sweep.varying(found) == ["method.temperature"] and sweep.shared(found) == {"seed": 0}
    assert [entry.leaf("method.temperature") for entry in found] == [0.5, 0.2]
    assert found[0].leaf("no.such") is configs.ABSENT and sweep.text(configs.ABSENT) == "—"


@pytest.mark.parametrize(
    "values, places, ticks",
    [
        ([1e-4, 1e-3, 1e-2], [0, 0.5, 1], ["0.0001", "0.001", "0.01"]),
        ([1, 2, 5], [0, 0.25, 1], ["1", "2", "5"]),
        (["vit", "resnet", "vit"], [1, 0, 1], ["resnet", "vit"]),
        ([None, 0.5, 10.0], [1, 0, 0.5], ["0.5", "10", "None"]),
        ([True, False], [1, 0], ["False", "True"]),
        ([[0.2, 1.0], [0.8, 1.0]], [0, 1], ["(0.2, 1.0)", "(0.8, 1.0)"]),
        ([0, 100], [0, 1], ["0", "100"]),
        ([3.0], [0.5], ["3"]),
    ],
)
def test_where_values_lie_on_their_axis(values, places, ticks):
    scale = parallel.scale(values)
    assert [scale.at(value) for value in values] == pytest.approx(places)
    assert [name for _, name in scale.ticks] == ticks


def test_many_values_get_a_few_round_ticks_that_do_not_touch():
    for values in (
        np.linspace(3, 97, 40).tolist(),
        np.geomspace(1e-5, 0.3, 40).tolist(),
        [f"name {i}" for i in range(40)],
    ):
        ticks = parallel.scale(values).ticks
        assert 2 <= len(ticks) <= 20 and min(np.diff([place for place, _ in ticks])) > 0.05


def test_the_best_is_on_top():
    assert (
        parallel.of_measure("loss", [2.0, 4.0]).at(2.0) == 1 and parallel.of_measure("linear", [0.2, 0.4]).at(0.4) == 1
    )


def test_parallel_coordinates_of_anything(tmp_path):
    for place, temperature in enumerate((0.1, "$x_{y$", None, [1, 2])):
        overrides = {
            "method.temperature": temperature,
            "seed": place,
            "a.very.long_name_of_a_leaf": "x" * (place + 1) * 20,
        }
        add(tmp_path, f"run{place}", overrides, results={"linear": place / 10} if place else None)
    found = sweep.entries(tmp_path)
    for measure in ("linear", None):
        parallel.parallel(found, sweep.varying(found), measure, tmp_path / "parallel.png")
        with Image.open(tmp_path / "parallel.png") as picture:
            assert picture.width > 2000


def test_few_runs_have_a_colour_each_and_many_that_of_their_score(tmp_path):
    for place in range(8):
        add(tmp_path, f"run{place}", {"seed": place}, results={"linear": place / 10} if place else None)
    found = sweep.entries(tmp_path)
    few = sweep_curves.colours(found[:3], ["seed"], "linear")
    assert few.named == tuple((SERIES[i], f"seed={i}") for i in range(3)) and few.measure is None
    many = sweep_curves.colours(found, ["seed"], "linear")
    assert many.of[0] == MUTED and len(set(many.of)) == 8 and many.ends == ("10.0 %", "70.0 %") and not many.named
    assert set(sweep_curves.colours(found, ["seed"], None).of) == {MUTED}


def test_a_run_that_diverged_does_not_flatten_the_others(tmp_path):
    lines = [{"step": t, "train/loss": 5 - t / 10} for t in range(20)]
    add(tmp_path, "a", {"seed": 0}, lines=lines)
    add(tmp_path, "b", {"seed": 1}, lines=[*lines, {"step": 20, "train/loss": 1e9}, {"step": 21, "train/loss": 2.0}])
    found = sweep.entries(tmp_path)
    colours = sweep_curves.colours(found, ["seed"], None)
    assert sweep_curves.draw(found, "train/loss", colours, tmp_path / "b.png") == "Values above 5 are out of sight."
    with Image.open(tmp_path / "b.png") as picture:
        coloured = np.ptp(np.asarray(picture.convert("RGB")).astype(int), axis=-1) > 60
        rows = np.flatnonzero(coloured[:, : picture.width // 2].any(axis=1))  # left of what diverged
    assert np.ptp(rows) > 80, "a third of the axis; a flat line is 5 pixels high"
    assert sweep_curves.draw(found[:1], "train/loss", colours, tmp_path / "a.png") == ""


def test_metrics_of_both_splits_are_told_apart(tmp_path):
    add(
        tmp_path, "a", {"seed": 0}, lines=[{"step": 1, "eval/loss": 1.0, "train/loss": 2.0, "train/none": float("nan")}]
    )
    assert sweep_curves.keys(sweep.entries(tmp_path)) == {
        "train/loss": "Loss (training)",
        "eval/loss": "Loss (held out)",
    }


# The command.


@pytest.mark.parametrize("form", ["{}", "--workdir={}"])
def test_the_command_takes_a_sweep_and_a_run(folder, form, capsys):
    assert launch.main(["report", form.format(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert "Sweep of" in (folder / "report.html").read_text()
    assert launch.main(["report", form.format(folder / "run0")]) == 0
    assert "Sweep of" not in (folder / "run0" / "report.html").read_text()


def test_a_folder_that_is_neither_is_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for arguments in ([str(tmp_path)], [str(tmp_path / "no" / "such")], [], ["a", "b"], ["a", "--workdir=b"]):
        assert launch.main(["report", *arguments]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert ("holds no run (" if len(arguments) == 1 else "launch.py report DIR") in line
    assert [path.name for path in pathlib.Path(tmp_path).iterdir()] == ["empty"], "nothing is written"
