"""MoCo, ResNet-18, CIFAR-10, 200 epochs: the demo of facebookresearch/moco, `colab/moco_cifar10_demo.ipynb`.

Expected: 82.6 % by 200 nearest neighbours on the head's output (85.3 % with config.method.symmetric = True); ours are
neighbours of the features before the head. The demo runs on one GPU.

    python launch.py prepare cifar10
    python launch.py --config=configs/moco_v2_cifar10_rn18.py
    python launch.py --config=configs/moco_v2_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from (the demo's defaults):
  batch 512, SGD, learning rate 0.06, momentum 0.9, weight decay 5e-4, a cosine without warm-up; momentum of the target
  0.99, 4096 keys of 128, temperature 0.1, a linear head, 8 groups with batch statistics of their own. All
  parameters decay; its first convolution starts as PyTorch's do, ours as the rest.
  Views: random crop, flip, the colours of MoCo v2, no blur.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 50_000
EPOCHS = 200


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 512
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 50
    config.data = dict(modality="image", name="cifar10", workers=0, mock=0)
    config.views = dict(
        name="moco_v2", crop_scale=(0.08, 1.0), blur=0.0, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)
    )
    config.model = dict(name="resnet", depth=18, stem="small", zero_init_residual=False)
    config.method = dict(
        name="moco_v2",
        momentum=0.99,
        temperature=0.1,
        queue_size=4096,
        projector_layers=1,
        projector_out=128,
        symmetric=False,
        statistics_groups=8,
    )
    config.optimizer = dict(
        name="sgd",
        learning_rate=0.06,
        reference_batch_size=512,
        weight_decay=5e-4,
        momentum=0.9,
        all_parameters=True,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=0)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, tasks=("knn_full", "linear"), k=200, temperature=0.1)
    config.expected = dict(
        results={"pretrained/knn_full": 0.826},
        source="facebookresearch/moco, CIFAR-10 demo, asymmetric, 200 epochs",
        hardware="1 GPU",
    )
    return trial.variant(config, variant)
