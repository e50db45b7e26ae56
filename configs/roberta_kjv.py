"""RoBERTa on the King James Bible: hidden words alone, in rows packed with whole verses of several chapters.

python launch.py --config=configs/roberta_kjv.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", vocab_size=2048, sequence_length=32, layout="full_sentences"
    )
    config.views = dict(name="bert")
    config.model = dict(
        name="text_transformer", vocab_size=2048, max_length=32, width=64, depth=2, heads=2, mlp_dim=256, segments=1,
        dropout=0.0, epsilon=1e-5, initializer_range=0.12,
    )  # fmt: skip
    config.method = dict(name="roberta")
    config.optimizer = dict(name="adamw", learning_rate=4e-3, weight_decay=0.01, b2=0.98, clip_norm=1.0)
    config.schedule = dict(name="warmup_linear", warmup_steps=100)
    config.checkpoint = dict(every=500, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=4000, max_iter=100, likelihood_limit=128)
    config.expected = dict(
        results={"masked_accuracy": 0.278, "knn_full": 0.083, "linear": 0.108},
        margins={"masked_accuracy": 0.23, "linear": 0.01},
        hardware="2 CPU cores",
    )
    return config
