import io

import numpy as np
import pytest
from PIL import Image

from ssl_jax.report import curves, panels


def metrics(steps=100):
    lines = [
        {"step": t, "train/loss": 5.0 - t / 50, "train/learning_rate": 1e-3, "train/top": 0.1} for t in range(1, steps)
    ]
    lines += [{"step": t, "eval/knn_full": 0.9, "eval/knn_1shot": 0.7, "eval/loss": 4.0} for t in range(20, steps, 20)]
    return lines


def test_known_panels_come_first_and_nothing_is_lost():
    built = panels.panels_of(metrics())
    assert [panel.title for panel in built] == ["Loss", "Accuracy on held-out data", "Learning rate", "Top"]
    assert built[0].keys == ("train/loss", "eval/loss")
    assert built[1].keys == ("eval/knn_1shot", "eval/knn_full")


def test_one_name_measured_twice_shares_a_panel():
    lines = [{"step": 1, "eval/masked_accuracy": 0.1}, {"step": 2, "train/masked_accuracy": 0.2}]
    assert [panel.keys for panel in panels.panels_of(lines)] == [("train/masked_accuracy", "eval/masked_accuracy")]


def test_spreads_and_values_that_are_not_finite_are_not_drawn():
    lines = [{"step": 1, "eval/knn_1shot/std": 0.1, "train/loss": float("nan")}]
    assert panels.panels_of(lines) == []


def test_series_is_sorted_and_the_later_line_counts():
    lines = [{"step": 2, "a": 1.0}, {"step": 1, "a": 5.0}, {"step": 2, "a": 3.0}, {"step": 3, "b": 0.0}]
    steps, values = panels.series(lines, "a")
    assert steps.tolist() == [1, 2] and values.tolist() == [5, 3]


def test_smoothing_keeps_straight_lines_and_averages():
    line = np.arange(50.0)
    np.testing.assert_allclose(panels.smoothed(line, 7), line)
    noisy = np.array([0.0, 3.0, 0.0, 3.0, 0.0])
    np.testing.assert_allclose(panels.smoothed(noisy, 1), [0, 1, 2, 1, 0])


@pytest.mark.parametrize("lines", [metrics(), metrics(3), [{"step": 5, "train/loss": 2.0}]])
def test_draws_a_picture(tmp_path, lines):
    path = tmp_path / "figures" / "curves.png"
    curves(lines, path, results={"raw/knn_full": 0.98})
    with Image.open(path) as picture:
        assert picture.width > 500
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]


def test_baselines_are_drawn():
    with_raw, without = io.BytesIO(), io.BytesIO()
    accuracy = [panel for panel in panels.panels_of(metrics()) if "eval/knn_full" in panel.keys]
    curves(metrics(), with_raw, panels=accuracy, results={"raw/knn_full": 0.5})
    curves(metrics(), without, panels=accuracy)
    assert with_raw.getvalue() != without.getvalue()


def test_held_out_curves_begin_with_the_untrained_network(monkeypatch):
    drawn, draw = {}, panels._line

    def spy(axes, steps, values, colour, label, **settings):
        drawn[label] = steps[0]
        draw(axes, steps, values, colour, label, **settings)

    monkeypatch.setattr(panels, "_line", spy)
    results = {"untrained/knn_full": 0.4, "untrained/loss": 6.0, "untrained/linear": 0.3}
    curves(metrics(), io.BytesIO(), results=results)
    assert drawn["Full kNN"] == drawn["held out"] == 0
    assert drawn["1-shot kNN"] == 20 and drawn["training"] == 1
    assert "Linear probe" not in drawn


@pytest.mark.parametrize("lines", [[], [{"step": 1, "train/loss": float("nan")}]])
def test_nothing_to_draw(lines):
    with pytest.raises(ValueError, match="no metric has a finite value"):
        curves(lines, io.BytesIO())
