import errno
import json
import re

import numpy as np
import pytest

from ssl_jax import report
from ssl_jax.errors import UserError
from ssl_jax.report.page import training_seconds
from tests.pages import Page

CONFIG = {
    "seed": 3,
    "steps": 200,
    "batch_size": 64,
    "data": {"modality": "image", "name": "digits"},
    "views": {"name": "affine"},
    "method": {"name": "simclr", "temperature": 0.2},
    "model": {"name": "resnet", "depth": 18},
    **dict.fromkeys(("optimizer", "schedule", "checkpoint", "evaluate"), {}),
    "expected": {"results": {"pretrained/knn_1shot": 0.8}, "source": "a <paper> & table 6"},
}
RESULTS = {
    "raw/knn_1shot": 0.642,
    "untrained/knn_1shot": 0.46,
    "pretrained/knn_1shot": 0.823,
    "pretrained/knn_1shot/std": 0.04,
}


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    lines = [{"step": t, "train/loss": 3.0 / t, "examples_per_second": 640.0} for t in range(10, 201, 10)]
    lines.append({"step": 200, "eval/knn_1shot": 0.82, "eval/rank_me": 20.0})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    return tmp_path


def page_of(workdir):
    path = report.write(workdir)
    assert path == workdir / "report.html"
    return Page(path.read_text())


def test_tells_what_was_run_and_what_came_out(workdir):
    page = page_of(workdir)
    assert page.open == []
    for text in (
        "SimCLR on digits",
        "ResNet, depth 18",
        "64 examples",
        "about 20 s",
        "82.3 ± 4.0 %",
        "64.2 %",
        "80.0 %",
    ):
        assert text in page.text
    assert "1-shot kNN: 82.3 % after pretraining, 46.0 % before it, 64.2 % from the raw input." in page.text
    assert "config.method.temperature = 0.2" in page.text
    assert "a <paper> & table 6" in page.text
    assert "not finished" not in page.text


def test_expected_margins_are_shown_by_measure(workdir):
    margins = {"linear": 0.1, "rank_me": 5.0}
    expected = {"results": {}, "margins": margins, "parameters": 24_000_000, "hours": 15.0, "notes": "", "more": {}}
    (workdir / "config.json").write_text(json.dumps(CONFIG | {"expected": expected}))
    text = page_of(workdir).text
    assert (
        "Expected: margins Linear probe 10.0 %, Effective rank 5 Expected: parameters 24,000,000 Expected: hours 15.0"
        in text
    )
    assert "Expected: notes" not in text and "Expected: more" not in text and "Expected: results" not in text


def test_loads_nothing_from_anywhere(workdir):
    report.image_grid(np.zeros((1, 4, 4, 1)), workdir / "figures" / "views.png")
    page = page_of(workdir)
    assert len(page.addresses) == 5  # four panels and the views
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    source = re.sub(r"data:image/png;base64,[\w+/=]+", "", (workdir / "report.html").read_text())
    assert not re.search(r"https?:|@import|url\(|<script", source)


def test_figures_come_in_order_with_what_to_look_at(workdir):
    for name in ("zebra", "embedding_map_untrained", "views", "neighbours", "views_2"):
        report.image_grid(np.zeros((1, 4, 4, 1)), workdir / "figures" / f"{name}.png")
    text = page_of(workdir).text
    titles = (
        "What the network sees",
        "What the network sees (2)",
        "Nearest neighbours",
        "Map of the embeddings (untrained)",
        "Zebra",
    )
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert "views that are too strong" in text


def test_curves_are_left_as_a_file_too(workdir):
    page_of(workdir)
    assert (workdir / "figures" / "curves.png").stat().st_size > 5000


def test_a_collapse_stands_at_the_top_and_health_beside_the_curves(workdir):
    assert "Diagnosis" not in page_of(workdir).text
    found = [{"step": step, "verdict": "healthy", "text": f"No <sign> at {step}."} for step in (100, 200)]
    (workdir / "diagnosis.json").write_text(json.dumps({"causes": "Causes: some.", "evaluations": found}))
    text = page_of(workdir).text
    assert "Diagnosis at step 200. No <sign> at 200." in text and "Causes" not in text
    found.append({"step": 300, "verdict": "complete collapse", "text": "All alike."})
    (workdir / "diagnosis.json").write_text(json.dumps({"causes": "Causes: some.", "evaluations": found}))
    text = page_of(workdir).text
    assert "Collapsed at step 300. All alike. Causes: some." in text
    assert text.index("Collapsed") < text.index("Results on held-out data") and "Diagnosis" not in text


