"""A masked autoencoder on 32x32 OpenMoji pictures: three quarters of each picture are hidden and painted back.

    python launch.py --config=configs/mae_openmoji.py

Unlike the paper: patches of 8 pixels, and plain pixels as targets, as many patches of these drawings are plain white.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1500
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(modality="image", name="openmoji", image_size=32)
    config.views = dict(name="mae")
    config.model = dict(
        name="vit", size="Ti", image_size=32, patch_size=8, width=96, depth=3, heads=3, mlp_dim=384, pooling="mean"
    )
    config.method = dict(name="mae", normalize_targets=False, decoder_width=48, decoder_depth=1, decoder_heads=3)
    config.optimizer = dict(name="adamw", learning_rate=1.5e-3, weight_decay=0.05, b2=0.95)
    config.schedule = dict(name="warmup_cosine", warmup_steps=50)
    config.checkpoint = dict(every=500, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=500, tasks=("knn_5shot", "knn_full", "linear"))
    config.expected = dict(
        results={"knn_full": 0.562, "linear": 0.574},  # means of three seeds, `benchmarks/margins.py`
        margins={"knn_5shot": 0.05, "knn_full": 0.05, "linear": 0.03},
        hardware="2 CPU cores",
    )
    return config
