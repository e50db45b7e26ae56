"""SwAV, ResNet-50, ImageNet-1k, 800 epochs: Caron et al. 2020 (arXiv:2006.09882), table of the authors' README.

Expected: 75.3 % top-1 of a linear classifier on frozen features, with 2 crops of 224 and 6 of 96 pixels. The
authors train on 64 GPUs (8 nodes), 3 min 40 s an epoch, 49 hours. Our probe is a logistic regression on features of the
central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/swav_imagenet_rn50.py
    python launch.py --config=configs/swav_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (facebookresearch/swav):
  Batch 64 x 64 GPUs, learning rate 4.8 down to 0.0048 along a cosine, 10 epochs of warm-up from 0.3, weight decay 1e-6,
  temperature 0.1, epsilon 0.05, 3 Sinkhorn iterations, 3000 prototypes of width 128, frozen for an epoch (313 steps),
  no queue: `scripts/swav_800ep_pretrain.sh`. LARC with trust coefficient 0.001, momentum 0.9; projector 2048 wide:
  `main_swav.py`. Views: the preset 'swav'. The authors' script for a batch of 256 has a learning rate of 0.6 down to
  0.0006 without warm-up; the rate here does not follow the batch.
  Batch statistics over the global batch; the authors' are over groups of 8 GPUs (512 images).
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 800, 10


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
    config.views = dict(name="swav", out_size=224, local_size=96, local_crops=6)
    config.model = dict(name="resnet", depth=50, zero_init_residual=False, dtype="bfloat16")
    config.method = dict(
        name="swav",
        temperature=0.1,
        epsilon=0.05,
        sinkhorn_iterations=3,
        prototypes=3000,
        freeze_prototypes_steps=epoch + 1,
        projector_hidden=2048,
        projector_out=128,
    )
    config.optimizer = dict(name="larc", learning_rate=4.8, weight_decay=1e-6, momentum=0.9, trust_coefficient=0.001)
    config.schedule = dict(
        name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=0.3 / 4.8, end_factor=0.001
    )
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.753},
        source="facebookresearch/swav README, 800 epochs, 2x224 + 6x96",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="64 GPUs",
        hours=49.0,
    )
    return trial.variant(config, variant, smoke=dict(method=dict(prototypes=32, freeze_prototypes_steps=1)))
