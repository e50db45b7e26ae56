"""DINO, ViT-S/16, ImageNet-1k, 800 epochs: table 2 of Caron et al. 2021 (arXiv:2104.14294).

Expected: 77.0 % top-1 of a linear classifier on frozen features, 74.5 % of the 20 nearest neighbours, from 21 M
parameters (also in the official README). Our probe is a logistic regression on the class token of a tenth of the
labelled images, among which neighbours are sought too; the paper's are sought among all, as with
`--config.evaluate.limit=None`. Hardware: the batch of 1024 is 64 for each of 16 GPUs in the official commands; the
README gives 2.6 days for 300 epochs with 8 small crops on these, and no duration for this run.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/dino_imagenet_vit_s16.py
    python launch.py --config=configs/dino_imagenet_vit_s16.py:smoke    the same code path on made-up pictures

Where the numbers come from:
  `main_dino.py`: AdamW, learning rate 5e-4 x batch / 256, 10 epochs of warm-up, weight decay 0.04 to 0.4, student
  temperature 0.1, 65,536 prototypes, momentum 0.996 to 1, stochastic depth 0.1, last layer at rest for one epoch.
  The README's command for better performance (300 epochs): teacher temperature 0.04 to 0.07 over 30 epochs, lengths of
  prototypes trained (`--norm_last_layer false`, there recommended for ViT-S).
  The authors in issue 122 of facebookresearch/dino, for a run of ViT-S without small crops: last learning rate 1e-5,
  no clipping.
  10 small crops, scales 0.25 to 1 and 0.05 to 0.25: iBOT's official command for the same network and as many epochs;
  the file of arguments that DINO's README links was not at hand. Weights that start normal: `vision_transformer.py`.
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
        name="dino", prototypes=65536, learn_gains=True, student_temperature=0.1, teacher_temperature=0.07,
        warmup_teacher_temperature=0.04, warmup_teacher_steps=TEMPERATURE_EPOCHS * epoch, momentum=0.996,
    )  # fmt: skip
    config.optimizer = dict(
        name="adamw", learning_rate=5e-4, reference_batch_size=256, weight_decay=0.04, weight_decay_end=0.4,
        late=("head.last_layer",), late_steps=1 * epoch,
    )  # fmt: skip
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=1e-5 / peak)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.770, "pretrained/knn_full": 0.745},
        source="Caron et al. 2021 (DINO), table 2, ViT-S/16, and the official README",
        parameters=21_000_000,
        multiply_adds=4_600_000_000,  # timm, deit_small_patch16_224
        hardware="16 GPUs",
    )
    return trial.variant(config, variant, smoke=_SMOKE)


_SMOKE = dict(method=dict(prototypes=64, warmup_teacher_steps=2), optimizer=dict(late_steps=1))
