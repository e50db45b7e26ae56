"""Masked and predictive methods on Fashion-MNIST, with one network and about as much compute each.

    apt install dataset-fashion-mnist    or see `ssl_jax/data/builders/fashion_mnist.py`
    python launch.py --config=configs/masked_fashion_mnist.py:mae
    python launch.py --config=configs/masked_fashion_mnist.py:mae-fine_tune \
      --config.init_from=runs/masked_fashion_mnist_mae
    python launch.py --config=configs/masked_fashion_mnist.py:mae-attentive \
      --config.init_from=runs/masked_fashion_mnist_mae

The network is a ViT of three layers, 96 wide, on patches of 4 pixels of pictures that are resized to 32x32, so that all
masks fit; a batch is 32 pictures, or 8 in four turns. Steps are so many that the train steps of each method multiply
about as much, 1.5e12 times, without those of BEiT's tokenizer; MAE's are cheap, as it sees a quarter of the patches.
`METHODS` has what differs between methods. `fine_tune` trains the whole network on the labels for 400 steps,
`attentive` a pooling by attention on the frozen one; without `init_from` both begin with a random network.
"""

import ml_collections

from ssl_jax.errors import unknown

_PIXELS = dict(mean=(0.286,), std=(0.353,))  # of the training split
_OPTIMIZER = dict(name="adamw", learning_rate=1e-3, weight_decay=0.05)
_MEAN_OF_PATCHES = dict(pooling="mean")
_SLOWER = dict(optimizer=dict(learning_rate=3e-4))
_COARSE = dict(views=dict(crop_scale=(0.5, 1.0)))
METHODS = dict(
    mae=dict(steps=2000, model=_MEAN_OF_PATCHES, method=dict(decoder_width=48, decoder_depth=1, decoder_heads=3)),
    simmim=dict(steps=667, model=_MEAN_OF_PATCHES, method=dict(mask_unit=8)),
    mask_feat=dict(steps=667, model=_MEAN_OF_PATCHES, method=dict(cell=4), **_COARSE),
    data2vec_vision=dict(
        steps=493,
        model=dict(pooling="cls", layer_scale=0.1),
        method=dict(top=2, min_block=6, momentum=0.99),
        **_SLOWER,
    ),
    i_jepa=dict(
        steps=520,
        model=_MEAN_OF_PATCHES,
        method=dict(
            context_share=0.5,
            least_visible=8,
            predictor_width=48,
            predictor_depth=2,
            predictor_heads=3,
            momentum=0.99,
        ),
        **_SLOWER,
    ),
    # After a run of configs/dvae_fashion_mnist.py, whose tokens it predicts.
    beit=dict(
        steps=667,
        model=dict(pooling="cls", layer_scale=0.1),
        method=dict(tokenizer="runs/dvae_fashion_mnist", min_block=6),
    ),
    capi=dict(
        steps=767,
        model=dict(name="rotary_vit", registers=4),
        method=dict(clusters=256, predicted_share=0.25, predictor_depth=1, momentum=0.99, momentum_warmup_steps=50),
        optimizer=dict(apart=("clustering",), apart_rate=0.5, apart_decay=0.0),
    ),
    rotation=dict(steps=667, batch_size=8, model=_MEAN_OF_PATCHES, **_SLOWER),
    jigsaw=dict(
        steps=1300,
        model=_MEAN_OF_PATCHES,
        method=dict(tiles=4, tile_size=12, orders=24, tile_features=64, hidden=256),
        **_SLOWER,
    ),
    relative_position=dict(steps=2567, model=_MEAN_OF_PATCHES, method=dict(crop_size=12, gap=4, jitter=2, hidden=256)),
)
"""By method, what differs from the common settings: leaf -> value, or part -> leaf -> value."""
ANSWERS = dict(
    fine_tune=dict(
        steps=400,
        views=dict(name="simclr", crop_scale=(0.8, 1.0), jitter=0.0, grayscale=0.0, blur=0.0, **_PIXELS),
        method=dict(name="supervised", label_smoothing=0.1),
        optimizer=dict(learning_rate=3e-3, layer_decay=0.75),
    ),
    attentive=dict(steps=400, method=dict(name="attentive_probe", heads=3)),
)
"""By what is asked of a network that a method has trained: what differs from the method's own settings."""
EXPECTED = dict()
"""By method that has been measured: means over seeds 0 to 2 (docs/methods.md), and the least by which they are above
the untrained network's, both of `ANSWERS` too."""


def get_config(variant: str = "mae") -> ml_collections.ConfigDict:
    method, _, answer = variant.partition("-")
    if method not in METHODS or answer not in ("", *ANSWERS):
        valid = [*METHODS, *(f"{name}-{answer}" for name in METHODS for answer in ANSWERS)]
        raise unknown("variant of masked_fashion_mnist", variant, sorted(valid))
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 32
    config.log_every = 20
    config.data = dict(modality="image", name="fashion_mnist", image_size=32)
    config.views = dict(name="mae", **_PIXELS)
    config.model = dict(
        name="vit",
        size="Ti",
        image_size=32,
        patch_size=4,
        channels=1,
        width=96,
        depth=3,
        heads=3,
        mlp_dim=384,
    )
    config.method = dict(name=method)
    config.optimizer = dict(_OPTIMIZER)
    config.schedule = dict(name="warmup_cosine", warmup_steps=100)
    config.checkpoint = dict(every=500, keep=2)
    config.evaluate = dict(every=500, limit=5_000, tasks=("knn_5shot", "knn_full", "linear"))
    reached = EXPECTED.get(method, dict(results={}, margins={}))
    of_run = lambda part: {name: value for name, value in reached[part].items() if name not in ANSWERS}
    config.expected = dict(results=of_run("results"), margins=of_run("margins"), hardware="2 CPU cores")
    config.update(METHODS[method])
    if answer:
        del config.method, config.views
        config.method, config.views = dict(), dict(name="mae", **_PIXELS)
        del config.optimizer
        config.optimizer = dict(_OPTIMIZER)
        config.evaluate = dict(limit=5_000, tasks=())
        results = {"accuracy": reached["results"][answer]} if answer in reached["results"] else {}
        config.expected = dict(results=results, margins={}, hardware="2 CPU cores")
        config.batch_size = 32
        config.update(ANSWERS[answer])
    return config
