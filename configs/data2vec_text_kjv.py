"""data2vec on the King James Bible: at hidden words, what a slow copy of the network makes of the whole text.

python launch.py --config=configs/data2vec_text_kjv.py

`target_skill` is the share saved of the error of always predicting the mean of the hidden states.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", vocab_size=4096, sequence_length=32, layout="full_sentences"
    )
    config.views = dict(name="token_spans", rate=0.35, span=4)
    config.model = dict(
        name="text_transformer", vocab_size=4096, max_length=32, width=128, depth=3, heads=4, mlp_dim=512, segments=1,
        dropout=0.0, epsilon=1e-5, initializer_range=0.08,
    )  # fmt: skip
    config.method = dict(name="data2vec_text", top=2, momentum=0.99, momentum_end=0.999, momentum_steps=500, beta=4.0)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.01, b2=0.98, clip_norm=1.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=100)
    config.checkpoint = dict(every=500, keep=2)
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=4000, max_iter=100)
    config.expected = dict(
        results={"target_skill": 0.753, "knn_full": 0.102, "linear": 0.129},
        margins={"target_skill": 2.5, "knn_full": 0.02, "linear": 0.015},
        hardware="2 CPU cores",
    )
    return config
