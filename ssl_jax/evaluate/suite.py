"""All evaluations of one pair of embedded splits, by name."""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from ssl_jax import diagnostics
from ssl_jax.errors import RunError
from ssl_jax.evaluate.few_shot import few_shot
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.evaluate.neighbours import check_labelled, knn
from ssl_jax.evaluate.retrieval import NAMES as NEIGHBOUR_SCORES
from ssl_jax.evaluate.retrieval import Matched, match_names, matching_texts, neighbouring_sentences, zero_shot

Split = tuple[np.ndarray, np.ndarray]

NEIGHBOURS = "neighbouring_sentences"
"""The task that needs no labels."""
RETRIEVAL, ZERO_SHOT = MATCHING = ("retrieval", "zero_shot")
"""The tasks of methods that match examples with texts; the first needs no labels."""
_SHOTS = re.compile(r"knn_([1-9]\d*)shot")
_RANK_EXAMPLES = 25_600  # Garrido et al. 2023 (RankMe), section 3: as many suffice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Settings of the evaluations; called with two embedded splits it gives the results.

    Attributes:
      tasks: any of `knn_full`, `knn_1shot`, `knn_5shot` (any number), `linear`; `neighbouring_sentences`, which
        needs no labels, but sentences in the order of their texts; and, of methods that match examples with texts,
        `zero_shot` and `retrieval`, of which the second needs no labels.
      k: neighbours that vote in `knn_full`.
      temperature: of the votes in `knn_full`.
      draws: few-shot draws.
      seed: of the few-shot draws.
      c: inverse strength of the penalty of `linear`.
      max_iter: iterations of `linear` at most.
      diagnostics: whether `rank_me` and `embedding_std` of the test embeddings are computed too; a run without them
        does not look for collapse either.

    Raises:
      ValueError: (when built) an unknown task, or a setting that is not positive.
    """

    tasks: tuple[str, ...] = ("knn_1shot", "knn_5shot", "knn_full", "linear")
    k: int = 20
    temperature: float = 0.07
    draws: int = 100
    seed: int = 0
    c: float = 1.0
    max_iter: int = 500
    diagnostics: bool = True

    def __post_init__(self):
        check_tasks("tasks", self.tasks)
        for name in ("k", "temperature", "draws", "c", "max_iter"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")

    def __call__(
        self, train: Split, test: Split, documents: np.ndarray | None = None, matched: Matched | None = None
    ) -> dict[str, float]:
        """The results of all tasks, in the order of `tasks`.

        Args:
          train: embeddings [N, D] and labels int [N] that neighbours and probe learn from.
          test: embeddings [M, D] and labels int [M] that they are tried on.
          documents: int [M], which document each test embedding is from, for `neighbouring_sentences`.
          matched: the test examples and their texts in a common space, for `zero_shot` and `retrieval`; None, as of
            raw inputs: there is none, and these are left out.

        Returns:
          Task name -> accuracy 0..1; for few-shot tasks also `NAME/std` over the draws, and several scores of
          `neighbouring_sentences`, `zero_shot` and `retrieval`; and the diagnostics. Of a data set without labels
          (every label -1) only the diagnostics, and what needs none.

        Raises:
          RunError: an embedding is NaN or Inf.
          ValueError: shapes that do not go together.
        """
        train, test = _labelled(train), _labelled(test)
        check_labelled(*train, *test)
        _check_finite(train[0], "training")
        _check_finite(test[0], "test")
        results, labelled = {}, max(train[1].max(), test[1].max()) >= 0
        for task in self.tasks:
            if task == NEIGHBOURS:
                results |= neighbouring_sentences(test[0], documents)
            elif task in MATCHING:
                results |= {} if matched is None else _match(task, matched, test[1])
            elif labelled:
                results |= self._run(task, train, test)
        return results | (_diagnose(test[0]) if self.diagnostics else {})

    def _run(self, task: str, train: Split, test: Split) -> dict[str, float]:
        if task == "knn_full":
            return {task: knn(*train, *test, k=self.k, temperature=self.temperature)}
        if task == "linear":
            return {task: linear_probe(*train, *test, c=self.c, max_iter=self.max_iter)}
        shots = int(_SHOTS.fullmatch(task)[1])
        mean, std = few_shot(*train, *test, shots=shots, draws=self.draws, seed=self.seed)
        return {task: mean, f"{task}/std": std}


def _match(task: str, matched: Matched, labels: np.ndarray) -> dict[str, float]:
    for embeddings in (matched.examples, matched.texts, *([] if matched.classes is None else [matched.classes])):
        _check_finite(embeddings.reshape(-1, embeddings.shape[-1]), "matched")
    return matching_texts(matched) if task == RETRIEVAL else zero_shot(matched.examples, labels, matched.classes)


def prefixed(prefix: str, results: Mapping[str, float]) -> dict[str, float]:
    """The results under `prefix/`, as results.json and metrics.jsonl hold them."""
    return {f"{prefix}/{name}": value for name, value in results.items()}


def score_names(tasks: Iterable[str], *, labelled: bool, kind: str = "image", texts: Sequence[str] = ()) -> list[str]:
    """What the scores of `tasks` are called.

    Args:
      tasks: of an `Evaluation`.
      labelled: whether the data have labels.
      kind: what is matched with texts.
      texts: names of the kinds of text.
    """
    unlabelled = {NEIGHBOURS: NEIGHBOUR_SCORES, RETRIEVAL: match_names(kind, texts)}
    names = {task: unlabelled.get(task, (task,) * labelled) for task in tasks}
    return [name for found in names.values() for name in found]


def check_tasks(setting: str, tasks: Iterable[str]) -> None:
    """Raises ValueError, naming the `setting`, where one of `tasks` does not exist."""
    for task in tasks:
        if task in ("knn_full", "linear", NEIGHBOURS, *MATCHING) or _SHOTS.fullmatch(task):
            continue
        names = ("knn_1shot", "knn_5shot", "knn_full", "linear", NEIGHBOURS, *MATCHING)
        close = difflib.get_close_matches(task, names, n=1, cutoff=0.6)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        valid = f"knn_full, knn_1shot (any number), linear, {NEIGHBOURS}, {', '.join(MATCHING)}"
        raise ValueError(f"{setting}: {task!r} does not exist.{hint} Valid: {valid}.")


def _labelled(split: Split) -> Split:
    return np.asarray(split[0]), np.asarray(split[1])


def _check_finite(embeddings: np.ndarray, split: str) -> None:
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise RunError(
            f"{len(bad)} of {len(embeddings)} {split} embeddings hold NaN or Inf, the first is row {bad[0]}."
        )


def _diagnose(embeddings: np.ndarray) -> dict[str, float]:
    spread = np.linspace(0, len(embeddings) - 1, min(len(embeddings), _RANK_EXAMPLES)).astype(np.int64)
    sample = jnp.asarray(embeddings[spread], jnp.float32)
    return {
        "rank_me": float(diagnostics.rank_me(sample)),
        "embedding_std": float(diagnostics.embedding_std(sample)),
    }
