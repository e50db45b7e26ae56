"""V-JEPA on clips of a handwritten digit that moves: 8 frames of 24x24 pixels, in one of eight directions.

    python launch.py --config=configs/v_jepa_moving_digits.py              evaluated by the direction
    python launch.py --config=configs/v_jepa_moving_digits.py:digit        the same run, by the digit

A single frame does not tell the direction (`ssl_jax/data/builders/moving_digits.py`); labels are used by evaluations
alone. Unlike the paper: a small network on patches of 4 pixels and 2 frames, larger crops, no flips, more of a clip is
seen and predicted, a predictor of 2 blocks, and a momentum that ends at 1.
"""

import ml_collections

from ssl_jax.errors import unknown

LABELS = {"": "direction", "digit": "label"}


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    if variant not in LABELS:
        raise unknown("variant of v_jepa_moving_digits", variant, sorted(filter(None, LABELS)))
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 400
    config.batch_size = 64
    config.log_every = 20
    config.data = dict(modality="image", name="moving_digits", label_key=LABELS[variant])
    config.views = dict(name="mae", crop_scale=(0.5, 1.0), flip=0.0, mean=(0.034,), std=(0.158,))
    config.model = dict(
        name="vit", size="Ti", image_size=24, patch_size=4, frames=8, tubelet_size=2, channels=1, width=96, depth=3,
        heads=3, mlp_dim=384, positions="sincos3d", pooling="mean",
    )  # fmt: skip
    config.method = dict(
        name="v_jepa", context_shares=(0.4, 0.2), predicted_shares=(0.75, 0.75), predictor_width=48, predictor_depth=2,
        predictor_heads=3, momentum=0.99, momentum_stretch=1.0,
    )  # fmt: skip
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.05)
    config.schedule = dict(name="warmup_cosine", warmup_steps=40)
    config.checkpoint = dict(every=200, keep=2)
    config.evaluate = dict(every=200, tasks=("knn_5shot", "knn_full", "linear"))
    config.expected = dict(results={}, margins={}, hardware="2 CPU cores")
    if not variant:
        config.expected.results = dict(target_skill=0.421, knn_5shot=0.429, knn_full=0.812, linear=0.934)
        config.expected.margins = dict(target_skill=2.5, knn_5shot=0.1, knn_full=0.02)
    return config
