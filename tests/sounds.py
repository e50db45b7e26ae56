"""Recordings and their views for tests of methods that hear."""

import types
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax import augment, models
from ssl_jax.methods import METHODS
from tests import tiny

SAMPLES = 3200  # 0.4 s
LENGTHS = (3200, 2400, 1500, 3200, 900, 3200)
SPEC = types.SimpleNamespace(shapes={"waveform": (SAMPLES,), "length": (), "label": ()}, sample_rate=8000)


def batch(seed: int = 0) -> dict[str, jax.Array]:
    """Noise of several lengths, 0 behind the end."""
    noise = np.random.default_rng(seed).normal(size=(len(LENGTHS), SAMPLES))
    behind = np.arange(SAMPLES)[None] >= np.array(LENGTHS)[:, None]
    waveform = np.where(behind, 0, 3000 * noise).astype(np.int16)
    return {"waveform": jnp.asarray(waveform), "length": jnp.array(LENGTHS, jnp.int32)}


def method(name: str, *, model: Mapping[str, Any] = MappingProxyType({}), **settings: Any) -> nnx.Module:
    """The method of `tiny`, without its data; `settings` are the method's, and those in `model` the network's."""
    config = tiny.config(name)
    part = lambda node: {key: value for key, value in node.items() if key != "name"}
    view = augment.VIEWS[config["views"]["name"]](SPEC, **part(config["views"]))

    def make():
        backbone = models.MODELS[config["model"]["name"]](**part(config["model"]) | dict(model), rngs=nnx.Rngs(0))
        return METHODS[name](backbone, view, **part(config["method"]) | settings, rngs=nnx.Rngs(1))

    return nnx.jit(make)()


def views(of: nnx.Module, heard: dict[str, jax.Array] | None = None, seed: int = 0) -> dict[str, jax.Array]:
    """What the method's `views` makes of a batch."""
    return nnx.jit(lambda of, heard: of.views(heard, jax.random.key(seed)))(of, heard or batch())


def loss(of: nnx.Module, seen: dict[str, jax.Array], **options: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The method's loss and metrics."""
    return nnx.jit(lambda of, seen: of.loss(seen, jax.random.key(5), **options))(of, seen)
