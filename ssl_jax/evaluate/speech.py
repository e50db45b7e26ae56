"""A pretrained listener with a new head that writes down what is said, trained by CTC."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ssl_jax.evaluate.transcripts import BLANK, Alphabet
from ssl_jax.models import settings
from ssl_jax.models.convolutions import real
from ssl_jax.models.transformer import dropout


class Speller(nnx.Module):
    """Dropout and a linear layer on every frame of an encoder of speech (Baevski et al. 2020, section 3.3).

    Args:
      encoder: of waveforms or of frames.
      view: what it hears of an example, as in the pretraining's evaluations.
      classes: characters and the blank.
      rate: of dropout.
      rngs: stream `params`.

    Raises:
      ValueError: fewer than two classes, or a rate outside 0 <= rate < 1.
    """

    def __init__(self, encoder: nnx.Module, view: Any, classes: int, *, rate: float = 0.1, rngs: nnx.Rngs):
        settings.at_least(2, classes=classes)
        settings.probability(rate=rate)
        self.encoder, self.view, self.rate = encoder, view, rate
        self.head = nnx.Linear(encoder.features, classes, rngs=rngs)

    def __call__(self, batch: Mapping[str, jax.Array], *, key: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        """Logits float32 [B, F, classes] of recordings, and how many of the F frames are real, int [B].

        Args:
          batch: `waveform` [B, T] and `length` int [B].
          key: as in training, with dropout; None: without.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        heard = jax.vmap(self.view.evaluate)({name: batch[name] for name in ("waveform", "length")})
        states = self.encoder(**heard, train=key is not None, key=keys[0]).astype(jnp.float32)
        return self.head(dropout(states, self.rate, keys[1])), self.encoder.frames(heard["length"])


def ctc_loss(model: Speller, batch: Mapping[str, jax.Array], key: jax.Array) -> jax.Array:
    """Mean over the batch of CTC's negative log-likelihood a character (Graves et al. 2006, by optax).

    Each recording counts alike, as by transformers' `ctc_loss_reduction="mean"`; the official code of wav2vec 2.0 sums.

    Args:
      model: the speller.
      batch: also `answer` int [B, L], the characters' numbers, 0 behind the end.
      key: of the dropout.
    """
    logits, frames = model(batch, key=key)
    answers = batch["answer"]
    behind = 1.0 - real(frames, logits.shape[1]).astype(jnp.float32)
    losses = optax.ctc_loss(logits, behind, answers, (answers == BLANK).astype(jnp.float32), blank_id=BLANK)
    return jnp.mean(losses / jnp.maximum(jnp.sum(answers != BLANK, 1), 1))


def spelled(alphabet: Alphabet, transcripts: list[str]) -> np.ndarray:
    """The characters' numbers of all transcripts, int32 [N, length of the longest], 0 behind the end of each."""
    rows = [alphabet.spell(transcript) for transcript in transcripts]
    answers = np.full((len(rows), max(map(len, rows), default=0)), BLANK, np.int32)
    for answer, row in zip(answers, rows):
        answer[: len(row)] = row
    return answers


def needed_frames(answers: np.ndarray) -> np.ndarray:
    """The fewest frames that can say each of `answers` int [N, L]: one a character, and a blank between equal ones.

    Returns:
      int [N].
    """
    there = answers != BLANK
    return there.sum(1) + ((answers[:, 1:] == answers[:, :-1]) & there[:, 1:]).sum(1)
