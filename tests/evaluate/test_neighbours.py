import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ssl_jax.evaluate import knn, nearest
from ssl_jax.evaluate import neighbours as module


def blobs(n, *, seed, d=16, classes=7, spread=2.0):
    centres = np.random.default_rng(99).normal(size=(classes, d))
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=n).astype(np.int32)
    return (centres[labels] + spread * random.normal(size=(n, d))).astype(np.float32), labels


def sklearn_accuracy(train, test, *, k, temperature):
    weights = lambda distance: np.exp((1 - distance) / temperature)
    model = KNeighborsClassifier(n_neighbors=k, metric="cosine", weights=weights).fit(*train)
    return float(np.mean(model.predict(test[0]) == test[1]))


@pytest.mark.parametrize("k, temperature", [(1, 0.07), (5, 0.07), (20, 0.07), (50, 1.0)])
def test_equals_scikit_learn(k, temperature):
    train, test = blobs(501, seed=0), blobs(203, seed=1)
    ours = knn(*train, *test, k=k, temperature=temperature)
    assert ours == pytest.approx(sklearn_accuracy(train, test, k=k, temperature=temperature), abs=1e-9)
    assert 0.3 < ours < 0.99


@pytest.mark.parametrize("block, query_block", [(1, 7), (64, 50), (100, 203), (501, 1), (4096, 4096)])
def test_blocks_change_nothing(block, query_block):
    train, test = blobs(501, seed=0), blobs(203, seed=1)
    whole = nearest(train[0], test[0], k=9)
    parts = nearest(train[0], test[0], k=9, block=block, query_block=query_block)
    np.testing.assert_array_equal(parts[1], whole[1])
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-6)
    assert knn(*train, *test, block=block, query_block=query_block) == knn(*train, *test)


def test_neighbours_equal_a_sort_of_all_similarities():
    (train, _), (test, _) = blobs(300, seed=2), blobs(40, seed=3)
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    all_pairs = unit(test.astype(np.float64)) @ unit(train.astype(np.float64)).T
    similarity, index = nearest(train, test, k=6, block=37)
    np.testing.assert_array_equal(index, np.argsort(-all_pairs, axis=1)[:, :6])
    np.testing.assert_allclose(similarity, -np.sort(-all_pairs, axis=1)[:, :6], atol=1e-6)


def test_by_hand():
    train = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], np.float32)
    labels = np.array([0, 1, 1])
    query = np.array([[2.0, 0.0]], np.float32)
    # Similarities 1, 0.8, 0. At temperature 0.1 the weights are e^10 against e^8 + e^0; at 10 they are nearly equal.
    assert knn(train, labels, query, np.array([0]), k=3, temperature=0.1) == 1.0
    assert knn(train, labels, query, np.array([1]), k=3, temperature=10.0) == 1.0


def test_only_directions_count():
    train, test = blobs(200, seed=0), blobs(100, seed=1)
    lengths = 10.0 ** np.random.default_rng(0).uniform(-30, 30, size=(200, 1))
    scaled = ((train[0].astype(np.float64) * lengths).astype(np.float32), train[1])
    assert knn(*scaled, *test) == knn(*train, *test)


def test_zero_vectors_are_similar_to_nothing():
    similarity, _ = nearest(np.zeros((3, 4), np.float32), np.ones((2, 4), np.float32), k=2)
    np.testing.assert_array_equal(similarity, 0)


def test_equal_similarities_keep_the_order_of_the_training_set():
    _, index = nearest(np.ones((10, 3), np.float32), np.ones((1, 3), np.float32), k=4, block=3)
    np.testing.assert_array_equal(index, [[0, 1, 2, 3]])


def test_fewer_examples_than_k():
    train, test = blobs(4, seed=0), blobs(6, seed=1)
    assert nearest(train[0], test[0], k=20)[1].shape == (6, 4)
    assert 0 <= knn(*train, *test, k=20) <= 1


def test_half_precision_and_memory_maps(tmp_path):
    train, test = blobs(300, seed=0), blobs(50, seed=1)
    stored = np.memmap(tmp_path / "x", np.float16, "w+", shape=train[0].shape)
    stored[:] = train[0]
    assert abs(knn(stored, train[1], *test, block=64) - knn(*train, *test)) <= 0.04


def test_no_array_on_the_device_grows_with_the_sets(monkeypatch):
    seen = []
    merge = module._merge
    monkeypatch.setattr(module, "_merge", lambda *a: seen.append((a[1].shape, a[2].shape)) or merge(*a))
    train, test = blobs(1000, seed=0), blobs(300, seed=1)
    knn(*train, *test, block=64, query_block=32)
    assert set(seen) == {((32, 16), (64, 16))}
    assert len(seen) == 16 * 10


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(k=0), "k 0"),
        (dict(temperature=0.0), "temperature 0.0"),
        (dict(block=0), "block 0"),
        (dict(train_x=np.zeros((0, 16)), train_y=np.zeros(0, int)), "train_x is empty"),
        (dict(test_y=np.zeros(3, int)), "test_y has shape"),
        (dict(test_x=np.zeros((203, 5))), "one width"),
    ],
)
def test_wrong_inputs(change, message):
    (train_x, train_y), (test_x, test_y) = blobs(501, seed=0), blobs(203, seed=1)
    arguments = dict(train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y) | change
    with pytest.raises(ValueError, match=message):
        knn(**arguments)
