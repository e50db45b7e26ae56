"""word2vec on the King James Bible: which words stand near which, and what their vectors then know.

python launch.py --config=configs/word2vec_kjv.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", layout="sentences", vocabulary="words", vocab_size=5000,
        sequence_length=64,
    )  # fmt: skip
    config.views = dict(name="skip_gram", window=5, max_pairs=96)
    config.model = dict(name="word_vectors", vocab_size=5000, width=64)
    config.method = dict(name="word2vec", negatives=5, threshold=1e-3)
    config.optimizer = dict(name="adamw", learning_rate=0.01, weight_decay=0.0)
    config.schedule = dict(name="warmup_linear")
    config.checkpoint = dict(every=500, keep=2)
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=2000, max_iter=100)
    config.expected = dict(
        results={
            "context_accuracy": 0.71,
            "word_kind_accuracy": 0.856,
            "analogy_accuracy": 0.199,
            "knn_full": 0.195,
            "linear": 0.217,
        },
        margins={
            "context_accuracy": 0.18,
            "word_kind_accuracy": 0.68,
            "analogy_accuracy": 0.17,
            "knn_full": 0.05,
            "linear": 0.08,
        },
        hardware="2 CPU cores",
    )
    return config
