"""Teaching what a run has learnt of speech to write it down, as `launch.py evaluate` does."""

import dataclasses
import itertools
import os
import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from ssl_jax import config as configs
from ssl_jax import data
from ssl_jax.data.records import Records
from ssl_jax.errors import UserError
from ssl_jax.evaluate import fine_tune, speech, transcripts
from ssl_jax.experiment import task_settings, trained
from ssl_jax.experiment.build import view_of

_ROWS = 64  # recordings read at once
TUNING = dict(epochs=40, batch_size=16, learning_rate=5e-4)  # for a few hundred recordings


def evaluate(
    workdir: str | os.PathLike, task: str, settings: Mapping[str, Any], *, data_dir: str | None = None
) -> dict[str, float]:
    """Trains the backbone of a run and a new head by CTC, and measures what it writes by its best path.

    All parameters are trained (wav2vec 2.0 leaves its convolutions as they are). Recordings that fill the whole length
    may have been cut and are left out, as are those with fewer frames than their text takes.

    Args:
      workdir: the run's folder, which is not changed but for the results.
      task: 'ctc'.
      settings: of `fine_tune.FineTuning` and of `_settings`.
      data_dir: where TFDS data lies, None for TFDS's own default.

    Returns:
      `word_error_rate` and `character_error_rate` on the test split, and `recordings`, how many those are of.

    Raises:
      UserError: a wrong setting, no such run, data that is not prepared, or a method that hears nothing.
      RunError: the loss is NaN or Inf.
    """
    if task != "ctc":
        raise UserError(f"--task={task!r} does not exist: CTC is trained by --task=ctc.")
    chosen, tuning = task_settings.parted(_settings, settings, **TUNING)
    if trained.config_of(workdir)["data"]["modality"] != "audio":
        raise UserError(f"--task={task} is for a run whose config.data.modality is 'audio', which this is not.")
    experiment, method, _ = trained.load(workdir, data_dir=data_dir)
    if method.backbone.reads not in ("waveform", "frames"):
        raise UserError(f"--task={task}: a {type(method.backbone).__name__} gives one vector a recording, not frames.")
    if chosen["untrained"]:
        method = experiment.module(experiment.unprepared_state())
    opened = _opened(experiment.config, chosen, data_dir)
    spoken = {split: _texts(opened, chosen["text_key"], split) for split in opened.splits[::2]}
    alphabet = transcripts.Alphabet.of(spoken[opened.splits[0]])
    whole = configs.without(experiment.config["views"], "seconds", "frames")
    view = view_of(experiment.config | {"views": whole}, opened.spec)
    model = speech.Speller(method.backbone, view, len(alphabet), rngs=nnx.Rngs(tuning.seed))
    examples, _ = _read(opened.train, spoken[opened.splits[0]], alphabet, model)
    steps = fine_tune.steps_of(len(examples["answer"]), tuning)
    fine_tune.fine_tune(
        model, speech.ctc_loss, fine_tune.shuffled(examples, tuning), steps, tuning, doing=f"Fine-tuning on {task}"
    )
    results = _scores(model, *_read(opened.eval, spoken[opened.splits[2]], alphabet, model), alphabet, tuning)
    trained.keep(
        workdir,
        task_settings.RESULTS,
        {_named(task, chosen): results | {"settings": dataclasses.asdict(tuning) | chosen}},
    )
    return results


def _named(task: str, chosen: Mapping[str, Any]) -> str:
    return f"{task}/untrained" if chosen["untrained"] else task


def _settings(
    *,
    name: str | None = None,
    train_split: str = "train",
    eval_split: str = "test",
    audio_key: str | None = None,
    text_key: str = "text",
    seconds: float = 4.0,
    untrained: bool = False,
) -> dict[str, Any]:
    """Settings beside those of the training.

    Args:
      name: TFDS name of the recordings; None: those of the run.
      train_split: to learn from.
      eval_split: to be tested on.
      audio_key: feature that holds the sound ('speech' in `librispeech`); None: that of the run.
      text_key: feature that holds what is said.
      seconds: length that recordings are filled up to.
      untrained: begin with the network as it was before its pretraining, for comparison.
    """
    if seconds <= 0:
        raise ValueError(f"seconds {seconds} is not positive")
    where = dict(name=name, train_split=train_split, eval_split=eval_split, audio_key=audio_key, text_key=text_key)
    return where | dict(seconds=float(seconds), untrained=bool(untrained))


