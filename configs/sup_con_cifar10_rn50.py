"""SupCon, ResNet-50, CIFAR-10, 1000 epochs: Khosla et al. 2020 (arXiv:2004.11362) and HobbitLong/SupContrast.

Expected: 96.0 % of a linear classifier on frozen features (its README).

    python launch.py prepare cifar10
    python launch.py --config=configs/sup_con_cifar10_rn50.py
    python launch.py --config=configs/sup_con_cifar10_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (that README's command and `main_supcon.py`):
  batch 1024, SGD, learning rate 0.5, momentum 0.9, weight decay 1e-4, 10 epochs of warm-up from 0.01, then a cosine to
  a thousandth of the rate; temperature 0.1, the loss multiplied by 0.1 / 0.07, a head of two layers, 2048 wide, 128
  out. All parameters decay. Its cosine counts from the first epoch and
  moves once an epoch, so that the warm-up ends at 0.49988; ours counts from there and moves each step.
  Views: random crop of at least 20 % of the area, flip, the colours of MoCo v2, no blur.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 50_000
EPOCHS = 1000
WARMUP_EPOCHS = 10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 1024
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 50
    config.data = dict(modality="image", name="cifar10", workers=0, mock=0)
    config.views = dict(name="moco_v2", blur=0.0, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
    config.model = dict(name="resnet", depth=50, stem="small", zero_init_residual=False)
    config.method = dict(
        name="sup_con",
        temperature=0.1,
        base_temperature=0.07,
        projector_layers=2,
        projector_hidden=2048,
        projector_out=128,
    )
    config.optimizer = dict(name="sgd", learning_rate=0.5, weight_decay=1e-4, momentum=0.9, all_parameters=True)
    config.schedule = dict(
        name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=0.01 / 0.5, end_factor=0.001
    )
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, tasks=("knn_full", "linear"))
    config.expected = dict(results={"pretrained/linear": 0.96}, source="HobbitLong/SupContrast, README")
    return trial.variant(config, variant)
