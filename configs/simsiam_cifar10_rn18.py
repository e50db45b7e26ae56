"""SimSiam, ResNet-18, CIFAR-10, 800 epochs: appendix D of Chen and He 2021 (arXiv:2011.10566).

Expected: 91.8 % top-1 of a linear classifier on frozen features. Our probe is a logistic regression.

    python launch.py prepare cifar10
    python launch.py --config=configs/simsiam_cifar10_rn18.py
    python launch.py --config=configs/simsiam_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from: appendix D.
  800 epochs, batch 512, SGD with momentum 0.9, learning rate 0.03 x batch / 256, weight decay 5e-4, a cosine without
  warm-up; projector of two layers, 2048 out. ResNet-18 in its variant for CIFAR. Views: as on ImageNet without blur.
  The hidden width 2048, the predictor's 512, its constant rate, and decay of all parameters are those of ImageNet.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES, EPOCHS = 50_000, 800


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 512
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 50
    config.data = dict(modality="image", name="cifar10", image_size=32, workers=0, mock=0)
    config.views = dict(name="moco_v2", out_size=32, blur=0.0)
    config.model = dict(name="resnet", depth=18, stem="small")
    config.method = dict(
        name="simsiam", projector_hidden=2048, projector_out=2048, projector_layers=2, predictor_hidden=512
    )
    config.optimizer = dict(
        name="sgd",
        learning_rate=0.03,
        reference_batch_size=256,
        weight_decay=5e-4,
        momentum=0.9,
        all_parameters=True,
        constant_rate=("predictor",),
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=0)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, limit=None, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.918},
        source="Chen and He 2021, appendix D",
    )
    return trial.variant(
        config, variant, smoke=dict(method=dict(projector_hidden=64, projector_out=64, predictor_hidden=16))
    )
