"""ALBERT on the King James Bible: one block run twice, narrow embeddings, hidden words and the order of passages.

python launch.py --config=configs/albert_kjv.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 2500
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", vocab_size=2048, sequence_length=64, second_segment="swapped"
    )
    config.views = dict(name="bert", whole_words=True, max_ngram=3)
    config.model = dict(
        name="text_transformer", vocab_size=2048, max_length=64, width=128, embedding_width=64, depth=2, heads=4,
        mlp_dim=512, share_layers=True, dropout=0.0, initializer_range=0.12,
    )  # fmt: skip
    config.method = dict(name="albert")
    config.optimizer = dict(name="adamw", learning_rate=3e-3, weight_decay=0.01, clip_norm=1.0)
    config.schedule = dict(name="warmup_linear", warmup_steps=100)
    config.checkpoint = dict(every=500, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=4000, max_iter=100)
    config.expected = dict(
        results={"masked_accuracy": 0.173, "sentence_order_accuracy": 0.6135, "knn_full": 0.192, "linear": 0.231},
        margins={"masked_accuracy": 0.15, "sentence_order_accuracy": 0.08, "knn_full": 0.08, "linear": 0.06},
        hardware="2 CPU cores",
    )
    return config
