"""ELECTRA on the King James Bible: which words did a small generator put in the place of hidden ones?

python launch.py --config=configs/electra_kjv.py

Layers normalise first, unlike the paper's: the generator learns sooner so. As in the authors' code, 15 % of the hidden
words stay in place. The generator learns its task; the discriminator puts replaced words above others more often than
not (`replaced_auc`) but calls next to none of them replaced, and the probes of its features promise nothing.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1500
    config.batch_size = 64
    config.log_every = 25
    config.data = dict(
        modality="text", name="kjv", label_key="book", vocab_size=2048, sequence_length=32, second_segment="none"
    )
    config.views = dict(name="bert", mask_share=0.85, random_share=0.0)
    config.model = dict(
        name="text_transformer", vocab_size=2048, max_length=32, width=64, depth=2, heads=2, mlp_dim=256, segments=1,
        norm_first=True, dropout=0.0, initializer_range=0.12,
    )  # fmt: skip
    config.method = dict(name="electra", generator_fraction=1.0, discriminator_weight=5.0)
    config.optimizer = dict(name="adamw", learning_rate=4e-3, weight_decay=0.01, clip_norm=1.0)
    config.schedule = dict(name="warmup_linear", warmup_steps=100)
    config.checkpoint = dict(every=500, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"), limit=4000, max_iter=100)
    config.expected = dict(
        results={"masked_accuracy": 0.352, "replaced_auc": 0.591, "knn_full": 0.077, "linear": 0.127},
        margins={"masked_accuracy": 0.31, "replaced_auc": 0.04},
        hardware="2 CPU cores",
    )
    return config
