"""T5 on the King James Bible: what is missing from a text is written, in rows without padding.

python launch.py --config=configs/t5_kjv.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 2000
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", vocab_size=4096, sequence_length=32, layout="stream", sentinels=4
    )
    config.views = dict(name="span_corruption")
    config.model = dict(
        name="encoder_decoder", vocab_size=4096, width=128, depth=2, heads=4, mlp_dim=512, dropout=0.0, buckets=16,
        max_distance=32,
    )  # fmt: skip
    config.method = dict(name="t5")
    config.optimizer = dict(name="adafactor", learning_rate=0.02)
    config.schedule = dict(name="inverse_sqrt", hold_steps=250)
    config.checkpoint = dict(every=500, keep=2, best="eval/span_accuracy")
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=4000, max_iter=100)
    config.expected = dict(
        results={"span_accuracy": 0.219, "knn_full": 0.1675, "linear": 0.175},
        margins={"span_accuracy": 0.19, "knn_full": 0.05, "linear": 0.05},
        hardware="2 CPU cores",
    )
    return config
