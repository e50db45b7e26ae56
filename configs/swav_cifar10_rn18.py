"""SwAV, ResNet-18, CIFAR-10, 200 epochs: lightly's CIFAR-10 benchmark, `cifar10_benchmark.py` of its documentation.

Expected: 81.2 % by 200 nearest neighbours (its best over the epochs), in its table at batch 128, in 100 minutes on
one RTX A6000. The paper pretrains on ImageNet alone.

    python launch.py prepare cifar10
    python launch.py --config=configs/swav_cifar10_rn18.py
    python launch.py --config=configs/swav_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from (that file, and the defaults of lightly's loss):
  batch 128, Adam, learning rate 0.001, weight decay 1e-6, a cosine without warm-up; 512 prototypes of width 128 that
  learn from the first step, projector 512 wide, temperature 0.1, epsilon 0.05, 3 Sinkhorn iterations, no queue.
  It normalises each view by itself; here both share their batch statistics. Its decay is part of the gradient and of
  all parameters, ours decoupled and of weights alone.
  Views: SwAV's two large crops, of at least 14 % of the area, with jitter of half strength, without blur.
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
        name="swav",
        out_size=32,
        local_crops=0,
        strength=0.5,
        blur=0.0,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    config.model = dict(name="resnet", depth=18, stem="small", zero_init_residual=False, kernel_init="torch")
    config.method = dict(
        name="swav",
        temperature=0.1,
        epsilon=0.05,
        sinkhorn_iterations=3,
        prototypes=512,
        freeze_prototypes_steps=0,
        projector_hidden=512,
        projector_out=128,
    )
    config.optimizer = dict(name="adamw", learning_rate=1e-3, reference_batch_size=128, weight_decay=1e-6)
    config.schedule = dict(name="warmup_cosine", warmup_steps=0)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, tasks=("knn_full", "linear"), k=200, temperature=0.1)
    config.expected = dict(
        results={"pretrained/knn_full": 0.812},
        source="lightly, CIFAR-10 benchmark, batch 128, 200 epochs",
        hardware="1 RTX A6000",
        hours=1.7,
    )
    return trial.variant(config, variant, smoke=dict(method=dict(prototypes=32)))
