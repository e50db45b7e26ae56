"""NNCLR, ResNet-18, CIFAR-10, 200 epochs: lightly's CIFAR-10 benchmark, `cifar10_benchmark.py` of its documentation.

Expected: 83.4 % by 200 nearest neighbours (its best over the epochs), in its table at batch 128, on one A6000.

    python launch.py prepare cifar10
    python launch.py --config=configs/nnclr_cifar10_rn18.py
    python launch.py --config=configs/nnclr_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from (that file, and the defaults of lightly's losses):
  batch 128, SGD, learning rate 0.06, momentum 0.9, weight decay 5e-4 of all parameters, a cosine without warm-up;
  temperature 0.5, 4096 earlier examples, a projector of 2 layers.
  Its loss there is SimCLR's, of neighbours and predictions, where ours is the paper's (equation 3), whose negatives
  are predictions alone. Its support set takes the second views, ours the first.
  Views: SimCLR's of half strength, without blur.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 50_000
EPOCHS = 200


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 128
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 50
    config.data = dict(modality="image", name="cifar10", workers=0, mock=0)
    config.views = dict(
        name="simclr",
        strength=0.5,
        blur=0.0,
        interpolation="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    config.model = dict(name="resnet", depth=18, stem="small", zero_init_residual=False, kernel_init="torch")
    config.method = dict(
        name="nnclr",
        temperature=0.5,
        queue_size=4096,
        projector_layers=2,
        projector_hidden=2048,
        projector_out=256,
        predictor_hidden=4096,
    )
    config.optimizer = dict(
        name="sgd",
        learning_rate=0.06,
        reference_batch_size=128,
        weight_decay=5e-4,
        momentum=0.9,
        all_parameters=True,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=0)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, tasks=("knn_full", "linear"), k=200, temperature=0.1)
    config.expected = dict(
        results={"pretrained/knn_full": 0.834},
        source="lightly, CIFAR-10 benchmark, batch 128, 200 epochs",
        hardware="1 RTX A6000",
    )
    return trial.variant(config, variant)
