"""MoCo v3, ResNet-50, ImageNet-1k, 1000 epochs: Chen et al. 2021 (arXiv:2104.02057) and facebookresearch/moco-v3.

Expected: 74.6 % top-1 of a linear classifier on frozen features (the official PyTorch code's CONFIG.md, which trains on
16 V100 GPUs). Our probe is a logistic regression on features of the central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/moco_v3_imagenet_rn50.py
    python launch.py --config=configs/moco_v3_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (the official code's CONFIG.md, README and the defaults of `main_moco.py`):
  batch 4096, LARS, learning rate 0.3 x batch / 256, weight decay 1.5e-6 (biases and normalisation excepted, also from
  LARS), momentum 0.9, trust coefficient 0.001, 10 epochs of warm-up, then a cosine; momentum of the target from 0.996
  to 1, temperature 1, projector of 2 layers and predictor 4096 wide, 256 out, no normalisation after the predictor.
  Views: BYOL's, with crops of at least 20 % of the area (`--crop-min=.2`), bilinear resize and PIL's blur.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 1000, 10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 4096
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="byol", out_size=224, crop_scale=(0.2, 1.0), interpolation="bilinear", blur_radius=6)
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(
        name="moco_v3",
        momentum=0.996,
        temperature=1.0,
        projector_layers=2,
        projector_hidden=4096,
        projector_out=256,
        predictor_batch_norm=False,
    )
    config.optimizer = dict(
        name="lars",
        learning_rate=0.3,
        reference_batch_size=256,
        weight_decay=1.5e-6,
        momentum=0.9,
        rate_in_momentum=False,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.746},
        source="facebookresearch/moco-v3, CONFIG.md, ResNet-50, 1000 epochs",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="16 V100 GPUs",
    )
    return trial.variant(config, variant)
