"""NNCLR, ResNet-50, ImageNet-1k, 1000 epochs: Dwibedi et al. 2021 (arXiv:2104.14548).

Expected: 75.6 % top-1 of a linear classifier on frozen features (the abstract; whether that is with more than
two crops was not checked). Our probe is a logistic regression on
features of the central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/nnclr_imagenet_rn50.py
    python launch.py --config=configs/nnclr_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from:
  Heads (projector 2048, 2048, 256, each with normalisation; predictor 4096, 256): the paper, as lightly's code quotes
  it.
  A support set of 98304, temperature 0.1, batch 4096, LARS, learning rate 0.3 x batch / 256, weight decay 1e-6, 10
  epochs of warm-up, then a cosine: the paper's, which has no official code; not checked against its text. LARS's
  momentum 0.9 and trust coefficient 0.001 and the views are SimCLR's.
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
    config.views = dict(name="simclr", out_size=224)
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(
        name="nnclr",
        temperature=0.1,
        queue_size=98304,
        projector_layers=3,
        projector_hidden=2048,
        projector_out=256,
        predictor_hidden=4096,
    )
    config.optimizer = dict(name="lars", learning_rate=0.3, reference_batch_size=256, weight_decay=1e-6, momentum=0.9)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.756},
        source="Dwibedi et al. 2021, abstract, ResNet-50",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
    )
    return trial.variant(config, variant)
