"""The smallest configs that still are real: one for each method, seconds on two cores."""

from typing import Any

import ml_collections

from ssl_jax import config as configs


def config(method: str, /, **leaves: Any) -> dict[str, Any]:
    """The plain config of a method; `leaves` override: config('mae', steps=3, optimizer=dict(weight_decay=0.1))."""
    node = _COMMON | _PARTS[method]
    for name, value in leaves.items():
        node[name] = node[name] | value if isinstance(value, dict) else value
    return configs.plain(node)


_COMMON = dict(
    seed=0,
    steps=50,
    batch_size=32,
    log_every=5,
    optimizer=dict(name="adamw", learning_rate=1e-3, weight_decay=0.01),
    schedule=dict(name="warmup_cosine", warmup_steps=5),
    checkpoint=dict(every=10),
    evaluate=dict(batch_size=120, during=("knn_full",), tasks=("knn_1shot", "knn_full")),
    expected=dict(results={}),
)
_TEXT = dict(vocab_size=512, sequence_length=32)
_DIGITS = dict(
    data=dict(modality="image", name="digits"),
    views=dict(name="affine"),
    model=dict(name="resnet", stage_sizes=(1,), base_width=8, stem="small", channels=1),
)
_HEAD = dict(projector_hidden=16, projector_out=8)
_TINY_VIT = dict(name="vit", size="Ti", image_size=8, patch_size=2, channels=1, width=24, depth=2, heads=3, mlp_dim=48)
_PARTS = dict(
    simclr=dict(_DIGITS, method=dict(name="simclr", **_HEAD)),
    byol=dict(_DIGITS, method=dict(name="byol", momentum=0.9, **_HEAD)),
    swav=dict(
        _DIGITS,
        views=dict(name="swav", out_size=8, local_size=6, local_crops=2, mean=(0.3,), std=(0.37,)),
        method=dict(name="swav", prototypes=12, freeze_prototypes_steps=3, queue_length=64, queue_start=1, **_HEAD),
    ),
    msn=dict(
        data=dict(modality="image", name="digits"),
        views=dict(name="swav", out_size=8, local_size=4, local_crops=2, mean=(0.3,), std=(0.37,)),
        model=_TINY_VIT | dict(pooling="cls", positions="learned"),
        method=dict(name="msn", mask_ratio=0.5, prototypes=12, momentum=0.9, **_HEAD),
    ),
    mae=dict(
        data=dict(modality="image", name="digits"),
        views=dict(name="mae", flip=0.0, mean=(0.3,), std=(0.37,)),
        model=_TINY_VIT | dict(pooling="mean"),
        method=dict(name="mae", decoder_width=16, decoder_depth=1, decoder_heads=2),
    ),
    bert=dict(
        data=dict(modality="text", name="kjv", label_key="book", **_TEXT),
        views=dict(name="bert"),
        model=dict(name="text_transformer", vocab_size=512, max_length=32, width=24, depth=2, heads=3, mlp_dim=48),
        method=dict(name="bert"),
        evaluate=dict(batch_size=512, during=("knn_full",), tasks=("knn_full",), limit=1024),
    ),
)
METHODS = tuple(_PARTS)


def get_config(variant: str = "simclr") -> ml_collections.ConfigDict:
    """For `launch.py --config=tests/tiny.py:METHOD`."""
    return ml_collections.ConfigDict(config(variant))