@pytest.mark.parametrize("content", ['{"evaluations": []}', '{"evaluations": [3], "causes": ""}', '{"causes": ""}'])
def test_a_damaged_diagnosis_is_named(workdir, content):
    (workdir / "diagnosis.json").write_text(content)
    with pytest.raises(UserError, match="diagnosis.json is damaged"):
        report.write(workdir)


def test_an_unfinished_run_says_so_and_shows_the_baselines(workdir):
    (workdir / "results.json").unlink()
    (workdir / "baselines.json").write_text(json.dumps({"raw/knn_1shot": 0.642}))
    text = page_of(workdir).text
    assert "not finished" in text and "64.2 %" in text


def test_results_may_be_handed_over_before_they_are_written(workdir):
    (workdir / "results.json").unlink()
    report.write(workdir, results={"pretrained/linear": 0.912})
    text = (workdir / "report.html").read_text()
    assert "91.2 %" in text and "not finished" not in text


def test_a_run_that_has_only_begun(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    text = page_of(tmp_path).text
    assert "No results were written yet" in text and "No metrics were written yet" in text and "0 of 200" in text


def test_the_recorded_environment_is_shown(workdir):
    assert "left no record of its own" in page_of(workdir).text
    report.record_environment(workdir)
    recorded = json.loads((workdir / "environment.json").read_text())
    recorded["devices"] = "4 x imaginary chip"
    (workdir / "environment.json").write_text(json.dumps(recorded))
    text = page_of(workdir).text
    assert "4 x imaginary chip" in text and recorded["jax"] in text and "left no record" not in text


def test_the_same_run_gives_the_same_page(workdir):
    assert report.write(workdir).read_bytes() == report.write(workdir).read_bytes()


def test_a_line_cut_off_by_a_kill_is_left_out(workdir):
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 210, "train/lo')
    assert "200" in page_of(workdir).text


@pytest.mark.parametrize("name", ["config.json", "results.json", "environment.json"])
@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_damaged_files_are_named(workdir, name, text):
    (workdir / name).write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=name):
        report.write(workdir)


@pytest.mark.parametrize(
    "leaves, message",
    [
        ({"method": 3}, "config.method is 3; it must be a part"),
        ({"model": []}, r"config.model is \[\]; it must be a part"),
        ({"steps": "many"}, "config.steps is 'many'"),
        ({"expected": {"results": 3}}, "config.expected.results is 3; it must be a part"),
        ({"expected": {"results": {"linear": "high"}}}, "config.expected.results.linear is 'high'"),
        ({"expected": {"margins": {"linear": [1]}}}, r"config.expected.margins.linear is \[1\]"),
    ],
)
def test_configs_of_another_shape_are_one_line(workdir, leaves, message):
    (workdir / "config.json").write_text(json.dumps(CONFIG | leaves))
    with pytest.raises(UserError, match=f"config.json is damaged: {message}") as caught:
        report.write(workdir)
    assert "\n" not in str(caught.value)


def test_a_config_alone_of_its_method_is_one_line(workdir):
    (workdir / "config.json").write_text('{"method": 3}')
    with pytest.raises(UserError, match="config.json is damaged: config.seed is missing"):
        report.write(workdir)


def test_names_that_are_no_strings_are_shown(workdir):
    (workdir / "config.json").write_text(json.dumps(CONFIG | {"method": {"name": 3}, "model": {"name": [1]}}))
    assert "3 on digits" in page_of(workdir).text


@pytest.mark.parametrize("name", ["results.json", "baselines.json"])
def test_results_that_are_no_numbers_are_named(workdir, name):
    (workdir / "results.json").unlink()
    (workdir / name).write_text('{"pretrained/linear": "high"}')
    with pytest.raises(UserError, match=f"{name} is damaged: pretrained/linear is 'high'"):
        report.write(workdir)


def test_a_record_of_the_environment_is_written_whole_or_not_at_all(workdir, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    report.record_environment(workdir)
    before = (workdir / "environment.json").read_text()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="environment.json"):
        report.record_environment(workdir)
    assert (workdir / "environment.json").read_text() == before and not list(workdir.glob("*.tmp"))


def test_damaged_pictures_are_named(workdir):
    (workdir / "figures").mkdir()
    (workdir / "figures" / "views.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match="figures/views.png"):
        report.write(workdir)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        report.write(tmp_path)


def test_training_seconds():
    assert (
        training_seconds([{"step": 100, "examples_per_second": 50.0}, {"step": 300, "examples_per_second": 100.0}], 10)
        == 40
    )
    assert training_seconds([{"step": 100, "train/loss": 1.0}], 10) == 0
