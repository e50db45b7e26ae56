"""The sweep of docs/sweep.png: SimCLR on the digits over learning rate, temperature and seed; one run cannot work.

python launch.py sweep --config=benchmarks/digits.py
python launch.py report runs/digits_sweep
"""

from collections.abc import Iterator
from pathlib import Path

import ml_collections

from ssl_jax import config as configs
from ssl_jax import sweeps

QUICKSTART = Path(__file__).resolve().parents[1] / "configs" / "quickstart.py"


def get_config() -> ml_collections.ConfigDict:
    config = configs.load(str(QUICKSTART))
    config.steps, config.log_every = 100, 5
    config.on_collapse = "stop"
    config.evaluate.update(every=20, during=("knn_1shot", "knn_full"), tasks=("knn_1shot", "knn_full", "linear"))
    return config


def sweep() -> Iterator[sweeps.Overrides]:
    rates, temperatures = (1e-4, 1e-3, 1e-2), (0.1, 1.0)
    yield {"optimizer.learning_rate": 10.0, "method.temperature": 1.0, "seed": 0}
    yield from sweeps.grid({"optimizer.learning_rate": rates, "method.temperature": temperatures, "seed": (0, 1)})
