"""BYOL, ResNet-18, CIFAR-10, 200 epochs: lightly's benchmark (`cifar10_benchmark.py`).

Expected: 86.9 % by 200 nearest neighbours (its best over the epochs), in its table at batch 128, in 122 minutes on
one RTX A6000. The paper pretrains on ImageNet alone.

    python launch.py prepare cifar10
    python launch.py --config=configs/byol_cifar10_rn18.py
    python launch.py --config=configs/byol_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from: lightly's benchmark.
  200 epochs, batch 128, SGD with momentum 0.9, learning rate 0.06, weight decay 5e-4 of all parameters, a cosine
  without warm-up. lightly's loss is half the sum of two negative cosines: its gradient is a quarter of equation 2's, so
  that a quarter of the rate and four times the decay are the same updates here. Projector and predictor 1024 wide,
  256 out, with biases in the last layers, started as PyTorch's layers are.
  Views: BYOL's without blur.
Known difference: lightly keeps the momentum at 0.99 where this rises from 0.99 to 1.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES, EPOCHS = 50_000, 200


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 128
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 50
    config.data = dict(modality="image", name="cifar10", image_size=32, workers=0, mock=0)
    config.views = dict(name="byol", out_size=32, blur=0.0, second_blur=0.0, interpolation="bilinear")
    config.model = dict(name="resnet", depth=18, stem="small", zero_init_residual=False, kernel_init="torch")
    config.method = dict(name="byol", momentum=0.99, projector_hidden=1024, projector_out=256, head_layers="torch")
    config.optimizer = dict(
        name="sgd",
        learning_rate=0.06 / 4,
        reference_batch_size=128,
        weight_decay=4 * 5e-4,
        momentum=0.9,
        all_parameters=True,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=0)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(
        every=10 * epoch, batch_size=1024, limit=None, tasks=("knn_full", "linear"), k=200, temperature=0.1
    )
    config.expected = dict(
        results={"pretrained/knn_full": 0.869},
        source="lightly, cifar10_benchmark.py, batch 128",
        hardware="1 RTX A6000",
        hours=2.0,
    )
    return trial.variant(config, variant, smoke=dict(method=dict(projector_hidden=64, projector_out=32)))
