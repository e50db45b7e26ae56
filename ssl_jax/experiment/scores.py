"""The scores of a run: of raw inputs, of the untrained network, during training, at the end."""

import dataclasses
from collections.abc import Callable, Iterable

import jax
import numpy as np
from flax import nnx

from ssl_jax import data, evaluate
from ssl_jax.errors import unknown
from ssl_jax.experiment import collapse
from ssl_jax.experiment.build import Experiment
from ssl_jax.train import mesh as meshes
from ssl_jax.train import state as states
from ssl_jax.train.state import TrainState

Split = tuple[np.ndarray, np.ndarray]
NGRAM_TOKENS = 20_000_000  # that n-grams are counted in; their table is in memory
DIAGNOSTICS = ("rank_me", "embedding_std")
COMPARED = {"projections": "project", "prototypes": "assign"}  # what is diagnosed beside features: name -> who gives it


class Scorer:
    """Evaluates states of one experiment; what is compiled is compiled once."""

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        self._embed, self._held_out, self._compared = _compiled(experiment)

    def splits(self, state: TrainState) -> tuple[Split, Split]:
        """Embeddings [N, F] and labels [N] of the labelled training split and of the test split."""

        def embed(batch: dict) -> jax.Array:
            return self._embed(state.params, state.variables, self._put(batch))

        return self._both(embed)

    def full(self, state: TrainState, splits: tuple[Split, Split] | None = None) -> dict[str, float]:
        """All tasks of the plan (on `splits`, where they are embedded already) and the method's own metrics."""
        return self.experiment.plan(*(splits or self.splits(state))) | self.held_out(state)

    def during(self, state: TrainState) -> tuple[dict[str, float], collapse.Finding | None]:
        """The tasks that are run on a schedule, as 'eval/NAME', and the diagnosis where the plan has diagnostics."""
        plan = dataclasses.replace(self.experiment.plan, tasks=self.experiment.plan.during)
        splits = self.splits(state)
        scores, found = plan(*splits) | self.held_out(state), None
        if plan.diagnostics:
            rows = _spread(len(splits[1][0]), collapse.EXAMPLES)
            held = getattr(self.experiment.method, "held_deviation", None)
            figures, found = collapse.examine(int(state.step), splits[1][0][rows], self.compared(state, rows), held)
            scores |= figures
        return evaluate.prefixed("eval", scores), found

    def compared(self, state: TrainState, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the loss compares of the held-out examples `rows` (int64 [N]): `COMPARED`, where the method gives it."""
        if not any(hasattr(self.experiment.method, name) for name in COMPARED.values()):
            return {}
        opened, size = self.experiment.data.eval, self.experiment.plan.batch_size
        batches = (opened.read(rows[start : start + size]) for start in range(0, len(rows), size))
        return evaluate.embed(lambda batch: self._compared(state.params, state.variables, self._put(batch)), batches)[0]

    def check_best(self) -> None:
        """Checks, computing nothing, that `config.checkpoint.best` names one of the scores of `during`.

        Raises:
          UserError: it does not.
        """
        best = self.experiment.config["checkpoint"].get("best")
        if best is None:
            return
        _, params, variables = nnx.split(self.experiment.method, nnx.Param, ...)
        own = jax.eval_shape(self._held_out, params, variables, next(iter(self._held_out_batches())), 0)
        during = self.experiment.plan.during if self.experiment.data.spec.num_classes else ()
        figures = (*DIAGNOSTICS, *collapse.figure_names(self.experiment.method))
        figures = figures if self.experiment.plan.diagnostics else ()
        names = evaluate.prefixed("eval", dict.fromkeys([*during, *own, *figures]))
        if best not in names:
            raise unknown("config.checkpoint.best", best, names)

    def held_out(self, state: TrainState) -> dict[str, float]:
        """The method's loss and metrics on the test split, plain mean over its full batches (one short one if all are).

        Views and masks are drawn from the batch's number alone, so that all evaluations of all runs see the same.
        """
        totals, count = {}, 0
        for number, batch in enumerate(self._held_out_batches()):
            values = self._held_out(state.params, state.variables, self._put(batch), number)
            for name, value in jax.device_get(values).items():
                totals[name] = totals.get(name, 0.0) + float(value)
            count += 1
        return {name: total / count for name, total in totals.items()}

    def raw(self) -> dict[str, float]:
        """All tasks of the plan on pixels or word counts; for text, n-gram guesses of hidden words too."""
        plan, spec = self.experiment.plan, self.experiment.data.spec

        def features(batch: dict) -> np.ndarray:
            return evaluate.raw_features(batch, vocab_size=spec.vocab_size, special_ids=spec.special_ids or ())

        plan = dataclasses.replace(plan, diagnostics=False)
        scores = plan(*self._both(features)) if spec.num_classes and plan.tasks else {}
        return scores | (self._ngrams() if "tokens" in spec.shapes else {})

    def _both(self, embed: Callable) -> tuple[Split, Split]:
        """Embeds the labelled training split, as much of it as the plan allows, and the test split."""
        opened, plan = self.experiment.data, self.experiment.plan
        rows, size = labelled_rows(self.experiment), plan.batch_size
        train = (opened.eval_train.read(rows[start : start + size]) for start in range(0, len(rows), size))
        test = data.examples(opened.eval, batch_size=plan.batch_size)
        return evaluate.embed(embed, train), evaluate.embed(embed, test)

    def _ngrams(self) -> dict[str, float]:
        experiment, size = self.experiment, self.experiment.plan.batch_size
        source, (length,) = experiment.data.eval_train, experiment.data.spec.shapes["tokens"]
        rows = _spread(len(source), NGRAM_TOKENS // length)
        tokens = (source.read(rows[start : start + size])["tokens"] for start in range(0, len(rows), size))
        views = jax.jit(
            lambda state, batch, number: _views(experiment, state.params, state.variables, batch, number)[1]
        )
        state = experiment.initial_state()
        held_out = (views(state, batch, number) for number, batch in enumerate(self._held_out_batches()))
        spec = experiment.data.spec
        return evaluate.ngram_accuracy(tokens, held_out, vocab_size=spec.vocab_size, special_ids=spec.special_ids)

    def _held_out_batches(self) -> Iterable[dict]:
        opened, size = self.experiment.data, self.experiment.recipe.batch_size
        size = min(size, len(opened.eval))
        return (batch for batch in data.examples(opened.eval, batch_size=size, seed=0) if len(batch["label"]) == size)

    def _put(self, batch: dict) -> dict[str, jax.Array]:
        mesh = self.experiment.recipe.mesh
        even = len(batch["label"]) % mesh.shape["data"] == 0
        return jax.device_put(batch, meshes.by_row(mesh) if even else meshes.replicated(mesh))


def labelled_rows(experiment: Experiment) -> np.ndarray:
    """Which examples of the labelled training split are used, int64: all, or as many as the plan allows.

    They lie evenly over the split; the first ones could all be of one class.
    """
    return _spread(len(experiment.data.eval_train), experiment.plan.limit)


def _spread(size: int, limit: int | None) -> np.ndarray:
    """At most `limit` row numbers below `size`, evenly spread."""
    return np.linspace(0, size - 1, min(limit or size, size)).astype(np.int64)


def _compiled(experiment: Experiment) -> tuple[Callable, Callable, Callable]:
    graphdef = experiment.recipe.graphdef

    @jax.jit
    def embed(params: nnx.State, variables: nnx.State, batch: dict) -> jax.Array:
        return nnx.merge(graphdef, params, variables, copy=True).embed(batch)

    @jax.jit
    def held_out(params: nnx.State, variables: nnx.State, batch: dict, number: int) -> dict[str, jax.Array]:
        method, views, key = _views(experiment, params, variables, batch, number)
        loss, metrics = method.loss(views, key, train=False)
        return {"loss": loss, **metrics}

    @jax.jit
    def compared(params: nnx.State, variables: nnx.State, batch: dict) -> dict[str, jax.Array]:
        method = nnx.merge(graphdef, params, variables, copy=True)
        return {name: getattr(method, give)(batch) for name, give in COMPARED.items() if hasattr(method, give)}

    return embed, held_out, compared


def _views(experiment: Experiment, params: nnx.State, variables: nnx.State, batch: dict, number: int):
    """The method, and the views and key of held-out batch `number`."""
    method = nnx.merge(experiment.recipe.graphdef, params, variables, copy=True)
    views_key, loss_key = jax.random.split(jax.random.fold_in(states.run_keys(0)[2], number))
    return method, method.views(batch, views_key), loss_key
