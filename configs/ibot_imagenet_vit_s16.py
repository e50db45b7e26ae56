"""iBOT, ViT-S/16, ImageNet-1k, 800 epochs: table 1 of Zhou et al. 2022 (arXiv:2111.07832).

Expected: 77.9 % top-1 of a linear classifier on frozen features, 75.2 % of nearest neighbours, from 21 M parameters
(the official README, which gives the command as well). Our probe is a logistic regression on the class token of a
tenth of the labelled images, among which neighbours are sought too; the paper's are sought among all, as with
`--config.evaluate.limit=None`. Hardware: 2 nodes of 8 GPUs; no duration is stated.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/ibot_imagenet_vit_s16.py
    python launch.py --config=configs/ibot_imagenet_vit_s16.py:smoke    the same code path on made-up pictures

Where the numbers come from:
  The README's command: 64 images for each of 16 GPUs, teacher temperature 0.07 after 30 epochs, lengths of prototypes
  trained, one head of 8192 prototypes, 10 small crops, scales 0.25 to 1 and 0.05 to 0.25, half of the views hide
  nothing and half 10 to 50 % (`--pred_ratio 0 0.3 --pred_ratio_var 0 0.2`).
  Defaults of `main_ibot.py`: AdamW, learning rate 5e-4 x batch / 256, 10 epochs of warm-up, then to 1e-6, weight decay
  0.04 to 0.4, each parameter's gradient clipped to 3, momentum 0.996 to 1, temperatures 0.1 (student) and 0.04 (teacher
  at first), 0.07 for patches, stochastic depth 0.1, last layer at rest for one epoch.
  Weights that start normal with a deviation of 0.02: `models/vision_transformer.py`.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS, TEMPERATURE_EPOCHS = 800, 10, 30


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 1024
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    peak = 5e-4 * config.get_ref("batch_size").to_float() / 256
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="dino", out_size=224, crop_scale=(0.25, 1.0), local_crops=10, local_scale=(0.05, 0.25))
    config.model = dict(
        name="vit", size="S", patch_size=16, image_size=224, positions="learned", pooling="cls", drop_path=0.1,
        dtype="bfloat16", scan=True, depth=None, initializer_range=0.02,
        remat="elementwise",  # 64 images and their small crops fit a device of 16 GiB (docs/pods.md)
    )  # fmt: skip
    config.method = dict(
        name="ibot", prototypes=8192, learn_gains=True, student_temperature=0.1, teacher_temperature=0.07,
        patch_temperature=0.07, warmup_teacher_temperature=0.04, warmup_teacher_steps=TEMPERATURE_EPOCHS * epoch,
        mask_share=0.5, mask_ratio=(0.1, 0.5), momentum=0.996,
    )  # fmt: skip
    config.optimizer = dict(
        name="adamw", learning_rate=5e-4, reference_batch_size=256, weight_decay=0.04, weight_decay_end=0.4,
        clip_each=3.0, late=("head.last_layer",), late_steps=1 * epoch,
    )  # fmt: skip
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=1e-6 / peak)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.779, "pretrained/knn_full": 0.752},
        source="Zhou et al. 2022 (iBOT), official README, ViT-S/16 with block-wise masks",
        parameters=21_000_000,
        multiply_adds=4_600_000_000,  # timm, deit_small_patch16_224
        hardware="16 GPUs",
    )
    return trial.variant(config, variant, smoke=_SMOKE)


_SMOKE = dict(method=dict(prototypes=64, warmup_teacher_steps=2), optimizer=dict(late_steps=1))
