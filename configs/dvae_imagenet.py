"""DALL-E's discrete VAE on ImageNet-1k: Ramesh et al. 2021 (arXiv:2102.12092), appendix A. BEiT's tokenizer.

Expected: nothing, as the paper states no number for it. It trains on 64 V100 GPUs of 16 GB, 8 pictures each, for how
long it does not say. What this run has learnt is the tokenizer of configs/beit_imagenet_vit_b16.py:

    python launch.py prepare imagenet2012
    python launch.py --config=configs/dvae_imagenet.py
    python launch.py --config=configs/beit_imagenet_vit_b16.py --config.method.tokenizer=runs/dvae_imagenet
    python launch.py --config=configs/dvae_imagenet.py:smoke    the same code path on made-up pictures

Where the numbers come from: 8192 tokens for 32 x 32 cells of a picture of 256 x 256: section 2.1. Widths, depths and
the 128 features of a token: `dall_e/encoder.py` and `decoder.py` of openai/DALL-E. Appendix A.2: batch 512, 3 million
updates, AdamW with betas 0.9 and 0.999, epsilon 1e-8 and weight decay 1e-4; along cosines, a rate from 1e-4 to 1.25e-6
in 1.2 million updates, where it stays, a temperature from 1 to 1/16 in 150,000, and a weight of the divergence from 0
to 6.6 in 5000. Crops of a side of 2/3 to 8/9 of the shorter one, and flips: listing 1; 33 to 59 % of the area is that
of pictures of 4 by 3.
Known differences: 1.28 M pictures of ImageNet in place of their 250 M of the web; weights are not averaged over steps;
pictures are resized by a bilinear filter that widens with the reduction, there by the mean of areas.
Canvas: pictures are decoded to 448 x 448 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
UPDATES, RATE_UPDATES, GUMBEL_UPDATES, KL_UPDATES = 3_000_000, 1_200_000, 150_000, 5000  # of 512 pictures


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 512
    batch = config.get_ref("batch_size")
    epoch = TRAIN_EXAMPLES // batch
    config.steps = UPDATES * 512 // batch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=448, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="mae", out_size=256, crop_scale=(0.33, 0.59), crop_ratio=(1.0, 1.0), interpolation="bilinear", flip=0.5
    )
    config.model = dict(
        name="visual_tokenizer", vocab_size=8192, width=256, blocks=2, factor=8, channels=3, dtype="bfloat16"
    )
    config.method = dict(
        name="dvae", code_width=128, gumbel_start=1.0, gumbel_end=1 / 16, gumbel_steps=GUMBEL_UPDATES * 512 // batch,
        kl_weight=6.6, kl_warmup_steps=KL_UPDATES * 512 // batch,
    )  # fmt: skip
    config.optimizer = dict(name="adamw", learning_rate=1e-4, weight_decay=1e-4, b1=0.9, b2=0.999, eps=1e-8)
    config.schedule = dict(name="warmup_cosine", stretch=RATE_UPDATES / UPDATES, end_factor=0.0125)
    config.checkpoint = dict(every=5 * epoch, keep=2)
    config.evaluate = dict(every=100 * epoch, batch_size=256, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        source="Ramesh et al. 2021, appendix A, on other data",
        hardware="64 V100 GPUs",
    )
    small = dict(code_width=8, gumbel_steps=2, kl_warmup_steps=1)
    return trial.variant(config, variant, smoke=dict(method=small, schedule=dict(stretch=1.0)))
