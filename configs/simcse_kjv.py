"""SimCSE on the verses of the King James Bible: two passes of a verse with different dropout find each other.

python launch.py --config=configs/simcse_kjv.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 600
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", layout="sentences", vocab_size=4096, sequence_length=48
    )
    config.views = dict(name="tokens")
    config.model = dict(
        name="text_transformer", vocab_size=4096, max_length=48, width=128, depth=2, heads=4, mlp_dim=256, dropout=0.1,
        initializer_range=0.08,
    )  # fmt: skip
    config.method = dict(name="simcse", temperature=0.05, pooling="cls")
    config.optimizer = dict(name="adamw", learning_rate=5e-4, weight_decay=0.01, clip_norm=1.0)
    config.schedule = dict(name="warmup_linear", warmup_steps=50)
    config.checkpoint = dict(every=200, keep=2)
    config.evaluate = dict(
        every=200, during=("neighbouring_sentences",), tasks=("knn_full", "neighbouring_sentences"), limit=4000
    )
    config.expected = dict(
        results={},
        margins={"knn_full": 0.02, "neighbour_top_10": 0.02},
        hardware="2 CPU cores",
    )
    return config
