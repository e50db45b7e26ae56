"""MSN, ViT-S/16, ImageNet-1k, 800 epochs: Assran et al. 2022 (arXiv:2204.07141), the authors' configuration.

The settings are those of `configs/pretrain/msn_vits16.yaml` of facebookresearch/msn, whose README gives 16 GPUs as an
example and no number for linear classification; so none is promised here. Our probe is a logistic regression on
features of the central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/msn_imagenet_vit_s16.py
    python launch.py --config=configs/msn_imagenet_vit_s16.py:smoke    the same code path on made-up pictures

Where the numbers come from:
  1024 prototypes of width 256, temperature 0.1, sharpening 0.25, Sinkhorn, mean entropy's weight 1, 15 % of the large
  anchor's patches dropped, 10 focal crops of 96 pixels, AdamW, learning rate 0.0002 to 0.001 in 15 epochs of warm-up,
  weight decay 0.04 to 0.4, gradients clipped at 3: the YAML file. Both cosines are 1.25 times as long as the run:
  `init_opt` of `src/msn_train.py`. Batch 64 x 16 GPUs: that file and the README's example.
  Crops of 0.3 to 1 and 0.05 to 0.3 of the area: `src/data_manager.py`. Target momentum 0.996, and how
  weights start: `src/msn_train.py`.
  There clipping leaves out the prototypes' gradient, and the patch embedding starts normal with a variance of
  2 / inputs and without biases (`src/deit.py`), here uniform within 1 / sqrt(inputs). Positions of focal crops are
  resized there by the root of the ratio of patches, here as in DINO's code.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 800, 15


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 1024
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="swav",
        out_size=224,
        crop_scale=(0.3, 1.0),
        strength=0.5,
        local_size=96,
        local_crops=10,
        local_scale=(0.05, 0.3),
        std=(0.229, 0.224, 0.225),
    )
    config.model = dict(
        name="vit", size="S", patch_size=16, image_size=224, positions="learned", initializer_range=0.02,
        dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(
        name="msn",
        mask_ratio=0.15,
        prototypes=1024,
        temperature=0.1,
        target_sharpening=0.25,
        sinkhorn_iterations=3,
        me_max_weight=1.0,
        momentum=0.996,
        projector_hidden=2048,
        projector_out=256,
    )
    config.optimizer = dict(
        name="adamw",
        learning_rate=1e-3,
        weight_decay=0.04,
        weight_decay_end=0.4,
        weight_decay_stretch=1.25,
        clip_norm=3.0,
    )
    config.schedule = dict(
        name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=0.2, end_factor=1e-3, stretch=1.25
    )
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        source="facebookresearch/msn, configs/pretrain/msn_vits16.yaml",
        parameters=22_000_000,  # Touvron et al. 2021, table 1, DeiT-S
        multiply_adds=4_600_000_000,  # timm, deit_small_patch16_224
    )
    return trial.variant(config, variant, smoke=dict(method=dict(mask_ratio=0.3, prototypes=32)))
