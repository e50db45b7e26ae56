"""DCL, ResNet-50, ImageNet-1k, 200 epochs at batch 256: Yeh et al. 2021 (arXiv:2110.06848).

Expected: 66.9 % top-1 of a linear classifier on frozen features (the abstract of its first version; 68.2 % with tuned
settings in the last). Our probe is a logistic regression on features of the central crop, of a tenth of the labelled
images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/dcl_imagenet_rn50.py
    python launch.py --config=configs/dcl_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from:
  Batch 256 and 200 epochs: the abstract. LARS (lightly's, which is our `larc`), learning rate 0.075 x the root of the
  batch, weight decay 1e-6 without biases and normalisation, momentum 0.9, 10 epochs of warm-up, then a cosine down to a
  thousandth, temperature 0.1, SimCLR's head: lightly's benchmark of DCL (`benchmarks/imagenet/resnet50/dcl.py`). Views
  are SimCLR's with bilinear resize, PIL's blur and ImageNet's mean and deviation, and residual blocks do not start at
  0, as there. Its last normalisation has an offset, ours has none.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 200, 10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="simclr",
        out_size=224,
        interpolation="bilinear",
        blur_radius=6,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    config.model = dict(name="resnet", depth=50, zero_init_residual=False, dtype="bfloat16")
    config.method = dict(name="dcl", temperature=0.1, projector_hidden=2048, projector_out=128)
    rate = 0.075 * config.get_ref("batch_size").to_float() ** 0.5
    config.optimizer = dict(name="larc", learning_rate=rate, weight_decay=1e-6, momentum=0.9, all_parameters=False)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=0.001)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.669},
        source="Yeh et al. 2021, first version, abstract",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
    )
    return trial.variant(config, variant)
