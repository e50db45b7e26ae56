"""The scores of a run: of raw inputs, of the untrained network, during training, at the end."""

import dataclasses
import functools
from collections.abc import Callable, Iterable

import jax
import numpy as np
from flax import nnx

from ssl_jax import diagnostics, evaluate
from ssl_jax.data.feed import Source
from ssl_jax.data.order import row_keys
from ssl_jax.errors import unknown
from ssl_jax.experiment import class_texts, collapse, drawn_views
from ssl_jax.experiment.build import Experiment
from ssl_jax.experiment.passes import COMPARED, Passes
from ssl_jax.models import matching
from ssl_jax.train import mesh as meshes
from ssl_jax.train import processes
from ssl_jax.train.state import TrainState

Split = tuple[np.ndarray, np.ndarray]
NGRAM_TOKENS = 20_000_000  # that n-grams are counted in; their table is in memory
WEIGHTED = ("knn_full", evaluate.NEIGHBOURS)  # tasks that are tried on TF-IDF too
DIAGNOSTICS = ("rank_me", "embedding_std")
KINDS = {"image": "image", "audio": "sound"}  # modality -> how what is matched with texts is called


class Scorer:
    """Evaluates states of one experiment; what is compiled is compiled once.

    Of several processes each reads its share of the rows (all rows of those few batches that do not split evenly, and
    for n-grams), all get all features and compute all scores, and those of the first count.
    """

    def __init__(self, experiment: Experiment, between: Callable[[], None] = lambda: None):
        """Args: between: is called before each batch that is embedded, and may end the run."""
        self.experiment, self._between = experiment, between
        self._passes = Passes(experiment)

    def splits(self, state: TrainState) -> tuple[Split, Split]:
        """Embeddings [N, F] and labels [N] of the labelled training split and of the test split."""
        return self._both(self._of(state, self._passes.embed))

    def full(self, state: TrainState, splits: tuple[Split, Split] | None = None) -> dict[str, float]:
        """All tasks of the plan (on `splits`, where they are embedded already), LiDAR, and the method's own metrics."""
        plan = self.experiment.plan
        splits = splits or self._asked_for(plan, state)
        scores = self._tasks(plan, splits, self.matched(state, plan.tasks)) | self.layers(state) | self.lidar(state)
        scores |= self.words(state) | self.held_out(state) | self.likelihood(state)
        return processes.scores_of_first(scores)

    def _asked_for(self, plan: evaluate.Evaluation, state: TrainState) -> tuple[Split, Split] | None:
        """The embedded splits, where `plan` looks at them."""
        return self.splits(state) if plan.tasks or plan.diagnostics else None

    def _tasks(
        self, plan: evaluate.Evaluation, splits: tuple[Split, Split] | None, matched: evaluate.Matched | None = None
    ) -> dict[str, float]:
        """The tasks of `plan` on embedded splits, if there are any, and on what is in a space with texts."""
        if splits is None:
            return {}
        source = self.experiment.data.eval
        document = getattr(source, "document", None)
        return plan(*splits, None if document is None else document(np.arange(len(source))), matched)

    def matched(self, state: TrainState, tasks: Iterable[str]) -> evaluate.Matched | None:
        """The test split and its texts in the common space, where one of `tasks` asks for it."""
        tasks, opened = set(tasks), self.experiment.data
        if not tasks & set(evaluate.MATCHING):
            return None
        found = self._through(self._of(state, self._passes.matched), opened.eval, np.arange(len(opened.eval)))
        written = matching.written(found["tokens"], opened.spec.sep_id)
        classes = self._classes(state) if evaluate.ZERO_SHOT in tasks else None
        about = dict(kind=KINDS[opened.spec.modality], names=opened.text_keys, written=written, classes=classes)
        return evaluate.Matched(**found, **about)

    def _classes(self, state: TrainState) -> np.ndarray:
        """What is said of each class in each template, in the common space: [classes, templates, D]."""
        plan, mesh = self.experiment.plan, self.experiment.recipe.mesh
        tokens = class_texts.written(self.experiment.data, plan.templates, plan.class_names)
        flat = tokens.reshape(-1, tokens.shape[-1])
        size = min(plan.batch_size, len(flat))
        parts = (flat[start : start + size] for start in range(0, len(flat), size))
        chunks = ({"tokens": part, "row": np.arange(len(part))} for part in parts)

        def describe(chunk: dict[str, np.ndarray]) -> jax.Array:
            return self._passes.described(state.params, state.variables, meshes.put_all(chunk, mesh))

        found, _ = evaluate.embed(describe, chunks, batch_size=size, label_key="row")
        return found.reshape(*tokens.shape[:2], -1)

    def words(self, state: TrainState) -> dict[str, float]:
        """Analogies and likeness of words, where the method has a vector for each."""
        if not hasattr(self.experiment.method, "word_vectors"):
            return {}
        everywhere = meshes.replicated(self.experiment.recipe.mesh)
        vectors = jax.jit(lambda state: self.experiment.module(state).word_vectors(), out_shardings=everywhere)
        opened = self.experiment.data
        words = {word: row for word, row in opened.tokenizer.get_vocab().items() if row not in opened.spec.special_ids}
        return evaluate.word_scores(jax.device_get(vectors(state)), words)

    def likelihood(self, state: TrainState) -> dict[str, float]:
        """`pseudo_perplexity`, or `perplexity` of a causal model: of held-out texts, as many as the plan asks for."""
        limit = self.experiment.plan.likelihood_limit
        if not limit:
            return {}
        source = self.experiment.data.eval
        found = self._through(self._of(state, self._passes.likely), source, _spread(len(source), limit))
        name = "pseudo_perplexity" if hasattr(self.experiment.method, "logits_at") else "perplexity"
        per_token = found["log_likelihood"].sum(dtype=np.float64) / max(found["count"].sum(), 1)
        return {name: float(np.exp(-per_token))}

    def layers(self, state: TrainState) -> dict[str, float]:
        """A linear probe of each layer, where the plan asks for it and there are labels: `linear_layer_1`, ..."""
        plan = self.experiment.plan
        if not (plan.layers and self.experiment.data.spec.num_classes):
            return {}
        train, test = self._both(self._of(state, self._passes.of_layers))
        probe = functools.partial(evaluate.linear_probe, c=plan.c, max_iter=plan.max_iter)
        return {
            f"linear_layer_{number + 1}": probe(train[0][:, number], train[1], test[0][:, number], test[1])
            for number in range(train[0].shape[1])
        }

    def lidar(self, state: TrainState) -> dict[str, float]:
        """LiDAR of features of held-out images, where the plan has diagnostics; text has no views to draw."""
        if not self.experiment.plan.diagnostics or not drawn_views.can_draw(self.experiment.method):
            return {}
        source, of_views = self.experiment.data.eval, self._of(state, self._passes.of_views, numbered=True)
        features = self._through(of_views, source, _spread(len(source), drawn_views.EXAMPLES))["features"]
        return {"lidar": float(diagnostics.lidar(features))} if len(features) > 1 else {}

    def during(self, state: TrainState) -> tuple[dict[str, float], collapse.Finding | None]:
        """The tasks that are run on a schedule, as 'eval/NAME', and the diagnosis where the plan has diagnostics."""
        plan = dataclasses.replace(self.experiment.plan, tasks=self.experiment.plan.during)
        splits = self._asked_for(plan, state)
        scores, found = self._tasks(plan, splits, self.matched(state, plan.tasks)) | self.held_out(state), None
        if plan.diagnostics:
            rows = _spread(len(splits[1][0]), collapse.EXAMPLES)
            held = getattr(self.experiment.method, "held_deviation", None)
            figures, found = collapse.examine(int(state.step), splits[1][0][rows], self.compared(state, rows), held)
            scores |= figures
        return evaluate.prefixed("eval", processes.scores_of_first(scores)), found

    def compared(self, state: TrainState, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What the loss compares of the held-out examples `rows` (int64 [N]): `COMPARED`, where the method gives it."""
        if not any(hasattr(self.experiment.method, name) for name in COMPARED.values()):
            return {}
        return self._through(self._of(state, self._passes.compared), self.experiment.data.eval, rows)

    def check_best(self) -> None:
        """Checks, computing nothing, that `config.checkpoint.best` names one of the scores of `during`.

        Raises:
          UserError: it does not.
        """
        best = self.experiment.config["checkpoint"].get("best")
        if best is None:
            return
        _, params, variables = nnx.split(self.experiment.method, nnx.Param, ...)
        own = jax.eval_shape(self._passes.held_out, params, variables, self._held_out_shapes(), 0)
        opened = self.experiment.data
        about = dict(kind=KINDS.get(opened.spec.modality, ""), texts=getattr(opened, "text_keys", ()))
        during = evaluate.score_names(self.experiment.plan.during, labelled=bool(opened.spec.num_classes), **about)
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
            values = self._passes.held_out(state.params, state.variables, batch, number)
            for name, value in jax.device_get(values).items():
                totals[name] = totals.get(name, 0.0) + float(value)
            count += 1
        return {name: total / count for name, total in totals.items()}

    def raw(self, state: TrainState) -> dict[str, float]:
        """`raw_tasks`, as a run keeps them.

        Where the method guesses words, the guesses of n-grams too, of the words that views of `state` ask for.
        """
        guesses = hasattr(self.experiment.method, "guesses")
        return processes.scores_of_first(self.raw_tasks() | (self._ngrams(state) if guesses else {}))

    def raw_tasks(self) -> dict[str, float]:
        """All tasks of the plan on pixels, word counts or cepstra, and for text two of them on TF-IDF."""
        plan, spec = self.experiment.plan, self.experiment.data.spec

        def features(source: Source, rows: np.ndarray) -> dict[str, np.ndarray]:
            batch = source.read(self._own(rows))
            about = dict(vocab_size=spec.vocab_size, special_ids=spec.special_ids or (), sample_rate=spec.sample_rate)
            raw = evaluate.raw_features(batch, **about)
            found = {"features": raw, "label": batch["label"]}
            return processes.all_rows(found) if self._even(len(rows)) else found

        tasks = tuple(task for task in plan.tasks if task not in evaluate.MATCHING)
        plan = dataclasses.replace(plan, diagnostics=False, tasks=tasks)
        if not evaluate.score_names(plan.tasks, labelled=bool(spec.num_classes)):
            return {}
        splits = self._both(features)
        return self._tasks(plan, splits) | (self._tf_idf(plan, *splits) if spec.modality == "text" else {})

    def _tf_idf(self, plan: evaluate.Evaluation, train: Split, test: Split) -> dict[str, float]:
        """Nearest neighbours by TF-IDF, of the splits whose raw features are the roots of word counts."""
        plan = dataclasses.replace(plan, tasks=tuple(task for task in plan.tasks if task in WEIGHTED))
        if not plan.tasks:
            return {}
        weighted = evaluate.tf_idf(np.square(train[0]), np.square(test[0]))
        scores = self._tasks(plan, ((weighted[0], train[1]), (weighted[1], test[1])))
        return {f"{name}_tf_idf": score for name, score in scores.items()}

    def _both(self, embed: Callable) -> tuple[Split, Split]:
        """Embeds the labelled training split, as much of it as the plan allows, and the test split."""
        opened = self.experiment.data
        rows = {"eval_train": labelled_rows(self.experiment), "eval": np.arange(len(opened.eval))}
        found = (self._through(embed, getattr(opened, split), rows[split]) for split in rows)
        train, test = ((split["features"], split["label"]) for split in found)
        return train, test

    def _of(self, state: TrainState, passed: Callable, *, numbered: bool = False) -> Callable:
        """A function (source, rows) of what one of the `Passes` makes of these rows."""
        return lambda source, rows: passed(state.params, state.variables, self._read(source, rows, numbered=numbered))

    def _through(self, function: Callable, source: Source, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What `function(source, rows)` gives of all `rows` (int64 [N]), a batch at a time."""
        size = min(self.experiment.plan.batch_size, len(rows))
        chunks = ({"row": rows[start : start + size]} for start in range(0, len(rows), size))

        def of_chunk(chunk: dict[str, np.ndarray]) -> dict[str, jax.Array]:
            self._between()
            return function(source, chunk["row"])

        return evaluate.embed(of_chunk, chunks, batch_size=size, label_key="row")[0]

    def _read(
        self, source: Source, rows: np.ndarray, keys: np.ndarray | None = None, *, numbered: bool = False
    ) -> dict[str, jax.Array]:
        """The batch of these rows on the mesh, of which this process reads its own; `numbered`: with their `row`."""
        put = meshes.put_rows if self._even(len(rows)) else meshes.put_all
        own = self._own(rows)
        batch = source.read(own, None if keys is None else self._own(keys))
        numbers = {"row": own.astype(np.int32)} if numbered else {}
        return put(batch | numbers, self.experiment.recipe.mesh)

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """Those of a batch's rows that this process reads."""
        if not self._even(len(rows)):
            return rows
        return np.split(rows, jax.process_count())[jax.process_index()]

    def _even(self, size: int) -> bool:
        """Whether a batch of that size splits over the devices."""
        return size % self.experiment.recipe.mesh.shape["data"] == 0

    def _ngrams(self, state: TrainState) -> dict[str, float]:
        experiment, size = self.experiment, self.experiment.plan.batch_size
        source, (length,) = experiment.data.eval_train, experiment.data.spec.shapes["tokens"]
        rows = _spread(len(source), NGRAM_TOKENS // length)
        tokens = (source.read(rows[start : start + size])["tokens"] for start in range(0, len(rows), size))
        views = functools.partial(self._passes.asked, state.params, state.variables)
        held_out = (views(batch, number) for number, batch in enumerate(self._held_out_batches()))
        spec = experiment.data.spec
        method = experiment.method
        never = spec.special_ids if method.view.hides else (spec.pad_id,)  # the end of a text is a word that comes next
        words = dict(vocab_size=spec.vocab_size, never_asked=tuple(never))
        both_sides = getattr(method.view, "lists", False)  # hidden tokens between others, not what comes next
        return evaluate.ngram_accuracy(tokens, held_out, name=method.guesses, both_sides=both_sides, **words)

    def _held_out_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        source = self.experiment.data.eval
        size, row = min(self.experiment.recipe.batch_size, len(source)), np.arange(1)
        example = source.read(row, row_keys(0, 0, row))
        return {name: jax.ShapeDtypeStruct((size, *array.shape[1:]), array.dtype) for name, array in example.items()}

    def _held_out_batches(self) -> Iterable[dict[str, jax.Array]]:
        """Full batches of the test split, all drawn alike every time (one short batch where there is no full one)."""
        source = self.experiment.data.eval
        size = min(self.experiment.recipe.batch_size, len(source))
        for start in range(0, len(source) - size + 1, size):
            rows = np.arange(start, start + size)
            yield self._read(source, rows, row_keys(0, 0, rows))


def labelled_rows(experiment: Experiment) -> np.ndarray:
    """Which examples of the labelled training split are used, int64: all, or as many as the plan allows.

    They lie evenly over the split; the first ones could all be of one class.
    """
    return _spread(len(experiment.data.eval_train), experiment.plan.limit)


def _spread(size: int, limit: int | None) -> np.ndarray:
    """At most `limit` row numbers below `size`, evenly spread."""
    return np.linspace(0, size - 1, min(limit or size, size)).astype(np.int64)
