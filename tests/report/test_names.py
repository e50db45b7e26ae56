import sys

import pytest

from ssl_jax.methods import METHODS
from ssl_jax.report import names


@pytest.mark.parametrize(
    "key, readable",
    [
        ("pretrained/knn_1shot", "1-shot kNN"),
        ("knn_10shot", "10-shot kNN"),
        ("eval/knn_full", "Full kNN"),
        ("train/grad_norm", "Norm of the gradient"),
        ("train/of_your_own", "Of your own"),
    ],
)
def test_metrics(key, readable):
    assert names.metric(key) == readable


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"supervised"}))
def test_a_method_is_called_as_its_file_calls_it(name):
    assert names.method(name) == sys.modules[METHODS[name].__module__].__doc__.partition(":")[0]


def test_order_counts_shots_as_numbers():
    keys = ["loss", "linear", "knn_full", "masked_accuracy", "knn_10shot", "knn_5shot"]
    assert sorted(keys, key=names.metric_order) == [
        "knn_5shot",
        "knn_10shot",
        "knn_full",
        "linear",
        "masked_accuracy",
        "loss",
    ]


def test_pretrained_comes_last():
    assert sorted(["pretrained", "supervised", "raw", "untrained"], key=names.stage_order) == [
        "raw",
        "untrained",
        "supervised",
        "pretrained",
    ]


@pytest.mark.parametrize(
    "key, value, spread, text",
    [
        ("knn_1shot", 0.8421, 0.0213, "84.2 ± 2.1 %"),
        ("linear", 1.0, None, "100.0 %"),
        ("rank_me", 31.4159, None, "31.4"),
        ("rank_me", 12345.6, None, "12,346"),
        ("knn_full", float("nan"), None, "NaN"),
    ],
)
def test_numbers(key, value, spread, text):
    assert names.number(key, value, spread) == text
