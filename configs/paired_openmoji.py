"""CLIP and SigLIP on 32x32 OpenMoji pictures and what they are called in four languages.

    python launch.py --config=configs/paired_openmoji.py:clip
    python launch.py --config=configs/paired_openmoji.py:siglip
    python launch.py --config=configs/paired_openmoji.py:clip-fine_tune --config.init_from=runs/paired_openmoji_clip
    python launch.py --config=configs/paired_openmoji.py:clip-attentive --config.init_from=runs/paired_openmoji_clip

The tower of pictures is a ViT of three layers, 96 wide, on patches of 4 pixels, that of texts has three layers of 96; a
batch is 128 pictures, each with one of its texts. Classes are Unicode's nine groups. As captions hardly hold the names
of these, `zero_shot` tells them by words that are common in English captions of the training split. `fine_tune` trains
the whole tower of pictures on the labels for 800 steps, `attentive` a pooling by attention on the frozen one; without
`init_from` both begin with a random network.
"""

import ml_collections

from ssl_jax.errors import unknown

LANGUAGES = ("en", "de", "es", "fr")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the views of the methods have them
_CALLED = (
    "smiling face", "woman, man, person", "cat, dog, tree", "rice, cake, glass", "clock, car, mountain",
    "ball, game, medal", "book, card, camera", "button, arrow, square", "islands, united republic",
)  # fmt: skip
_TOWER = dict(text_width=96, text_depth=3, text_heads=3, text_dropout=0.1)
METHODS = dict(
    clip=dict(
        model=dict(pooling="cls", pre_norm=True, gelu="quick"), method=dict(joint_width=96, temperature=0.07, **_TOWER)
    ),
    siglip=dict(model=dict(pooling="mean", gelu="tanh"), method=dict(**_TOWER)),
)
"""By method, what differs from the common settings: part -> leaf -> value."""
_OF_ANSWERS = dict(steps=800, batch_size=32, evaluate=dict(tasks=()))
ANSWERS = dict(
    fine_tune=dict(
        views=dict(name="simclr", crop_scale=(0.8, 1.0), flip=0.0, strength=0.1, blur=0.0, mean=_MEAN, std=_STD),
        method=dict(name="supervised", label_smoothing=0.1),
        optimizer=dict(name="adamw", learning_rate=3e-3, weight_decay=0.05, layer_decay=0.75),
        **_OF_ANSWERS,
    ),
    attentive=dict(
        views=dict(name="mae", flip=0.0),
        method=dict(name="attentive_probe", heads=3),
        optimizer=dict(name="adamw", learning_rate=1e-3, weight_decay=0.05),
        **_OF_ANSWERS,
    ),
)
"""By what is asked of a tower of pictures that has been trained: whole parts of the config, and leaves."""
EXPECTED = dict()
"""By method that has been measured: means over seeds 0 to 2 (docs/methods.md), and the least by which they are above
the untrained network's, both of `ANSWERS` too."""


def get_config(variant: str = "clip") -> ml_collections.ConfigDict:
    method, _, answer = variant.partition("-")
    if method not in METHODS or answer not in ("", *ANSWERS):
        valid = [*METHODS, *(f"{name}-{answer}" for name in METHODS for answer in ANSWERS)]
        raise unknown("variant of paired_openmoji", variant, sorted(valid))
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 600
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(modality="image", name="openmoji", image_size=32)
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
    config.schedule = dict(name="warmup_cosine", warmup_steps=100)
    config.checkpoint = dict(every=300, keep=2)
    reached = EXPECTED.get(method, dict(results={}, margins={}))
    if answer:
        config.model.update(METHODS[method]["model"])
        config.update(ANSWERS[answer])
        results = {"accuracy": reached["results"][answer]} if answer in reached["results"] else {}
        config.expected = dict(results=results, margins={}, hardware="2 CPU cores")
        return config
    texts = dict(text_keys=tuple(f"caption_{language}" for language in LANGUAGES), text_length=16, vocab_size=4096)
    config.data.update(texts)
    config.views = dict(name="mae", crop_scale=(0.6, 1.0), flip=0.0)  # some are called by where they point
    config.method = dict(name=method)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.1, b2=0.98)
    tasks = ("knn_5shot", "knn_full", "linear", "zero_shot", "retrieval")
    config.evaluate = dict(every=300, tasks=tasks, class_names=_CALLED)
    of_run = lambda part: {name: value for name, value in reached[part].items() if name not in ANSWERS}
    config.expected = dict(results=of_run("results"), margins=of_run("margins"), hardware="2 CPU cores")
    config.update(METHODS[method])
    return config
