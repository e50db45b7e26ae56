"""SimSiam, ResNet-50, ImageNet-1k, 100 epochs: table 1 of Chen and He 2021 (arXiv:2011.10566).

Expected: 68.1 % top-1 of a linear classifier on frozen features, the last row of table 1, which the official code's
README gives for these settings on 8 V100 GPUs. Our probe is a logistic regression on features of the central crop, of
a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/simsiam_imagenet_rn50.py
    python launch.py --config=configs/simsiam_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from: the defaults of the official `main_simsiam.py` with `--fix-pred-lr`.
  100 epochs, batch 512, SGD with momentum 0.9, learning rate 0.05 x batch / 256, weight decay 1e-4 of all parameters, a
  cosine by epoch without warm-up (here by step); the predictor keeps the peak rate. Projector of three layers 2048
  wide, predictor 2048 -> 512 -> 2048. Batch statistics over the global batch.
  Views: MoCo v2's, the preset 'moco_v2'.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 100, 0


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 512
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="moco_v2", out_size=224)
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(name="simsiam", projector_hidden=2048, projector_out=2048, predictor_hidden=512)
    config.optimizer = dict(
        name="sgd",
        learning_rate=0.05,
        reference_batch_size=256,
        weight_decay=1e-4,
        momentum=0.9,
        all_parameters=True,
        constant_rate=("predictor",),
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.681},
        source="Chen and He 2021, table 1; README of facebookresearch/simsiam",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="8 V100 GPUs",
    )
    return trial.variant(
        config, variant, smoke=dict(method=dict(projector_hidden=64, projector_out=64, predictor_hidden=16))
    )
