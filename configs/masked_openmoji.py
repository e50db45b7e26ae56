"""Masked and predictive methods on 32x32 OpenMoji pictures, with one network and about as much compute each.

    python launch.py --config=configs/masked_openmoji.py:mae
    python launch.py --config=configs/masked_openmoji.py:mae-fine_tune --config.init_from=runs/masked_openmoji_mae
    python launch.py --config=configs/masked_openmoji.py:mae-attentive --config.init_from=runs/masked_openmoji_mae

The network is a ViT of three layers, 96 wide, on patches of 4 pixels; a batch is 32 pictures, or 8 in four turns.
Steps are so many that the train steps of each method multiply about as much, 3e12 times, without those of BEiT's
tokenizer; MAE's are cheap, as it sees a quarter of the patches. `METHODS` has what differs between methods. `fine_tune`
trains the whole network on the labels for 800 steps, `attentive` a pooling by attention on the frozen one; without
`init_from` both begin with a random network.
"""

import ml_collections

from ssl_jax.errors import unknown

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as the views of masked methods have them
_OPTIMIZER = dict(name="adamw", learning_rate=1e-3, weight_decay=0.05)
_MEAN_OF_PATCHES = dict(pooling="mean")
_SLOWER = dict(optimizer=dict(learning_rate=3e-4))
_COARSE = dict(views=dict(crop_scale=(0.5, 1.0)))
METHODS = dict(
    mae=dict(steps=4000, model=_MEAN_OF_PATCHES, method=dict(decoder_width=48, decoder_depth=1, decoder_heads=3)),
    simmim=dict(steps=1333, model=_MEAN_OF_PATCHES, method=dict(mask_unit=8)),
    mask_feat=dict(steps=1333, model=_MEAN_OF_PATCHES, method=dict(cell=4), **_COARSE),
    data2vec_vision=dict(
        steps=987,
        model=dict(pooling="cls", layer_scale=0.1),
        method=dict(top=2, min_block=6, momentum=0.99),
        **_SLOWER,
    ),
    i_jepa=dict(
        steps=1040,
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
    # After a run of configs/dvae_openmoji.py, whose tokens it predicts.
    beit=dict(
        steps=1333,
        model=dict(pooling="cls", layer_scale=0.1),
        method=dict(tokenizer="runs/dvae_openmoji", min_block=6),
    ),
    capi=dict(
        steps=1533,
        model=dict(name="rotary_vit", registers=4),
        method=dict(clusters=256, predicted_share=0.25, predictor_depth=1, momentum=0.99, momentum_warmup_steps=50),
        optimizer=dict(apart=("clustering",), apart_rate=0.5, apart_decay=0.0),
    ),
    rotation=dict(steps=1333, batch_size=8, model=_MEAN_OF_PATCHES, **_SLOWER),
    jigsaw=dict(
        steps=2600,
        model=_MEAN_OF_PATCHES,
        method=dict(tiles=4, tile_size=12, orders=24, tile_features=64, hidden=256),
        **_SLOWER,
    ),
    relative_position=dict(steps=5133, model=_MEAN_OF_PATCHES, method=dict(crop_size=12, gap=4, jitter=2, hidden=256)),
)
"""By method, what differs from the common settings: leaf -> value, or part -> leaf -> value."""
ANSWERS = dict(
    fine_tune=dict(
        steps=800,
        views=dict(name="simclr", crop_scale=(0.8, 1.0), strength=0.1, blur=0.0, mean=_MEAN, std=_STD),
        method=dict(name="supervised", label_smoothing=0.1),
        optimizer=dict(learning_rate=3e-3, layer_decay=0.75),
    ),
    attentive=dict(steps=800, method=dict(name="attentive_probe", heads=3)),
)
"""By what is asked of a network that a method has trained: what differs from the method's own settings."""
EXPECTED = dict(
    mae=dict(
        results=dict(knn_5shot=0.393, knn_full=0.58, linear=0.612, fine_tune=0.618, attentive=0.56),
        margins=dict(knn_5shot=0.06, knn_full=0.06, fine_tune=0.04, attentive=0.01),
    ),
    simmim=dict(
        results=dict(knn_5shot=0.303, knn_full=0.518, linear=0.558, fine_tune=0.555, attentive=0.489),
        margins=dict(knn_full=0.001),
    ),
    mask_feat=dict(
        results=dict(
            knn_5shot=0.369, knn_full=0.538, linear=0.582, fine_tune=0.543, attentive=0.537, target_skill=0.151
        ),
        margins=dict(knn_5shot=0.05, knn_full=0.01, attentive=0.02, target_skill=0.87),
    ),
    data2vec_vision=dict(
        results=dict(
            knn_5shot=0.29, knn_full=0.503, linear=0.566, fine_tune=0.523, attentive=0.509, target_skill=0.309
        ),
        margins=dict(attentive=0.002, target_skill=0.78),
    ),
    i_jepa=dict(
        results=dict(
            knn_5shot=0.272, knn_full=0.481, linear=0.552, fine_tune=0.518, attentive=0.474, target_skill=0.502
        ),
        margins=dict(target_skill=1.18),
    ),
    beit=dict(
        results=dict(
            knn_5shot=0.294, knn_full=0.496, linear=0.557, fine_tune=0.524, attentive=0.505, token_accuracy=0.517
        ),
        margins=dict(token_accuracy=0.51),
    ),
    capi=dict(
        results=dict(knn_5shot=0.316, knn_full=0.522, linear=0.551, fine_tune=0.533, attentive=0.499),
        margins=dict(knn_full=0.009),
    ),
    rotation=dict(
        results=dict(
            knn_5shot=0.312, knn_full=0.517, linear=0.565, fine_tune=0.549, attentive=0.516, rotation_accuracy=0.391
        ),
        margins=dict(rotation_accuracy=0.12),
    ),
    jigsaw=dict(
        results=dict(
            knn_5shot=0.311, knn_full=0.51, linear=0.575, fine_tune=0.544, attentive=0.506, jigsaw_accuracy=0.648
        ),
        margins=dict(jigsaw_accuracy=0.58),
    ),
    relative_position=dict(
        results=dict(
            knn_5shot=0.302, knn_full=0.491, linear=0.547, fine_tune=0.565, attentive=0.506, position_accuracy=0.621
        ),
        margins=dict(position_accuracy=0.46),
    ),
)
"""By method that has been measured: means over seeds 0 to 2 (docs/methods.md), and the least by which they are above
the untrained network's, both of `ANSWERS` too."""


def get_config(variant: str = "mae") -> ml_collections.ConfigDict:
    method, _, answer = variant.partition("-")
    if method not in METHODS or answer not in ("", *ANSWERS):
        valid = [*METHODS, *(f"{name}-{answer}" for name in METHODS for answer in ANSWERS)]
        raise unknown("variant of masked_openmoji", variant, sorted(valid))
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 32
    config.log_every = 20
    config.data = dict(modality="image", name="openmoji", image_size=32)
    config.views = dict(name="mae")
    config.model = dict(name="vit", size="Ti", image_size=32, patch_size=4, width=96, depth=3, heads=3, mlp_dim=384)
    config.method = dict(name=method)
    config.optimizer = dict(_OPTIMIZER)
    config.schedule = dict(name="warmup_cosine", warmup_steps=100)
    config.checkpoint = dict(every=1000, keep=2)
    config.evaluate = dict(every=1000, tasks=("knn_5shot", "knn_full", "linear"))
    reached = EXPECTED.get(method, dict(results={}, margins={}))
    of_run = lambda part: {name: value for name, value in reached[part].items() if name not in ANSWERS}
    config.expected = dict(results=of_run("results"), margins=of_run("margins"), hardware="2 CPU cores")
    config.update(METHODS[method])
    if answer:
        del config.method, config.views
        config.method, config.views = dict(), dict(name="mae")
        del config.optimizer
        config.optimizer = dict(_OPTIMIZER)
        config.evaluate = dict(tasks=())
        results = {"accuracy": reached["results"][answer]} if answer in reached["results"] else {}
        config.expected = dict(results=results, margins={}, hardware="2 CPU cores")
        config.batch_size = 32
        config.update(ANSWERS[answer])
    return config
