"""Paper configs made small: the very code path, on made-up data, in a minute on a laptop."""

from typing import Any

import ml_collections

from ssl_jax.errors import unknown

SIZE, LOCAL_SIZE, CANVAS = 32, 16, 40
Leaves = dict[str, dict[str, Any]]  # part -> leaf -> value


def variant(config: ml_collections.ConfigDict, name: str, *, smoke: Leaves | None = None) -> ml_collections.ConfigDict:
    """The variant of a paper config for pictures: '' is the paper's, 'smoke' a few steps on made-up pictures.

    Args:
      config: the paper's; changed in place.
      name: of the variant.
      smoke: what else is to be small then.

    Raises:
      UserError: no such variant.
    """
    return _variant(_shrink, config, name, smoke)


def pairs(config: ml_collections.ConfigDict, name: str) -> ml_collections.ConfigDict:
    """The same for pictures and texts: 'smoke' sees made-up pictures and reads made-up captions."""
    small = dict(
        data=dict(text_length=8, vocab_size=256),
        method=dict(text_width=32, text_depth=1, text_heads=2),
        checkpoint=dict(best="eval/image_to_text_top_1"),
        evaluate=dict(during=("retrieval",), tasks=("retrieval",)),
    )
    return _variant(_shrink, config, name, small)


def speech(config: ml_collections.ConfigDict, name: str, *, smoke: Leaves | None = None) -> ml_collections.ConfigDict:
    """The same for speech: 'smoke' hears half a second of made-up tones."""
    return _variant(_shrink_speech, config, name, smoke)


def text(config: ml_collections.ConfigDict, name: str, *, smoke: Leaves | None = None) -> ml_collections.ConfigDict:
    """The same for text: 'smoke' reads made-up articles."""
    return _variant(_shrink_text, config, name, smoke)


def _variant(shrink, config, name, smoke):
    if name == "smoke":
        shrink(config)
        for part, leaves in (smoke or {}).items():
            config[part].update(leaves)
    elif name:
        raise unknown("variant of this config", name, ["smoke"])
    return config


def _shrink_text(config: ml_collections.ConfigDict) -> None:
    config.steps, config.batch_size, config.log_every = 4, 16, 1
    length = min(config.data.sequence_length, 64)
    config.data.update(vocab_size=200, sequence_length=length, workers=0, mock=64)
    config.model.update(vocab_size=200, width=192)
    if "heads" in config.model:
        config.model.update(depth=2, heads=3, mlp_dim=768)
    if "max_predictions" in config.views:
        config.views.max_predictions = 10
    for steps in ("warmup_steps", "hold_steps"):
        if steps in config.schedule:
            config.schedule[steps] = min(config.schedule[steps], 1)
    config.checkpoint.every = 2
    config.evaluate.update(every=2, batch_size=16)
    config.expected = dict(results={})


def _shrink_speech(config: ml_collections.ConfigDict) -> None:
    config.steps, config.batch_size, config.log_every = 4, 16, 1
    config.data.update(seconds=0.5, workers=0, mock=64)
    with config.unlocked():
        if "conv_channels" in config.model:
            config.model.conv_channels = (16,) * len(config.model.conv_channels)
        config.model.width = 32
        if "depth" in config.model:
            config.model.depth = 2
        if "heads" in config.model:
            config.model.update(heads=2, mlp_dim=64)
    config.schedule.warmup_steps = 1
    config.checkpoint.every = 2
    config.evaluate.update(every=2, batch_size=16)
    config.expected = dict(results={})


def _shrink(config: ml_collections.ConfigDict) -> None:
    config.steps, config.batch_size, config.log_every = 4, 16, 1
    config.data.update(image_size=CANVAS, workers=0, mock=64)
    with config.unlocked(), config.ignore_type():
        config.views.out_size = SIZE
        if config.views.name in ("swav", "dino", "lejepa") or "local_crops" in config.views:
            config.views.local_size, config.views.local_crops = LOCAL_SIZE, 2
        if config.model.name == "resnet":
            config.model.depth = 18
        elif config.model.name == "visual_tokenizer":
            config.model.update(vocab_size=64, width=16, blocks=1)
        else:
            config.model.update(size="Ti", image_size=SIZE, patch_size=8, depth=2)
        config.schedule.warmup_steps = 1
        config.checkpoint.update(every=2, best="eval/knn_full")
        config.evaluate.update(every=2, batch_size=16, limit=32, during=("knn_full",), tasks=("knn_full",))
        config.expected = dict(results={})
