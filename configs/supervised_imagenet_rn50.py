"""Supervised ResNet-50, ImageNet-1k, 100 epochs: the ImageNet example of google/flax, which trains with this schedule.

Expected: 76.27 % top-1 in 4.3 hours on 8 V100 GPUs (its README, `v100_x8_mixed_precision`), of its own classifier. Ours
is measured with a probe, a logistic regression on features of the central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/supervised_imagenet_rn50.py
    python launch.py --config=configs/supervised_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (flax `examples/imagenet`, configs/default.py and configs/v100_x8_mixed_precision.py):
  batch 2048, learning rate 0.1 x batch / 256, 5 epochs of warm-up, then a cosine, momentum 0.9, 100 epochs. Nesterov's
  momentum and weight decay 1e-4 without biases and normalisation: its train.py (and Goyal et al. 2017, section 5.1, who
  also reach 76.4 % with steps in the place of the cosine).
  There all weights start normal with a variance of 1 / inputs; here convolutions with 2 / (outputs x area), and the
  classifier with a deviation of 0.01, as in Goyal et al.
  Views: random crop and flip alone. TensorFlow's crops are never below a tenth of the picture.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 100, 5


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 2048
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="simclr",
        out_size=224,
        jitter=0.0,
        grayscale=0.0,
        blur=0.0,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(name="supervised", label_smoothing=0.0)
    config.optimizer = dict(
        name="sgd", learning_rate=0.1, reference_batch_size=256, weight_decay=1e-4, momentum=0.9, nesterov=True
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        supervised=0.7627,  # top-1 of its own classifier
        source="google/flax, examples/imagenet, README",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="8 V100 GPUs",
        hours=4.3,
    )
    return trial.variant(config, variant)
