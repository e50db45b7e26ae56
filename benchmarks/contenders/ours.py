"""This project: its feed, its train step with the views in it."""

import collections
import functools
import itertools

import jax
import numpy as np

from benchmarks.contenders.setup import CHUNK, Setup, chunks
from ssl_jax import evaluate
from ssl_jax.experiment import build
from ssl_jax.train import mesh
from ssl_jax.train.loop import AHEAD, jit_train_step
from ssl_jax.train.state import TrainState


class Ours:
    """See `process.Contender`."""

    def __init__(self, setup: Setup, workers: None):
        self.experiment = build(setup.config, data_dir=setup.data_dir, mesh=mesh.make_mesh(jax.devices()[:1]))
        self.state = self.experiment.initial_state()
        self.step = jit_train_step(self.experiment.recipe, self.state)
        self.batches = self.experiment.batches(0)

    def run(self, steps: int) -> float:
        running = collections.deque()
        for _, batch in itertools.islice(self.batches, steps):
            self.state, metrics = self.step(self.state, mesh.put_rows(batch, self.experiment.recipe.mesh))
            running.append(metrics["loss"])
            if len(running) > AHEAD:
                running.popleft().block_until_ready()
        jax.block_until_ready(self.state)
        return float(running[-1])

    def embed(self, images: np.ndarray) -> np.ndarray:
        batches = ({"image": part, "label": np.zeros(len(part))} for part in chunks(images))
        return evaluate.embed(functools.partial(self._features, self.state), batches, batch_size=CHUNK)[0]

    @functools.partial(jax.jit, static_argnums=0)
    def _features(self, state: TrainState, batch: dict[str, jax.Array]) -> jax.Array:
        return self.experiment.module(state).embed({"image": batch["image"]})
