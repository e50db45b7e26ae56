"""BYOL, ResNet-50, ImageNet-1k, 1000 epochs: table 1 of Grill et al. 2020 (arXiv:2006.07733).

Expected: 74.3 % top-1 of a linear classifier on frozen features (table 1a), from 24 M parameters. The paper trains on
512 TPU v3 cores for about 8 hours (section 3.3). Our probe is a logistic regression on features of the central crop, of
a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/byol_imagenet_rn50.py
    python launch.py --config=configs/byol_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (sections of the paper):
  batch 4096, LARS, learning rate 0.2 x batch / 256, weight decay 1.5e-6 (biases and normalisation excepted, also from
  LARS), 10 epochs of warm-up, then a cosine without restarts, momentum of the target from 0.996 to 1: section 3.3;
  LARS's momentum 0.9 and trust coefficient 0.001: the official code.
  Views: the preset 'byol', table 6 of appendix B. Projector and predictor 4096 wide, 256 out: section 3.3.
  Batch statistics over the global batch: section 3.3 (the paper's are global too). The official code's averages of
  them have a decay of 0.9, as ours. Residual blocks do not start at 0: the official README says so of the paper's runs.
Known differences: the official code cuts crops that are larger than the picture to its size, where ours are drawn anew
as torchvision's are (smaller on average); its target starts with weights of its own, ours with the network's.
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
    config.views = dict(name="byol", out_size=224)
    config.model = dict(name="resnet", depth=50, zero_init_residual=False, dtype="bfloat16")
    config.method = dict(name="byol", momentum=0.996, projector_hidden=4096, projector_out=256)
    config.optimizer = dict(
        name="lars",
        learning_rate=0.2,
        reference_batch_size=256,
        weight_decay=1.5e-6,
        momentum=0.9,
        rate_in_momentum=False,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.743},
        source="Grill et al. 2020, table 1a, ResNet-50 (1x)",
        parameters=24_000_000,
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="512 TPU v3 cores",
        hours=8.0,
    )
    return trial.variant(config, variant)
