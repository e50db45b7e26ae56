"""CPC on telephone prompts in five languages: which frames come next.

python launch.py --config=configs/cpc_asterisk.py

All is tested on prompts whose wording is in no training; the probes tell the five languages apart, of which each has
one voice, English and Spanish the same. Mean and deviation of cepstra, the raw input, tell nearly all of it.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 300
    config.batch_size = 32
    config.log_every = 10
    config.data = dict(modality="audio", name="asterisk_sounds", seconds=1.5, label_key="language")
    config.views = dict(name="waveform")
    config.model = dict(
        name="waveform_gru", conv_channels=(32, 64, 64, 96), conv_kernels=(10, 8, 4, 4), conv_strides=(5, 4, 4, 2),
        width=96,
    )  # fmt: skip
    config.method = dict(name="cpc", steps_ahead=6, negatives=20)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.01, clip_norm=1.0, b2=0.98)
    config.schedule = dict(name="warmup_cosine", warmup_steps=30)
    config.checkpoint = dict(every=100, keep=2, best="eval/contrastive_accuracy")
    config.evaluate = dict(every=100, during=("knn_full",), tasks=("knn_full", "linear"), layers=True)
    config.expected = dict(
        results={"contrastive_accuracy": 0.3175, "knn_full": 0.6265, "linear": 0.830},
        margins={"contrastive_accuracy": 0.22, "knn_full": 0.06, "linear": 0.08},
        hardware="2 CPU cores",
    )
    return config
