import numpy as np
import pytest
from sklearn.datasets import load_digits

from ssl_jax.evaluate import linear_probe


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:1400].astype(np.float32), y[:1400], x[1400:], y[1400:]


def test_digits_are_linearly_separable_for_the_most_part(digits):
    assert 0.88 < linear_probe(*digits) < 0.97


def test_scale_and_offset_of_a_feature_do_not_matter(digits):
    train_x, train_y, test_x, test_y = digits
    scale = 10.0 ** np.linspace(-3, 3, 64)
    moved = linear_probe(train_x * scale + 5, train_y, test_x * scale + 5, test_y)
    assert moved == pytest.approx(linear_probe(*digits), abs=0.01)


def test_random_labels_are_not_learned(digits):
    train_x, train_y, test_x, test_y = digits
    shuffled = np.random.default_rng(0).permutation(train_y)
    assert linear_probe(train_x, shuffled, test_x, test_y, max_iter=50) < 0.25


def test_ends_quietly_before_convergence(digits):
    assert 0 < linear_probe(*digits, max_iter=1) < 1


def test_wrong_settings(digits):
    with pytest.raises(ValueError, match="c 0"):
        linear_probe(*digits, c=0)
    with pytest.raises(ValueError, match="test_y has shape"):
        linear_probe(*digits[:3], digits[3][:-1])
