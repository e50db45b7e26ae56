"""MaskFeat with HOG, ViT-B/16, ImageNet-1k, 1600 epochs: Wei et al. 2022 (arXiv:2112.09133).

Expected: 84.0 % top-1 after fine-tuning (official README), which this run does not do: its probe is a logistic
regression on the class token of a tenth of the labelled images. The encoder: 86 M parameters. Hardware and time are not
stated.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/mask_feat_imagenet_vit_b16.py
    python launch.py --config=configs/mask_feat_imagenet_vit_b16.py:smoke    the same code path on made-up pictures

Where the numbers come from: `configs/masked_ssl/in1k_VIT_B_MaskFeat_PT.yaml` (PySlowFast): 40 % of the patches hidden
in blocks, AdamW, learning rate 2e-4 for each 256 images, 30 epochs of warm-up from 1e-6, then a cosine down to 1e-6,
weight decay 0.05, gradients clipped to 0.02, crops of 50 to 100 %, flips, learned positions. A batch of 2048: the
paper's appendix. That file asks for 300 epochs; the weights with 84.0 % are named after epoch 1600.
Known difference: always 78 patches are hidden, there at most so many.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 1600, 30


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
    config.views = dict(name="mae", out_size=224, crop_scale=(0.5, 1.0))
    config.model = dict(
        name="vit", size="B", patch_size=16, image_size=224, positions="learned", pooling="cls", initializer_range=0.02,
        dtype="bfloat16", scan=True, depth=None,
        remat="elementwise",  # 64 images fit a device of 16 GiB (docs/pods.md)
    )  # fmt: skip
    config.method = dict(name="mask_feat", mask_ratio=0.4, cell=8, bins=9)
    config.optimizer = dict(
        name="adamw", learning_rate=2e-4, reference_batch_size=256, weight_decay=0.05, clip_norm=0.02
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=5e-3, end_factor=5e-3)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=100 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        fine_tuned=0.840,
        source="facebookresearch/SlowFast, projects/maskfeat, README, ViT-B",
        parameters=86_000_000,  # Dosovitskiy et al. 2021, table 1, ViT-B
        multiply_adds=17_600_000_000,  # timm, deit_base_patch16_224
    )
    return trial.variant(config, variant)
