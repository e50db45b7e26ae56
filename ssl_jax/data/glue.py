"""GLUE (Wang et al. 2019), from TFDS's `glue/...`, as sequences of tokens with an answer each."""

import dataclasses

import numpy as np

from ssl_jax.data.pairs import truncate
from ssl_jax.data.records import Records
from ssl_jax.data.vocabulary import Vocabulary
from ssl_jax.errors import unknown

_AT_A_TIME = 1024


@dataclasses.dataclass(frozen=True)
class Task:
    """One of GLUE's tasks.

    Attributes:
      texts: the features that hold its one or two texts.
      metrics: what the benchmark measures of it.
      splits: that it is measured on; those for testing have no answers.
      regression: whether the answer is a number.
    """

    texts: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    splits: tuple[str, ...] = ("validation",)
    regression: bool = False


_PAIR = ("sentence1", "sentence2")
TASKS = {
    "cola": Task(("sentence",), ("matthews",)),
    "sst2": Task(("sentence",)),
    "mrpc": Task(_PAIR, ("accuracy", "f1")),
    "stsb": Task(_PAIR, ("pearson", "spearman"), regression=True),
    "qqp": Task(("question1", "question2"), ("accuracy", "f1")),
    "mnli": Task(("premise", "hypothesis"), splits=("validation_matched", "validation_mismatched")),
    "qnli": Task(("question", "sentence")),
    "rte": Task(_PAIR),
    "wnli": Task(_PAIR),
}


def task(name: str) -> Task:
    """The task called 'mrpc' or 'glue/mrpc'.

    Raises:
      UserError: there is none.
    """
    short = name.removeprefix("glue/")
    if short not in TASKS:
        raise unknown("--task", name, [f"glue/{other}" for other in TASKS])
    return TASKS[short]


def read(
    name: str, split: str, tokenizer, vocabulary: Vocabulary, length: int, *, data_dir: str | None = None, mock: int = 0
) -> dict[str, np.ndarray]:
    """All examples of a split.

    Args:
      name: 'mrpc', ...
      split: 'train', or one of the task's.
      tokenizer: a `tokenizers.Tokenizer`.
      vocabulary: its special tokens.
      length: tokens of a sequence; longer texts are cut at the end, the longer of two first.
      data_dir: where the prepared set is; None is TFDS's own place.
      mock: number of made-up examples; 0 reads real ones.

    Returns:
      `tokens` int32 [N, length], [CLS] A [SEP] or [CLS] A [SEP] B [SEP] and padding, `segments` int32 [N, length], 1 at
      B and its [SEP], and `answer` [N], int32 or for regression float32.

    Raises:
      UserError: there is no such task, or it is not prepared.
    """
    rows, answers = _spelled(name, split, tokenizer, data_dir, mock)
    return _laid_out(rows, vocabulary, length) | {"answer": answers}


def read_apart(
    name: str, split: str, tokenizer, vocabulary: Vocabulary, length: int, *, data_dir: str | None = None, mock: int = 0
) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """The texts of a task each in a sequence of its own: for each of its texts what `read` gives, and the answers."""
    rows, answers = _spelled(name, split, tokenizer, data_dir, mock)
    return [_laid_out([(text,) for text in column], vocabulary, length) for column in zip(*rows)], answers


def _spelled(name, split, tokenizer, data_dir, mock) -> tuple[list[tuple[np.ndarray, ...]], np.ndarray]:
    """The token ids of each example's texts, and the answers [N]."""
    described, keys = task(name), (*task(name).texts, "label")
    records = Records(f"glue/{name.removeprefix('glue/')}", data_dir, split, keys, mock)
    rows, answers = [], []
    for found in records.in_parts(_AT_A_TIME):
        texts = [[record[key].decode(errors="replace") for record in found] for key in described.texts]
        spelled = (tokenizer.encode_batch_fast(column, add_special_tokens=False) for column in texts)
        rows += zip(*([np.array(text.ids, np.int32) for text in column] for column in spelled), strict=True)
        answers += [record["label"] for record in found]
    kind = np.float32 if described.regression else np.int32
    return rows, np.array(answers, kind)


def _laid_out(rows: list[tuple[np.ndarray, ...]], vocabulary: Vocabulary, length: int) -> dict[str, np.ndarray]:
    tokens = np.full((len(rows), length), vocabulary.pad_id, np.int32)
    segments = np.zeros_like(tokens)
    room = length - len(vocabulary.first)
    for row, texts in enumerate(rows):
        texts = (texts[0][: room - 1],) if len(texts) == 1 else truncate(*texts, room - 2, 0.0)
        tokens[row, : len(vocabulary.first)], place = vocabulary.first, len(vocabulary.first)
        for number, text in enumerate(texts):
            end = place + len(text)
            tokens[row, place:end], tokens[row, end] = text, vocabulary.sep_id
            segments[row, place : end + 1] = number
            place = end + 1
    return {"tokens": tokens, "segments": segments}


def classes(name: str, data_dir: str | None = None) -> int:
    """How many answers a task has; 1 for a number."""
    if task(name).regression:
        return 1
    records = Records(f"glue/{name.removeprefix('glue/')}", data_dir, "train", ("label",), mock=1)
    return records.feature("label").num_classes
