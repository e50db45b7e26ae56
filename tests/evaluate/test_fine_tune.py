"""The loop that trains further, on any model; and what GLUE measures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.errors import RunError
from ssl_jax.evaluate import classify, fine_tune
from tests import small_text


class Line(nnx.Module):
    """y = a x + b, and how many batches it has seen."""

    def __init__(self):
        self.a, self.b = nnx.Param(jnp.zeros((1, 1))), nnx.Param(jnp.zeros(1))
        self.seen = nnx.BatchStat(jnp.zeros(()))


def squared(model, batch, key):
    del key
    model.seen[...] += 1
    return jnp.mean((batch["x"] * model.a[0, 0] + model.b[0] - batch["y"]) ** 2)


def line():
    x = np.random.default_rng(0).normal(size=64).astype(np.float32)
    return {"x": x, "y": 2 * x + 1}


def test_it_fits_and_carries_along_what_is_no_parameter():
    settings = fine_tune.FineTuning(epochs=40, batch_size=16, learning_rate=0.1, weight_decay=0.0)
    model, steps = Line(), fine_tune.steps_of(64, settings)
    losses = fine_tune.fine_tune(model, squared, fine_tune.shuffled(line(), settings), steps, settings, doing="Trying")
    assert steps == len(losses) == model.seen[...] == 160
    np.testing.assert_allclose([model.a[0, 0], model.b[0]], [2, 1], atol=0.02)
    assert losses[-1] < 1e-3 < losses[0]


def test_rate_rises_and_falls_and_biases_do_not_decay():
    settings = fine_tune.FineTuning(learning_rate=0.1, warmup=0.25, weight_decay=0.5, clip_norm=1e9)
    optimizer, params = settings.optimizer(8), {"kernel": jnp.ones((2, 2)), "bias": jnp.ones((3, 2))}
    state, moved = optimizer.init(params), []
    for _ in range(8):
        updates, state = optimizer.update(jax.tree.map(jnp.ones_like, params), state, params)
        moved.append((-updates["kernel"][0, 0], -updates["bias"][0, 0]))
    rates = 0.1 * np.array([0, 1 / 2, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    np.testing.assert_allclose([bias for _, bias in moved], rates, rtol=1e-4)  # Adam's step is the rate
    np.testing.assert_allclose([kernel for kernel, _ in moved], 1.5 * rates, rtol=1e-4)


def test_every_epoch_has_all_examples_in_another_order():
    settings = fine_tune.FineTuning(epochs=2, batch_size=4, seed=3)
    batches = [batch["x"].tolist() for batch in fine_tune.shuffled({"x": np.arange(8)}, settings)]
    first, second = sum(batches[:2], []), sum(batches[2:], [])
    assert sorted(first) == sorted(second) == list(range(8)) and first != second
    again = [batch["x"].tolist() for batch in fine_tune.shuffled({"x": np.arange(8)}, settings)]
    assert again == batches and fine_tune.steps_of(8, settings) == 4
    assert fine_tune.steps_of(9, settings) == 4 and fine_tune.steps_of(3, settings) == 2


def test_a_loss_that_is_not_finite_stops():
    settings = fine_tune.FineTuning(epochs=1, batch_size=16)
    broken = lambda model, batch, key: model.a[0, 0] / 0.0
    with pytest.raises(RunError, match="Trying: the loss is nan at step 1"):
        fine_tune.fine_tune(Line(), broken, fine_tune.shuffled(line(), settings), 4, settings, doing="Trying")


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(epochs=0), "epochs 0 is not positive"),
        (dict(learning_rate=-1.0), "learning_rate -1.0 is not positive"),
        (dict(warmup=2.0), "warmup 2.0 is not a share"),
        (dict(weight_decay=-0.1), "weight_decay -0.1 must be at least 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        fine_tune.FineTuning(**settings)


def test_all_examples_are_predicted_once():
    found = fine_tune.predicted(lambda batch: batch["x"] * 2, {"x": np.arange(7.0)}, 3)
    np.testing.assert_array_equal(found, np.arange(7) * 2)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_a_classifier_learns_what_a_text_says(pool):
    """Whether a token occurs."""
    rng = np.random.default_rng(0)
    batch = small_text.batch(64)
    answers = rng.integers(0, 2, 64)
    batch["tokens"][batch["tokens"] == 7] = 8
    batch["tokens"][np.arange(64), rng.integers(1, 7, 64)] = np.where(answers, 7, 8)
    examples = {"tokens": batch["tokens"], "segments": batch["segments"], "answer": answers.astype(np.int32)}
    settings = fine_tune.FineTuning(epochs=30, batch_size=32, learning_rate=1e-2)
    model = classify.Classifier(small_text.encoder(), 2, pad_id=0, pool=pool, rngs=nnx.Rngs(0))
    steps = fine_tune.steps_of(64, settings)
    losses = fine_tune.fine_tune(
        model, classify.answer_loss, fine_tune.shuffled(examples, settings), steps, settings, doing="Trying"
    )
    assert losses[-5:].mean() < 0.5 * losses[:5].mean()
    outputs = nnx.jit(lambda model: model(examples))(model)
    found = classify.scores(np.asarray(outputs), answers, ("accuracy", "f1", "matthews"))
    assert min(found["accuracy"], found["f1"]) > 0.9 and found["matthews"] > 0.8


def test_losses_by_hand():
    model = lambda batch, key: jnp.array([[0.0, jnp.log(3.0)], [0.0, 0.0]])
    classes = classify.answer_loss(model, {"answer": jnp.array([1, 0])}, None)
    np.testing.assert_allclose(classes, (-np.log(0.75) - np.log(0.5)) / 2, rtol=1e-6)
    numbers = classify.answer_loss(
        lambda batch, key: jnp.array([[1.0], [4.0]]), {"answer": jnp.array([3.0, 4.0])}, None
    )
    assert numbers == 2.0


def test_scores_by_hand():
    outputs, answers = np.array([[1, 0], [0, 1], [0, 1], [1, 0.0]]), np.array([0, 1, 0, 1])
    found = classify.scores(outputs, answers, ("accuracy", "f1", "matthews"))
    assert found == {"accuracy": 0.5, "f1": 0.5, "matthews": 0.0}
    found = classify.scores(np.array([[1.0], [2], [4]]), np.array([1.0, 2, 3]), ("pearson", "spearman"))
    assert found["spearman"] == pytest.approx(1) and found["pearson"] == pytest.approx(0.98198, abs=1e-5)
    assert classify.scores(np.ones((3, 1)), np.arange(3.0), ("pearson",)) == {"pearson": 0.0}
