"""I-JEPA, ViT-H/14, ImageNet-1k, 300 epochs: Assran et al. 2023 (arXiv:2301.08243), table 1.

Expected: 79.3 % top-1 of a linear classifier on frozen features, from 630 M parameters. Our probe is a logistic
regression on the mean over patches of a tenth of the labelled images. Hardware and time: 16 A100 GPUs, under 72 hours
(abstract).

    python launch.py prepare imagenet2012
    python launch.py --config=configs/i_jepa_imagenet_vit_h14.py
    python launch.py --config=configs/i_jepa_imagenet_vit_h14.py:smoke    the same code path on made-up pictures

Where the numbers come from: `configs/in1k_vith14_ep300.yaml` of the official code: batch 2048, AdamW, learning rate
2e-4 to 1e-3 over 40 epochs, then a cosine down to 1e-6, weight decay 0.04 to 0.4, momentum 0.996 to 1, crops of 30 to
100 % without flips or colours, four target blocks of 15 to 20 %, a context of 85 to 100 %, more than ten patches seen,
a predictor of 12 blocks, 384 wide. Its heads are as many as the encoder's, and weights start normal: `src/helper.py`,
which starts all linear layers again after `src/models/vision_transformer.py` has shrunk those of deep blocks.
Known differences: a context has at most 27 % of all patches; there, the number that the smallest context of a device's
batch has, which is as many on average.
The patch embedding starts uniform with its bias, as a convolution of PyTorch, with deviation 0.024; there its matrix is
normal, with 0.02, and its bias 0.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 300, 40


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
    config.views = dict(name="mae", out_size=224, crop_scale=(0.3, 1.0), interpolation="bilinear", flip=0.0)
    config.model = dict(
        name="vit", size="H", patch_size=14, image_size=224, positions="sincos2d", pooling="mean",
        initializer_range=0.02, dtype="bfloat16", scan=True, depth=None,
        remat=True,  # 128 images fit a device of 80 GB (docs/pods.md)
    )  # fmt: skip
    config.method = dict(
        name="i_jepa",
        context_share=0.27,
        least_visible=11,
        predictor_width=384,
        predictor_depth=12,
        predictor_heads=16,
        momentum=0.996,
    )
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.04, weight_decay_end=0.4)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=0.2, end_factor=1e-3)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=50 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.793},
        source="Assran et al. 2023 (I-JEPA), table 1, ViT-H/14",
        parameters=630_000_000,  # Dosovitskiy et al. 2021, table 1, ViT-H: 632 M with 1.3 M of a classifier
        hardware="16 A100 GPUs",
        duration="under 72 hours",
    )
    small = dict(least_visible=2, predictor_width=48, predictor_depth=1, predictor_heads=3)
    return trial.variant(config, variant, smoke=dict(method=small))
