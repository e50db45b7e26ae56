"""What each job of benchmarks/peers.py trains."""

import dataclasses
from pathlib import Path
from typing import Any

from ssl_jax import config as configs
from ssl_jax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
JOINT = ("simclr", "byol", "barlow_twins", "vicreg", "simsiam", "dino")
MASKED = ("mae",)
TABLES = {
    "small_openmoji": JOINT,
    "small_fashion_mnist": JOINT,
    "masked_openmoji": MASKED,
    "masked_fashion_mnist": MASKED,
}
"""Config -> those of its methods that are compared."""
BICUBIC = ("dino", "mae")  # methods whose pictures lightly crops so
MOST_STEPS = 10_000  # of a contender that is timed


@dataclasses.dataclass(frozen=True)
class Network:
    """What is timed: the methods of a table, a model, a batch, how many steps before the clock and on it."""

    table: str
    model: dict[str, Any]
    batch_size: int
    warm: int
    steps: int


VIT = dict(name="vit", size="Ti", image_size=32, patch_size=8, width=96, depth=3, heads=3, mlp_dim=384, pooling="mean")
RESNET18 = dict(name="resnet", depth=18, stem="small", zero_init_residual=False)
NETWORKS = {
    "vit": Network("small_openmoji", VIT, batch_size=128, warm=5, steps=30),
    "resnet18": Network("small_openmoji", RESNET18, batch_size=64, warm=2, steps=4),
    "masked_vit": Network("masked_openmoji", VIT | {"patch_size": 4}, batch_size=128, warm=5, steps=30),
}


def config_of(table: str, method: str, **leaves: Any) -> dict[str, Any]:
    """The config of a method, plain; its views are cropped bilinearly where lightly's are."""
    config = configs.plain(configs.load(f"{ROOT / 'configs' / table}.py:{method}")) | leaves
    if method not in BICUBIC:
        config["views"] |= {"interpolation": "bilinear"}
    return config


def timed_config(method: str, network: Network) -> dict[str, Any]:
    """The config of which steps are timed."""
    return config_of(network.table, method, steps=MOST_STEPS, batch_size=network.batch_size, model=network.model)


def digest(key: str) -> str | None:
    """Of the config of a job: throughput/NETWORK/METHOD or accuracy/TABLE/METHOD/CONTENDER/SEED; None if there is none.

    It does not know the code: after a change that makes other results of the same config, delete them by hand.
    """
    from benchmarks import method_tables  # brings JAX, which processes of PyTorch do without

    kind, where, method = key.split("/")[:3]
    try:
        config = timed_config(method, NETWORKS[where]) if kind == "throughput" else config_of(where, method)
    except (KeyError, UserError):
        return None
    return method_tables.digest_of(config)
