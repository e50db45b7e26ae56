"""BEST-RQ on telephone prompts in five languages: codes of a random quantizer at hidden frames.

python launch.py --config=configs/best_rq_asterisk.py

All is tested on prompts whose wording is in no training; the probes tell the five languages apart, of which each has
one voice, English and Spanish the same. Mean and deviation of cepstra, the raw input, tell nearly all of it.

What it promises is of its task alone: random filters of four frames, which the untrained network is, already tell nine
of ten by a linear probe, and the trained one tells no more. How hard the task is depends on the codebook that a seed
draws: the commonest code alone is that of 16 to 34 % of the hidden frames.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 900
    config.batch_size = 32
    config.log_every = 10
    config.data = dict(modality="audio", name="asterisk_sounds", seconds=1.5, label_key="language")
    config.views = dict(name="log_mel_frames", mels=40)
    config.model = dict(
        name="frame_transformer", mels=40, channels=16, width=96, depth=3, heads=4, mlp_dim=256, position_kernel=8,
        position_groups=4, dropout=0.0, initializer_range=0.08,
    )  # fmt: skip
    config.method = dict(name="best_rq", codes=64, code_dim=8, start_rate=0.1, span=3)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.01, clip_norm=1.0, b2=0.98)
    config.schedule = dict(name="warmup_cosine", warmup_steps=30)
    config.checkpoint = dict(every=300, keep=2, best="eval/masked_unit_accuracy")
    config.evaluate = dict(every=300, during=("knn_full",), tasks=("knn_full", "linear"), layers=True)
    config.expected = dict(
        results={"masked_unit_accuracy": 0.393, "knn_full": 0.774, "linear": 0.92},
        margins={"masked_unit_accuracy": 0.2},
        hardware="2 CPU cores",
    )
    return config
