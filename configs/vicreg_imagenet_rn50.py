"""VICReg, ResNet-50, ImageNet-1k, 1000 epochs: table 1 of Bardes et al. 2022 (arXiv:2105.04906).

Expected: 73.2 % top-1 of a linear classifier on frozen features (table 1, and the official README). The README trains
on 32 GPUs. Our probe is a logistic regression on features of the central crop, of
a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/vicreg_imagenet_rn50.py
    python launch.py --config=configs/vicreg_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from: the official `main_vicreg.py`, with the README's command for 1000 epochs.
  Batch 2048, LARS with momentum 0.9 and trust coefficient 0.001, learning rate 0.2 x batch / 256, weight decay 1e-6
  (biases and normalisation neither decayed nor adapted), 10 epochs of warm-up, then a cosine down to a thousandth.
  Weights 25, 25 and 1, projector 8192-8192-8192. Batch statistics over the global batch.
  Views: BYOL's, the preset 'byol', with PIL's blur; the official `augmentations.py` has the same numbers.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 1000, 10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 2048
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="byol", out_size=224, blur_radius=6)
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(
        name="vicreg",
        invariance_weight=25.0,
        variance_weight=25.0,
        covariance_weight=1.0,
        projector_hidden=8192,
        projector_out=8192,
    )
    config.optimizer = dict(
        name="lars",
        learning_rate=0.2,
        reference_batch_size=256,
        weight_decay=1e-6,
        momentum=0.9,
        rate_in_momentum=False,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=0.001)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.732},
        source="Bardes et al. 2022, table 1; README of facebookresearch/vicreg",
        parameters=23_000_000,
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="32 GPUs",
    )
    return trial.variant(config, variant, smoke=dict(method=dict(projector_hidden=64, projector_out=32)))
