"""Training a pretrained network further, on answers: a loop of its own, for whatever model and loss."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ssl_jax.data import progress
from ssl_jax.errors import RunError
from ssl_jax.models.decay import decay_mask

Batch = Mapping[str, np.ndarray]
Examples = Mapping[str, Any]
"""Arrays [N, ...], or what has a length and gives rows as they do."""
Loss = Callable[[nnx.Module, Mapping[str, jax.Array], jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How long and how fast: AdamW, a linear rise of the rate and a linear fall to 0 (Devlin et al. 2019, appendix A).

    Attributes:
      epochs: passes over the examples.
      batch_size: examples of a step.
      learning_rate: the highest.
      warmup: share of the steps in which the rate rises.
      weight_decay: of all but biases and normalisations.
      clip_norm: gradients are scaled down to this norm.
      seed: of the order of the examples, of dropout, and of what is new in the model.

    Raises:
      ValueError: (when built) a setting is out of its range.
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self):
        for name in ("epochs", "batch_size", "learning_rate", "clip_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup {self.warmup} is not a share of the steps, between 0 and 1")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay {self.weight_decay} must be at least 0")

    def optimizer(self, steps: int) -> optax.GradientTransformation:
        """AdamW over so many steps."""
        rising = math.ceil(self.warmup * steps)
        parts = [optax.linear_schedule(0.0, self.learning_rate, rising)]
        parts += [optax.linear_schedule(self.learning_rate, 0.0, max(steps - rising, 1))]
        return optax.chain(
            optax.clip_by_global_norm(self.clip_norm),
            optax.adamw(optax.join_schedules(parts, [rising]), weight_decay=self.weight_decay, mask=decay_mask),
        )


def shuffled(examples: Examples, settings: FineTuning) -> Iterator[dict[str, np.ndarray]]:
    """Batches of all epochs, each in an order of its own; what is left over at the end of an epoch is left out.

    Args:
      examples: all of them.
      settings: epochs, size of a batch (N at most), seed.
    """
    count = len(next(iter(examples.values())))
    size = min(settings.batch_size, count)
    for epoch in range(settings.epochs):
        order = np.random.default_rng((settings.seed, epoch)).permutation(count)
        for start in range(0, count - size + 1, size):
            rows = order[start : start + size]
            yield {name: array[rows] for name, array in examples.items()}


def steps_of(count: int, settings: FineTuning) -> int:
    """How many batches `shuffled` gives of `count` examples."""
    return settings.epochs * (count // min(settings.batch_size, count))


def fine_tune(
    model: nnx.Module, loss: Loss, batches: Iterable[Batch], steps: int, settings: FineTuning, *, doing: str
) -> np.ndarray:
    """Trains all parameters of `model`, in place; whatever else it holds (statistics) goes along.

    Args:
      model: pretrained, with what is new.
      loss: (model, batch, key) -> a scalar; the key is for dropout.
      batches: `steps` of them, all of the same shapes.
      steps: number of steps.
      settings: of the optimizer.
      doing: what is done, for the line that tells how far it is, e.g. 'Fine-tuning on glue/mrpc'.

    Returns:
      float32 [steps], the loss at each step.

    Raises:
      RunError: the loss is NaN or Inf; the model is as it was before the step.
    """
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    optimizer = settings.optimizer(steps)

    @jax.jit
    def step(params, rest, state, batch, key):
        def value(params):
            own = nnx.merge(graphdef, params, rest, copy=True)
            return loss(own, batch, key), nnx.state(own, nnx.Not(nnx.Param))

        (found, rest), gradients = jax.value_and_grad(value, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state, params)
        return found, optax.apply_updates(params, updates), rest, state

    state, losses = optimizer.init(params), []
    with progress.counted(steps, doing) as advance:
        for number, batch in enumerate(batches):
            key = jax.random.fold_in(jax.random.key(settings.seed), number)
            found, *after = step(params, rest, state, {name: jnp.asarray(array) for name, array in batch.items()}, key)
            losses.append(float(found))
            if not math.isfinite(losses[-1]):
                nnx.update(model, params, rest)
                raise RunError(f"{doing}: the loss is {losses[-1]} at step {number + 1}. Lower the learning rate.")
            params, rest, state = after
            advance(1)
    nnx.update(model, params, rest)
    return np.array(losses, np.float32)


def predicted(apply: Callable[[Batch], jax.Array], examples: Examples, batch_size: int) -> np.ndarray:
    """What a model gives for all examples, float32 [N, ...], a batch at a time.

    Args:
      apply: compiled; takes a batch of `batch_size` rows.
      examples: all of them.
      batch_size: rows at a time; the last batch is filled up with its last row.
    """
    count, found = len(next(iter(examples.values()))), []
    for start in range(0, count, batch_size):
        rows = np.minimum(np.arange(start, start + batch_size), count - 1)
        found.append(np.asarray(apply({name: array[rows] for name, array in examples.items()}), np.float32))
    return np.concatenate(found)[:count]
