"""Jigsaw puzzles, ResNet-50, ImageNet-1k, 105 epochs: Noroozi and Favaro 2016 (arXiv:1603.09246), as VISSL trains it.

Expected: VISSL's files state no accuracy, and the paper's network is an AlexNet; so nothing is promised. The encoder: a
ResNet-50. Hardware: 8 GPUs, 32 pictures each; no duration is stated.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/jigsaw_imagenet_rn50.py
    python launch.py --config=configs/jigsaw_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from: `configs/config/pretrain/jigsaw/jigsaw_8gpu_resnet.yaml` of facebookresearch/vissl: batch
256, SGD with momentum 0.9, learning rate 0.1 after five epochs of warm-up from 0.025, a tenth of it after epochs 30,
60, 90 and 100 of 105, weight decay 1e-4 of all but normalisations; pictures of 255 pixels, grey two times in three,
nine tiles of 64 pixels at random places of cells of 85, 2000 orders; 1000 features of a tile.
Known differences: tiles are normalised one by one, as in the paper, there not; a layer of 4096 sees them together, as
in the paper, there none, and there each tile's features pass a batch normalisation. Crops of 60 to 100 %, there the
picture's shorter side cut to 255 of 256 pixels. Biases do not decay here.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS, LOWER_EPOCHS = 105, 5, (30, 60, 90, 100)


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="simclr", out_size=255, crop_scale=(0.6, 1.0), crop_ratio=(1.0, 1.0), interpolation="bilinear", jitter=0.0,
        grayscale=0.66, blur=0.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    )  # fmt: skip
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(name="jigsaw", tiles=9, tile_size=64, orders=2000, tile_features=1000, hidden=4096)
    config.optimizer = dict(
        name="sgd", learning_rate=0.1, reference_batch_size=256, weight_decay=1e-4, momentum=0.9, nesterov=False
    )
    config.schedule = dict(
        name="warmup_multistep", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=0.25,
        at=tuple(lower / EPOCHS for lower in LOWER_EPOCHS),
    )  # fmt: skip
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=35 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        source="facebookresearch/vissl, configs/config/pretrain/jigsaw",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        hardware="8 GPUs",
    )
    small = dict(schedule=dict(at=(0.5,)), method=dict(tile_size=8, orders=10, tile_features=32, hidden=64))
    return trial.variant(config, variant, smoke=small)
