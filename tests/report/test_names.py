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
        ("pretrained/image_to_text_top_1", "Text found for a picture first of all"),
        ("text_to_image_top_10_caption_de", "Picture found for a text among the first 10 of all (Caption de)"),
        ("text_to_sound_top_5_chance", "… by chance"),
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


def test_chance_stands_behind_what_is_found_and_kinds_of_text_last():
    keys = [
        "linear",
        "image_to_text",
        "image_to_text_chance",
        "image_to_text_top_1",
        "image_to_text_top_1_chance",
        "image_to_text_top_5",
        "image_to_text_top_10",
        "image_to_text_top_10_chance",
        "image_to_text_top_5_caption_de",
        "image_to_text_top_10_caption_de",
        "text_to_image",
        "text_to_image_top_1",
    ]
    assert sorted(reversed(keys), key=names.metric_order) == keys
    assert all(map(names.is_share, keys))


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
