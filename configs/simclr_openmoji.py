"""SimCLR on 32x32 OpenMoji pictures: nine kinds of emoji, told apart without labels.

python launch.py --config=configs/simclr_openmoji.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 600
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(modality="image", name="openmoji", image_size=32)
    config.views = dict(name="simclr", strength=0.5, blur=0.0)
    config.model = dict(
        name="vit", size="Ti", image_size=32, patch_size=8, width=96, depth=3, heads=3, mlp_dim=384, pooling="mean"
    )
    config.method = dict(name="simclr", temperature=0.5, projector_hidden=128, projector_out=64)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.05)
    config.schedule = dict(name="warmup_cosine", warmup_steps=50)
    config.checkpoint = dict(every=200, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=100, tasks=("knn_5shot", "knn_full", "linear"))
    config.expected = dict(
        results={"knn_full": 0.554, "linear": 0.569},  # means of three seeds, `benchmarks/margins.py`
        margins={"knn_5shot": 0.05, "knn_full": 0.05, "linear": 0.03},
        hardware="2 CPU cores",
    )
    return config
