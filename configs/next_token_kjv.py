"""A language model of the King James Bible: the next word, from those before it, in rows without padding.

python launch.py --config=configs/next_token_kjv.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", vocab_size=2048, sequence_length=32, layout="stream"
    )
    config.views = dict(name="tokens")
    config.model = dict(
        name="text_transformer", vocab_size=2048, max_length=32, width=64, depth=2, heads=2, mlp_dim=256, segments=0,
        causal=True, norm_first=True, gelu="tanh", dropout=0.0, epsilon=1e-5, initializer_range=0.04,
    )  # fmt: skip
    config.method = dict(name="next_token")
    config.optimizer = dict(name="adamw", learning_rate=4e-3, weight_decay=0.01, clip_norm=1.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=100)
    config.checkpoint = dict(every=500, keep=2, best="eval/next_token_accuracy")
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=4000, max_iter=100)
    config.expected = dict(
        results={"next_token_accuracy": 0.247, "knn_full": 0.14, "linear": 0.157},
        margins={"next_token_accuracy": 0.22, "knn_full": 0.04, "linear": 0.04},
        hardware="2 CPU cores",
    )
    return config
