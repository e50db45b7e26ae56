"""Steps of a run, one by one. All tests take as many for a whole run, so that its program is compiled once."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ssl_jax.experiment import Experiment, build
from ssl_jax.train import mesh as meshes
from ssl_jax.train.loop import jit_train_step
from ssl_jax.train.state import TrainState

STEPS = 50
# By method, the least that a loss is divided by: a mean of cosines passes 0, where float32 still rounds it as the
# numbers up to 1 that it is made of, and so does the logarithm of a density.
SIZE = {"simsiam": 1.0, "dvae": 1.0}


def relative_difference(method: str, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By step, the difference of two curves of the loss of `method`, relative to the first."""
    return np.abs(one - other) / np.maximum(np.abs(one), SIZE.get(method, 0.0))


def _mesh(config: dict[str, Any], devices: list) -> Mesh:
    model = config.get("sharding", {}).get("model", 1)
    return meshes.make_mesh(devices, model=min(model, len(devices)))


class Stepper:
    """A run on some devices.

    Args:
      config: plain.
      devices: that it runs on.
      data_dir: where data lies.
    """

    def __init__(self, config: dict[str, Any], devices: list, data_dir: str | None):
        self.experiment: Experiment = build(config, data_dir=data_dir, mesh=_mesh(config, devices))
        recipe = self.experiment.recipe
        shapes = self.experiment.abstract_state()
        self.step = jit_train_step(recipe, shapes)

    def run(self, state: TrainState, first: int, last: int) -> tuple[TrainState, np.ndarray, np.ndarray]:
        """From `first` to before `last`: the state then, and by step the loss and the gradient's norm."""
        state, values = jax.tree.map(jnp.copy, state), []  # its buffers are given to the first step
        for number in range(first, last):
            batch = meshes.put_rows(self.experiment.batch_at(number), self.experiment.recipe.mesh)
            state, metrics = self.step(state, batch)
            assert int(metrics["bad_step"]) == -1
            values.append((float(metrics["loss"]), float(metrics["grad_norm"])))
        return state, *np.array(values).T
