"""CLIP and SigLIP on 32x32 OpenMoji pictures and what they are called in four languages.

    python launch.py --config=configs/paired_openmoji.py:clip
    python launch.py --config=configs/paired_openmoji.py:siglip

The tower of pictures is a ViT of three layers, 96 wide, on patches of 4 pixels, that of texts has three layers of 96; a
batch is 128 pictures, each with one of its texts. Classes are Unicode's nine groups, told by their English names.
"""

import ml_collections

from ssl_jax.errors import unknown

LANGUAGES = ("en", "de", "es", "fr")
_TOWER = dict(text_width=96, text_depth=3, text_heads=3, text_dropout=0.1)
METHODS = dict(
    clip=dict(
        model=dict(pooling="cls", pre_norm=True, gelu="quick"), method=dict(joint_width=96, temperature=0.07, **_TOWER)
    ),
    siglip=dict(model=dict(pooling="mean", gelu="tanh"), method=dict(**_TOWER)),
)
"""By method, what differs from the common settings: part -> leaf -> value."""


def get_config(method: str = "clip") -> ml_collections.ConfigDict:
    if method not in METHODS:
        raise unknown("variant of paired_openmoji", method, sorted(METHODS))
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 600
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(
        modality="image",
        name="openmoji",
        image_size=32,
        text_keys=tuple(f"caption_{language}" for language in LANGUAGES),
        text_length=16,
        vocab_size=4096,
    )
    config.views = dict(name="mae", crop_scale=(0.6, 1.0), flip=0.0)  # some are called by where they point
    config.model = dict(
        name="vit",
        size="Ti",
        image_size=32,
        patch_size=4,
        width=96,
        depth=3,
        heads=3,
        mlp_dim=384,
        positions="learned",
    )
    config.method = dict(name=method)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.1, b2=0.98)
    config.schedule = dict(name="warmup_cosine", warmup_steps=100)
    config.checkpoint = dict(every=300, keep=2)
    config.evaluate = dict(every=300, tasks=("knn_5shot", "knn_full", "linear", "zero_shot", "retrieval"))
    config.expected = dict(results={}, margins={}, hardware="2 CPU cores")
    config.update(METHODS[method])
    return config