def _opened(config: Mapping[str, Any], chosen: Mapping[str, Any], data_dir: str | None) -> data.AudioData:
    """The recordings, at the rate that the network is used to."""
    node = configs.without(config["data"], "text_key", "eval_train_split") | {"label_key": None}
    node |= {key: chosen[key] for key in ("train_split", "eval_split", "seconds")}
    node |= {"audio_key": chosen["audio_key"]} if chosen["audio_key"] else {}
    rate = data.described(config["data"], data_dir).spec.sample_rate
    return data.described(node | {"name": chosen["name"] or node["name"], "sample_rate": rate}, data_dir)


def _texts(opened: data.AudioData, text_key: str, split: str) -> list[str]:
    """What is said in each recording of a split, in lower case, without punctuation but for apostrophes."""
    records = Records(opened.name, opened.data_dir, split, (text_key,), opened.mock)
    records.feature(text_key, "text_key")
    read = itertools.chain.from_iterable(records.in_parts(_ROWS))
    lower = (record[text_key].decode(errors="replace").lower() for record in read)
    return [" ".join(re.sub(r"[^\w' ]+|_", " ", text).split()) for text in lower]


class _Waveforms:
    """Of some recordings of a split, read when they are asked for: [N, T], as the source has them."""

    def __init__(self, source: Any, rows: np.ndarray):
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        return self._source.read(self._rows[places])["waveform"]


def _read(
    source: Any, texts: list[str], alphabet: transcripts.Alphabet, model: speech.Speller
) -> tuple[dict[str, Any], list[str]]:
    """The recordings that can be written down, as arrays of which waveforms are read later, and what is said in them.

    Raises:
      UserError: there are none.
    """
    answers = speech.spelled(alphabet, texts)
    lengths, frames, uncut = _measured(source, model)
    kept = np.flatnonzero(uncut & (speech.needed_frames(answers) <= frames) & (answers != transcripts.BLANK).any(1))
    if not len(kept):
        raise UserError("--task.seconds: all recordings are longer, or too short for their texts; choose more seconds.")
    arrays = {"length": lengths[kept], "frames": frames[kept], "answer": answers[kept]}
    return {"waveform": _Waveforms(source, kept), **arrays}, [texts[row] for row in kept]


def _measured(source: Any, model: speech.Speller) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By recording: its samples, the network's frames of it, and whether it is shorter than what is read of it."""
    heard = jax.jit(lambda batch: jax.lax.map(lambda example: model.view.evaluate(example)["length"], batch))
    found = []
    for batch in data.examples(source, batch_size=_ROWS):
        frames = model.encoder.frames(heard({name: batch[name] for name in ("waveform", "length")}))
        found.append((batch["length"], np.asarray(frames), batch["length"] < batch["waveform"].shape[1]))
    return tuple(np.concatenate(parts) for parts in zip(*found))


def _scores(
    model: speech.Speller,
    examples: dict[str, Any],
    texts: list[str],
    alphabet: transcripts.Alphabet,
    tuning: fine_tune.FineTuning,
) -> dict[str, float]:
    graphdef, state = nnx.split(model)
    compiled = jax.jit(lambda state, batch: nnx.merge(graphdef, state, copy=True)(batch)[0])
    logits = fine_tune.predicted(lambda batch: compiled(state, batch), examples, tuning.batch_size)
    guesses = [alphabet.read(path) for path in transcripts.greedy(logits, examples["frames"])]
    return transcripts.error_rates(texts, guesses) | {"recordings": float(len(texts))}
