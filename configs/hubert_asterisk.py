"""HuBERT on telephone prompts in five languages: clusters of cepstra at hidden frames, then of that network's features.

python launch.py --config=configs/hubert_asterisk.py --workdir=runs/hubert_1
python launch.py --config=configs/hubert_asterisk.py:second --workdir=runs/hubert_2

The second iteration's layer and number of clusters can be swept over, with the first one's folder as it is:

python launch.py sweep --config=configs/hubert_asterisk.py:second

Hidden units are guessed a little more often than by copying the unit of the nearest frame that is heard (24.2 %); 900
steps were too few for that (17.1 %). How many it takes was found on the last tenth of the training split.

All is tested on prompts whose wording is in no training; the probes tell the five languages apart, of which each has
one voice, English and Spanish the same. Mean and deviation of cepstra, the raw input, tell nearly all of it.
"""

from collections.abc import Iterator

import ml_collections

from ssl_jax import sweeps
from ssl_jax.errors import unknown


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 2700
    config.batch_size = 32
    config.log_every = 10
    config.data = dict(modality="audio", name="asterisk_sounds", seconds=1.5, label_key="language")
    config.views = dict(name="waveform")
    config.model = dict(
        name="waveform_transformer", conv_channels=(32, 64, 64, 96), conv_kernels=(10, 8, 4, 4),
        conv_strides=(5, 4, 4, 2), width=96, depth=3, heads=4, mlp_dim=256, position_kernel=16, position_groups=4,
        dropout=0.0, initializer_range=0.08,
    )  # fmt: skip
    config.method = dict(
        name="hubert", layer=2, clusters=50, fit_examples=1000, start_rate=0.13, span=5, projection_width=64,
        feature_penalty=0.0,
    )  # fmt: skip
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.01, clip_norm=1.0, b2=0.98)
    config.schedule = dict(name="warmup_cosine", warmup_steps=30)
    config.checkpoint = dict(every=900, keep=2, best="eval/masked_unit_accuracy")
    config.evaluate = dict(every=900, during=("knn_full",), tasks=("knn_full", "linear"), layers=True)
    config.expected = dict(
        results={"masked_unit_accuracy": 0.2553, "knn_full": 0.9365, "linear": 0.951},
        margins={"masked_unit_accuracy": 0.22, "knn_full": 0.45, "linear": 0.3},
        hardware="2 CPU cores",
    )
    if variant == "second":
        config.method.teacher = "runs/hubert_1"
        config.expected.results, config.expected.margins = {}, {}
    elif variant:
        raise unknown("variant of hubert_asterisk", variant, ["second"])
    return config


def sweep() -> Iterator[sweeps.Overrides]:
    """What the second iteration may cluster."""
    yield from sweeps.grid(
        {"method.teacher": ("runs/hubert_1",), "method.layer": (1, 2, 3), "method.clusters": (50, 100)}
    )
