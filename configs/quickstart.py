"""SimCLR on scikit-learn's 1,797 handwritten digits, 8x8 pixels each: a minute on a laptop, no download.

    python launch.py

Nobody tells the network which digit it sees; it only learns that two distorted views of one picture belong together.
Then one labelled example per digit is enough to read most of the others.

Unlike the paper: a linear projector, so that the features themselves become alike for two views, and temperature 1,
as each batch holds many pictures of one digit. Picked among twenty settings, judged on another split of the digits.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections

from ssl_jax import sweeps


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 600
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(modality="image", name="digits")
    config.views = dict(name="affine", degrees=20.0, translate=0.1, scale=(0.8, 1.2), shear=15.0, noise=0.1)
    config.model = dict(name="resnet", stage_sizes=(1, 1, 1), base_width=32, stem="small", channels=1)
    config.method = dict(name="simclr", temperature=1.0, projector_layers=1, projector_out=128)
    config.optimizer = dict(name="adamw", learning_rate=3e-3, weight_decay=1e-4)
    config.schedule = dict(name="warmup_cosine", warmup_steps=50)
    config.checkpoint = dict(every=200, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=100, during=("knn_1shot", "knn_full"), tasks=("knn_1shot", "knn_5shot", "knn_full"))
    config.expected = dict(
        results={"pretrained/knn_1shot": 0.80, "pretrained/knn_5shot": 0.93},
        margins={"knn_1shot": 0.40, "knn_5shot": 0.30, "knn_full": 0.10},
        source="1,437 training and 360 held-out digits, mean over 100 draws",
        hardware="2 CPU cores",
        minutes=1.0,
    )
    return config


def sweep() -> Iterator[sweeps.Overrides]:
    """Two temperatures with two seeds each."""
    yield from sweeps.grid({"method.temperature": (0.5, 1.0), "seed": (0, 1)})


def search(trial: Any) -> sweeps.Overrides:
    """The temperature and the learning rate together; `trial` is an `optuna.Trial`."""
    return {
        "method.temperature": trial.suggest_float("temperature", 0.05, 2.0, log=True),
        "optimizer.learning_rate": trial.suggest_float("learning_rate", 1e-4, 3e-2, log=True),
    }
