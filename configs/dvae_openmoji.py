"""A discrete VAE on 32x32 OpenMoji pictures, whose tokens BEiT predicts there.

    python launch.py --config=configs/dvae_openmoji.py
    python launch.py --config=configs/masked_openmoji.py:beit

A token stands for 4 x 4 pixels, one for each patch of that ViT; there are 256 of them.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 800
    config.batch_size = 32
    config.log_every = 20
    config.data = dict(modality="image", name="openmoji", image_size=32)
    config.views = dict(name="mae")
    config.model = dict(name="visual_tokenizer", vocab_size=256, width=32, blocks=1, factor=4, channels=3)
    config.method = dict(name="dvae", code_width=32, gumbel_steps=600, kl_weight=1.0, kl_warmup_steps=200)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=50)
    config.checkpoint = dict(every=500, keep=2)
    config.evaluate = dict(every=500, tasks=("knn_full", "linear"))
    config.expected = dict(results={}, margins={}, hardware="2 CPU cores")
    return config
