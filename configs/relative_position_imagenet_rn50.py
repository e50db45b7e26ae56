"""Context prediction, ResNet-50, ImageNet-1k, 35 epochs: Doersch et al. 2015 (arXiv:1505.05192), as Kolesnikov et al.
2019 (arXiv:1901.09005) train it.

Expected: their code states no accuracy, and the paper's network is an AlexNet; so nothing is promised. The encoder: a
ResNet-50 of the usual width; that of their script is twice as wide: `--config.model.base_width=128`. Hardware: 8 cores
of TPUs; no duration is stated.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/relative_position_imagenet_rn50.py
    python launch.py --config=configs/relative_position_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from: `config/relative_patch_location/imagenet.sh`, `trainer.py` and `patch_utils.py` of
google/revisiting-self-supervised: batch 128, SGD with momentum 0.9, learning rate 0.1 for 256 pictures after five
epochs of warm-up, a tenth of it after epochs 15 and 25 of 35, weight decay 1e-4; pictures of 255 pixels, grey two times
in three, patches of 64 pixels in cells of 85, so shifted by up to 10 each way; eight pairs of a picture; 4096 features
of both.
Known differences: pairs lie anywhere in the picture and their positions are drawn, there the first is its middle and
each position comes once; patches are not normalised one by one, and pictures are flipped. Two layers see both, as in
the first paper, there one, with batch normalisation, dropout and a decay of 5e-4, after a layer of 1000 for each patch.
Crops of 60 to 100 %, there 255 of 292 pixels each way.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS, LOWER_EPOCHS = 35, 5, (15, 25)


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 128
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="simclr", out_size=255, crop_scale=(0.6, 1.0), interpolation="bilinear", jitter=0.0, grayscale=0.66,
        blur=0.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    )  # fmt: skip
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(name="relative_position", crop_size=64, gap=21, jitter=10, pairs=8, hidden=4096)
    config.optimizer = dict(
        name="sgd", learning_rate=0.1, reference_batch_size=256, weight_decay=1e-4, momentum=0.9, nesterov=False
    )
    config.schedule = dict(
        name="warmup_multistep", warmup_steps=WARMUP_EPOCHS * epoch, at=tuple(lower / EPOCHS for lower in LOWER_EPOCHS)
    )
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=35 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        source="google/revisiting-self-supervised, config/relative_patch_location",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        hardware="8 cores of TPUs",
    )
    small = dict(schedule=dict(at=(0.5,)), method=dict(crop_size=8, gap=4, jitter=1, pairs=2, hidden=64))
    return trial.variant(config, variant, smoke=small)
