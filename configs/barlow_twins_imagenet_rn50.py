"""Barlow Twins, ResNet-50, ImageNet-1k, 1000 epochs: table 1 of Zbontar et al. 2021 (arXiv:2103.03230).

Expected: 73.2 % top-1 of a linear classifier on frozen features (table 1); the official README gives 73.5 % for the
checkpoint of these settings, and about 7 days on 16 V100 GPUs.
Our probe is a logistic regression on features of the central crop, of
a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/barlow_twins_imagenet_rn50.py
    python launch.py --config=configs/barlow_twins_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from: the defaults of the official `main.py`.
  1000 epochs, batch 2048, LARS with momentum 0.9 and trust coefficient 0.001, learning rate 0.2 x batch / 256 for
  weights and 0.0048 x batch / 256 for biases and normalisation (neither decayed nor adapted), weight decay 1e-6; 10
  epochs of warm-up, then a cosine down to a thousandth. The official gradient is the loss's divided by the number of
  GPUs, 16 in the README, as its sum over GPUs passes no gradient and their mean is taken; LARS takes that off again
  except in the decay, which is 16 times as large here, and where it does not adapt, so that that rate is divided by 16.
  lambda 0.0051, projector 8192-8192-8192.
  Batch statistics over the global batch.
  Views: BYOL's, the preset 'byol', with PIL's blur.
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
    config.method = dict(name="barlow_twins", lambda_=0.0051, projector_hidden=8192, projector_out=8192)
    config.optimizer = dict(
        name="lars",
        learning_rate=0.2,
        reference_batch_size=256,
        weight_decay=16 * 1e-6,
        momentum=0.9,
        rate_in_momentum=False,
        bias_rate=0.0048 / 0.2 / 16,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=0.001)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.732},
        source="Zbontar et al. 2021, table 1; main.py of facebookresearch/barlowtwins",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="16 V100 GPUs",
        hours=168.0,
    )
    return trial.variant(config, variant, smoke=dict(method=dict(projector_hidden=64, projector_out=32)))
