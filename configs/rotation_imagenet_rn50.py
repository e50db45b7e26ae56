"""RotNet, ResNet-50, ImageNet-1k, 105 epochs: Gidaris et al. 2018 (arXiv:1803.07728), as VISSL trains it.

Expected: VISSL's files state no accuracy, and the paper's network is an AlexNet; so nothing is promised. The encoder: a
ResNet-50. Hardware: 8 GPUs, 32 pictures each; no duration is stated.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/rotation_imagenet_rn50.py
    python launch.py --config=configs/rotation_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from: `configs/config/pretrain/rotnet/rotnet_8gpu_resnet.yaml` of facebookresearch/vissl: batch
256, SGD with momentum 0.9, learning rate 0.1, a tenth of it after epochs 30, 60, 90 and 100 of 105, weight decay 1e-4
of all but normalisations, random crops and flips, a linear classifier of four classes.
Known differences: each picture comes in all four turns, as in the paper, and there in one of them. So a batch is 64
pictures, and the run's 105 epochs see each of them in a quarter as many draws; steps and turned pictures are as many.
There a picture is turned before it is cropped, here after it. Biases do not decay here.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, LOWER_EPOCHS, TURNS = 105, (30, 60, 90, 100), 4


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 64
    epoch = TRAIN_EXAMPLES // (TURNS * config.get_ref("batch_size"))
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="mae", out_size=224, crop_scale=(0.08, 1.0), interpolation="bilinear", flip=0.5)
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(name="rotation")
    config.optimizer = dict(
        name="sgd", learning_rate=0.1, reference_batch_size=64, weight_decay=1e-4, momentum=0.9, nesterov=False
    )
    config.schedule = dict(name="warmup_multistep", at=tuple(lower / EPOCHS for lower in LOWER_EPOCHS))
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=35 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        source="facebookresearch/vissl, configs/config/pretrain/rotnet",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="8 GPUs",
    )
    return trial.variant(config, variant, smoke=dict(schedule=dict(at=(0.5,))))
