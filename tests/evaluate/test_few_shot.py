import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from ssl_jax.evaluate import draw_shots, few_shot, knn


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        x.astype(np.float32), y.astype(np.int32), test_size=360, stratify=y, random_state=0
    )
    return train_x, train_y, test_x, test_y


def test_raw_digits_give_the_known_numbers(digits):
    one, spread = few_shot(*digits, shots=1)
    five, narrower = few_shot(*digits, shots=5)
    assert one == pytest.approx(0.64, abs=0.02)
    assert five == pytest.approx(0.85, abs=0.02)
    assert 0.02 < narrower < spread < 0.08
    assert knn(*digits) == pytest.approx(0.98, abs=0.015)


def test_each_draw_equals_scikit_learn(digits):
    train_x, train_y, test_x, test_y = digits
    accuracies = []
    for known in draw_shots(train_y, shots=3, draws=7, seed=5):
        model = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(train_x[known], train_y[known])
        accuracies.append(np.mean(model.predict(test_x) == test_y))
    ours = few_shot(*digits, shots=3, draws=7, seed=5)
    np.testing.assert_allclose(ours, (np.mean(accuracies), np.std(accuracies, ddof=1)), atol=1e-9)


@pytest.mark.parametrize("block, query_block", [(1, 64), (30, 360), (85, 7), (10**6, 10**6)])
def test_blocks_change_nothing(digits, block, query_block):
    settings = dict(shots=3, draws=7)
    whole = few_shot(*digits, **settings)
    np.testing.assert_allclose(few_shot(*digits, **settings, block=block, query_block=query_block), whole, atol=1e-12)


def test_draws_take_distinct_examples_of_every_class():
    labels = np.random.default_rng(0).integers(6, size=200)
    drawn = draw_shots(labels, shots=4, draws=50, seed=0)
    assert drawn.shape == (50, 24)
    np.testing.assert_array_equal(labels[drawn], np.repeat(np.unique(labels), 4)[None].repeat(50, 0))
    assert all(len(set(row)) == 24 for row in drawn)


def test_draws_are_uniform_within_a_class():
    labels = np.array([0] * 10 + [1] * 5)
    drawn = draw_shots(labels, shots=2, draws=5000, seed=0)
    counts = np.bincount(drawn.ravel(), minlength=15)
    np.testing.assert_allclose(counts[:10] / 5000, 0.2, atol=0.03)
    np.testing.assert_allclose(counts[10:] / 5000, 0.4, atol=0.03)


def test_draws_depend_on_the_seed_and_begin_the_same():
    labels = np.arange(100) % 5
    few, many = (draw_shots(labels, shots=2, draws=n, seed=3) for n in (4, 9))
    np.testing.assert_array_equal(few, many[:4])
    assert not np.array_equal(few, draw_shots(labels, shots=2, draws=4, seed=4))


def test_a_class_with_too_few_examples_gives_all_it_has():
    labels = np.array([0] * 9 + [3] * 2)
    drawn = draw_shots(labels, shots=4, draws=20, seed=0)
    assert all(set(row[4:]) == {9, 10} for row in drawn)
    accuracy, spread = few_shot(
        np.eye(11, dtype=np.float32), labels, np.eye(11, dtype=np.float32)[9:], labels[9:], shots=4
    )
    assert (accuracy, spread) == (1.0, 0.0)


def test_labels_need_not_begin_at_zero_nor_occur_in_both_sets():
    x = np.eye(4, dtype=np.float32)
    accuracy, _ = few_shot(x, np.array([7, 7, 9, 9]), x[[0, 3]], np.array([7, 8]), shots=2, draws=3)
    assert accuracy == 0.5


def test_one_draw_has_no_spread(digits):
    assert few_shot(*digits, shots=1, draws=1)[1] == 0.0


@pytest.mark.parametrize("setting", ["shots", "draws", "block"])
def test_settings_must_be_positive(digits, setting):
    with pytest.raises(ValueError, match=f"{setting} 0"):
        few_shot(*digits, **dict(shots=1) | {setting: 0})
