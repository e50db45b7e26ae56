"""A short quick start, and a search of which the second trial has a learning rate with which little is learnt."""

from typing import Any

import ml_collections

from configs import quickstart
from ssl_jax import sweeps


def get_config() -> ml_collections.ConfigDict:
    config = quickstart.get_config()
    config.steps = 120
    config.schedule.warmup_steps = 2
    config.evaluate.every = 60
    config.evaluate.tasks = ("knn_full",)
    config.evaluate.map_limit = 30
    return config


def search(trial: Any) -> sweeps.Overrides:
    return {"optimizer.learning_rate": 30.0 if trial.number % 2 else 3e-3, "seed": trial.number}
