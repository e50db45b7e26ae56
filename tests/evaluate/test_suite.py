import numpy as np
import pytest

from ssl_jax.errors import RunError
from ssl_jax.evaluate import Evaluation, few_shot, knn, prefixed


@pytest.fixture(scope="module")
def splits():
    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 12))
    make = lambda n: (centres[np.arange(n) % 4] + random.normal(size=(n, 12)), np.arange(n) % 4)
    return make(120), make(60)


def test_results_are_flat_and_in_order(splits):
    results = Evaluation(draws=5)(*splits)
    names = [
        "knn_1shot",
        "knn_1shot/std",
        "knn_5shot",
        "knn_5shot/std",
        "knn_full",
        "linear",
        "rank_me",
        "embedding_std",
    ]
    assert list(results) == names
    assert all(type(value) is float for value in results.values())
    assert all(0 <= results[name] <= 1 for name in names[:6])
    assert 1 < results["rank_me"] <= 12


def test_settings_reach_the_tasks(splits):
    (train_x, train_y), (test_x, test_y) = splits
    everything = train_x, train_y, test_x, test_y
    results = Evaluation(tasks=("knn_3shot", "knn_full"), draws=4, seed=9, k=3, temperature=0.5, diagnostics=False)(
        *splits
    )
    assert list(results) == ["knn_3shot", "knn_3shot/std", "knn_full"]
    assert (results["knn_3shot"], results["knn_3shot/std"]) == few_shot(*everything, shots=3, draws=4, seed=9)
    assert results["knn_full"] == knn(*everything, k=3, temperature=0.5)


def test_nothing_to_do_is_fine(splits):
    assert Evaluation(tasks=(), diagnostics=False)(*splits) == {}


def test_without_labels_only_the_diagnostics_remain(splits):
    unlabelled = [(x, np.full(len(x), -1)) for x, _ in splits]
    assert list(Evaluation()(*unlabelled)) == ["rank_me", "embedding_std"]


@pytest.mark.parametrize("split, name", [(0, "training"), (1, "test")])
def test_embeddings_that_are_not_finite_end_the_run(splits, split, name):
    broken = [(x.copy(), y) for x, y in splits]
    broken[split][0][7, 3] = np.nan
    with pytest.raises(RunError, match=f"1 of {len(broken[split][1])} {name} embeddings .* row 7"):
        Evaluation(tasks=())(*broken)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(tasks=("knn_ful",)), "Did you mean 'knn_full'"),
        (dict(tasks=("knn_0shot",)), "knn_0shot"),
        (dict(k=0), "k 0"),
        (dict(temperature=-1.0), "temperature -1.0"),
        (dict(draws=0), "draws 0"),
    ],
)
def test_wrong_settings_are_named_before_anything_runs(settings, message):
    with pytest.raises(ValueError, match=message):
        Evaluation(**settings)


def test_prefixed():
    assert prefixed("eval", {"knn_1shot/std": 0.1}) == {"eval/knn_1shot/std": 0.1}
