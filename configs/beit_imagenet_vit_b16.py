"""BEiT, ViT-B/16, ImageNet-1k, 800 epochs: Bao et al. 2022 (arXiv:2106.08254), section 2.5.

Expected: 83.2 % top-1 after fine-tuning (table 1), which this run does not do: its probe is a logistic regression on
the class token of a tenth of the labelled images. The encoder: 86 M parameters. Hardware and time: about five days on
16 V100 GPUs of 32 GB (section 2.5). It needs the tokens of a discrete VAE, which a run before has learnt:

    python launch.py prepare imagenet2012
    python launch.py --config=configs/dvae_imagenet.py
    python launch.py --config=configs/beit_imagenet_vit_b16.py --config.method.tokenizer=runs/dvae_imagenet
    python launch.py --config=configs/beit_imagenet_vit_b16.py:smoke    the same code path on made-up pictures

Without that folder, the config of that run stands in its place, for `--dry_run` and `plan`.
Where the numbers come from: section 2.5 and the official command for ImageNet-1k (microsoft/unilm, beit/README.md): 75
of 196 patches hidden in blocks of 16 patches or more, batch 2048, learning rate 1.5e-3, ten epochs of warm-up, weight
decay 0.05, betas 0.9 and 0.999, drop path 0.1, gradients clipped to 3, layer scales that start at 0.1. Defaults of its
`run_beit_pretraining.py`: AdamW, warm-up from 0 (nothing reads its `--warmup_lr`), a cosine down to 1e-5, one table of
relative positions for all blocks, 224 pixels for the network and 112 for the tokenizer. Colours jittered by up to 40 %
without hue, crops of 8 to 100 %, flips: its `datasets.py`.
Known differences: the tokenizer is DALL-E's, but learnt from ImageNet; its 112 pixels are the network's view made
smaller, there the same crop of the picture by Lanczos' filter; always 75 patches are hidden, there at most so many;
colours are jittered after the crop here, before it there; the class token decays here, and starts with a deviation of
0.02, there cut at one.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 800, 10
TOKENIZER = "configs/dvae_imagenet.py"


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
        name="simclr", out_size=224, interpolation="bicubic", jitter=1.0, brightness=0.4, contrast=0.4, saturation=0.4,
        hue=0.0, strength=1.0, grayscale=0.0, blur=0.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    )  # fmt: skip
    config.model = dict(
        name="vit", size="B", patch_size=16, image_size=224, positions="relative", pooling="cls", drop_path=0.1,
        layer_scale=0.1, initializer_range=0.0108, depth_scaled=True, dtype="bfloat16", scan=True, depth=None,
        remat=True,  # 128 images, and the tokenizer's work on them, fit a device of 16 GiB
    )  # fmt: skip
    config.method = dict(name="beit", tokenizer=TOKENIZER, mask_ratio=75 / 196, min_block=16)
    config.optimizer = dict(name="adamw", learning_rate=1.5e-3, weight_decay=0.05, clip_norm=3.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=1e-5 / 1.5e-3)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=100 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        fine_tuned=0.832,
        source="Bao et al. 2022 (BEiT), table 1, ViT-B",
        parameters=86_000_000,  # Dosovitskiy et al. 2021, table 1, ViT-B
        multiply_adds=17_600_000_000,  # timm, deit_base_patch16_224
        hardware="16 V100 GPUs",
        duration="5 days",
    )
    return trial.variant(config, variant, smoke=dict(method=dict(tokenizer=f"{TOKENIZER}:smoke", min_block=2)))
