"""What a config's `sweep()` is written with."""

import pytest

from ssl_jax import sweeps


def test_a_grid_has_every_combination():
    found = list(sweeps.grid({"a.b": (1, 2), "seed": (0, 1)}))
    assert found == [{"a.b": 1, "seed": 0}, {"a.b": 1, "seed": 1}, {"a.b": 2, "seed": 0}, {"a.b": 2, "seed": 1}]


def test_zipped_goes_side_by_side():
    assert list(sweeps.zipped({"a": (1, 2), "b": (3, 4)})) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    with pytest.raises(ValueError):
        list(sweeps.zipped({"a": (1, 2), "b": (3,)}))


def test_a_product_of_parts():
    parts = sweeps.zipped({"a": (1, 2)}), sweeps.grid({"seed": (0, 1)})
    assert list(sweeps.product(*parts)) == [{"a": a, "seed": s} for a in (1, 2) for s in (0, 1)]


def test_draws_are_the_same_every_time_and_in_range():
    axes = {
        "u": sweeps.uniform(2, 3),
        "l": sweeps.log_uniform(1e-4, 1e-1),
        "i": sweeps.integer(1, 3),
        "c": sweeps.choice("xy"),
    }
    found = list(sweeps.draws(400, axes, seed=1))
    assert found == list(sweeps.draws(400, axes, seed=1)) != list(sweeps.draws(400, axes, seed=2))
    assert all(2 <= each["u"] <= 3 and 1e-4 <= each["l"] <= 1e-1 for each in found)
    assert {each["i"] for each in found} == {1, 2, 3} and {each["c"] for each in found} == {"x", "y"}
    below = sum(each["l"] < 10**-2.5 for each in found)
    assert 160 < below < 240, "half of the draws are below the geometric mean"
