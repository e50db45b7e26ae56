"""V-JEPA, ViT-L/16, 90,000 steps: Bardes et al. 2024 (arXiv:2404.08471), on UCF101 in the place of the paper's videos.

Expected: nothing. The paper learns from two million videos (VideoMix2M), which TFDS's catalogue does not have; UCF101
has 13,000 in all, and shows how such a run is set up. Take a builder of yours with `--config.data.name`. What is
evaluated at the end are nearest neighbours and a logistic regression on the mean over patches of the clip in the middle
of a video. The encoder: a ViT-L. Hardware: 16 nodes of 8 GPUs, 24 clips each; no duration is stated.

    python launch.py prepare ucf101
    python launch.py --config=configs/v_jepa_ucf101_vit_l16.py
    python launch.py --config=configs/v_jepa_ucf101_vit_l16.py:smoke    the same code path on made-up clips

Where the numbers come from: `configs/pretrain/vitl16.yaml` of facebookresearch/jepa: batch 3072 of 16 frames, every
fourth of a video, 224 pixels, patches of 16 pixels and 2 frames; 300 epochs of 300 steps; AdamW, learning rate 2e-4 to
6.25e-4 over 40 epochs, then a cosine to 1e-6, weight decay 0.04 to 0.4, momentum 0.998 to 1, of which all end at 1.25
times the run's length; gradients clipped to 10; crops of 30 to 100 %, of an aspect of 0.75 to 1.35; eight blocks of
15 % and two of 70 %; a predictor of 12 blocks, 384 wide, with as many heads as the encoder.
Known differences: shares of places that are seen and predicted are fixed, there they are those of the clip of a
device's batch that has fewest, which is as many on average. Gradients are clipped all together and from the start,
there of encoder and predictor apart, and after the warm-up.
Canvas: TFDS's UCF101 holds videos of 256 x 256 pixels.
"""

import ml_collections

from ssl_jax import trial

EXAMPLES, WARMUP_EXAMPLES, BETWEEN = 90_000 * 3072, 12_000 * 3072, 1500 * 3072  # steps of the official batch


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 3072
    config.steps = EXAMPLES // config.get_ref("batch_size")
    warmup = WARMUP_EXAMPLES // config.get_ref("batch_size")
    config.log_every = 100
    config.data = dict(
        modality="image", name="ucf101", image_key="video", image_size=256, frames=16, stride=4, workers=16, prefetch=2,
        mock=0,
    )  # fmt: skip
    config.views = dict(
        name="mae", out_size=224, crop_scale=(0.3, 1.0), crop_ratio=(0.75, 1.35), interpolation="bilinear", flip=0.5
    )
    config.model = dict(
        name="vit", size="L", patch_size=16, image_size=224, frames=16, tubelet_size=2, positions="sincos3d",
        pooling="mean", initializer_range=0.02, dtype="bfloat16", scan=True, remat=True, depth=None,
    )  # fmt: skip
    config.method = dict(
        name="v_jepa", blocks=(8, 2), block_scales=(0.15, 0.7), context_shares=(0.23, 0.065),
        predicted_shares=(0.475, 0.7), predictor_width=384, predictor_depth=12, predictor_heads=16, momentum=0.998,
        momentum_stretch=1.25,
    )  # fmt: skip
    config.optimizer = dict(
        name="adamw", learning_rate=6.25e-4, weight_decay=0.04, weight_decay_end=0.4, weight_decay_stretch=1.25,
        clip_norm=10.0,
    )  # fmt: skip
    config.schedule = dict(
        name="warmup_cosine", warmup_steps=1 * warmup, start_factor=0.32, end_factor=1.6e-3, stretch=1.25
    )
    between = BETWEEN // config.get_ref("batch_size")
    config.checkpoint = dict(every=1 * between, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * between, batch_size=256, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        source="facebookresearch/jepa, configs/pretrain/vitl16.yaml, on other data",
        hardware="128 GPUs",
    )
    small = dict(
        data=dict(frames=4), model=dict(frames=4), method=dict(predictor_width=48, predictor_depth=1, predictor_heads=3)
    )
    return trial.variant(config, variant, smoke=small)
