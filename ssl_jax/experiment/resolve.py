"""A config with every setting that its constructors have, those that it leaves at their defaults included."""

from collections.abc import Callable, Mapping
from typing import Any

from ssl_jax import config as configs
from ssl_jax import data, methods, models
from ssl_jax.experiment.build import SUPPLIED, VIEWS, EvaluationPlan, check
from ssl_jax.train import optimizers, parts
from ssl_jax.train.checkpoints import Checkpoints
from ssl_jax.train.mesh import Sharding


def resolved(config: Mapping[str, Any], method_table: Mapping[str, Callable] = methods.METHODS) -> dict[str, Any]:
    """What a run is made of, and what its config.json holds.

    Args:
      config: plain, as `config.plain` gives it.
      method_table: name -> class of the methods that the config may name.

    Raises:
      UserError: the config is wrong.
    """
    check(config, method_table)
    named = {"views": VIEWS, "model": models.MODELS, "method": method_table, "schedule": optimizers.SCHEDULES}
    chosen = {part: (table[config[part]["name"]],) for part, table in named.items()}
    chosen["data"] = (data.MODALITIES[config["data"]["modality"]],)
    chosen["optimizer"] = (optimizers.OPTIMIZERS[config["optimizer"]["name"]], parts.by_part, optimizers.peak_rate)
    chosen["checkpoint"], chosen["evaluate"], chosen["sharding"] = (Checkpoints,), (EvaluationPlan,), (Sharding,)
    whole = configs.OPTIONAL_LEAVES | dict.fromkeys(configs.OPTIONAL_PARTS, {}) | dict(config)
    for part, constructors in chosen.items():
        for constructor in constructors:
            whole[part] = configs.without(configs.defaults_of(constructor), *SUPPLIED.get(part, ())) | whole[part]
    return configs.plain(whole)
