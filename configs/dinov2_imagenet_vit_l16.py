"""DINOv2, ViT-L/16, ImageNet-1k, the official short run (arXiv:2304.07193; `configs/train/vitl16_short.yaml`).

Expected: 82.9 % top-1 of a linear classifier on frozen features, 81.6 % of nearest neighbours, from 303 M parameters.
About one day on 32 A100-80GB GPUs (4 nodes). Both from the official README. Our probe is a logistic regression on the
class token of a tenth of the labelled images, among which neighbours are sought too; the official ones are sought
among all, as with `--config.evaluate.limit=None`.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/dinov2_imagenet_vit_l16.py
    python launch.py --config=configs/dinov2_imagenet_vit_l16.py:smoke    the same code path on made-up pictures

Where the numbers come from: `ssl_default_config.yaml`, which that run is. An epoch there is 1250 steps of 2048 images,
here as many images at any batch.
AdamW, learning rate 0.004 x sqrt(batch / 1024), that of block i of 24 times 0.9^(24 - i) and of the patch embedding
times 0.2 more, 10 epochs of warm-up, then to 1e-6; weight decay 0.04 to 0.4; gradients clipped to a norm of 3;
the last layer at rest for one epoch. One head of 65,536 prototypes, centred by softmax (Sinkhorn-Knopp and two heads
are for the runs of ImageNet-22k). Teacher: momentum 0.992 to 1, temperature 0.04 to 0.07 over 30 epochs. Stochastic
depth 0.3 in all blocks, layer scale 1e-5; 8 small crops, scales 0.32 to 1 and 0.05 to 0.32. Views are blurred with
probabilities 0, 0.9 and 0.5 (small ones), 9 pixels wide: `augmentations.py` asks for 1, 0.1 and 0.5, and
`transforms.py` applies the blur with 1 minus that, which the released models were trained with.
Different from the official code: the norm that is clipped is of all gradients, there of the backbone's and of the
head's; the class token starts normal with a deviation of 0.02, there 1e-6; masks are spread over the global batch,
there over each GPU's; KoLeo's neighbours likewise; stochastic depth draws for each example, there it leaves out a fixed
share of them.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

EPOCH_EXAMPLES = 1250 * 2048
EPOCHS, WARMUP_EPOCHS, TEMPERATURE_EPOCHS = 100, 10, 30


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 2048
    epoch = EPOCH_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(
        name="dino", out_size=224, crop_scale=(0.32, 1.0), local_crops=8, local_scale=(0.05, 0.32), blur=0.0,
        second_blur=0.9, blur_radius=4,
    )  # fmt: skip
    config.model = dict(
        name="vit", size="L", patch_size=16, image_size=224, positions="learned", pooling="cls", drop_path=0.3,
        drop_path_uniform=True, layer_scale=1e-5, dtype="bfloat16", scan=True, remat=True, depth=None,
        initializer_range=0.02,
    )  # fmt: skip
    config.method = dict(
        name="dinov2", prototypes=65536, patch_prototypes=None, teacher_temperature=0.07,
        warmup_teacher_temperature=0.04, warmup_teacher_steps=TEMPERATURE_EPOCHS * epoch, centering="softmax",
        mask_share=0.5, mask_ratio=(0.1, 0.5), koleo_weight=0.1, momentum=0.992,
    )  # fmt: skip
    rate = 0.004 * (config.get_ref("batch_size").to_float() / 1024) ** 0.5
    config.optimizer = dict(
        name="adamw", learning_rate=1 * rate, weight_decay=0.04, weight_decay_end=0.4, clip_norm=3.0, layer_decay=0.9,
        patch_rate=0.2, late=("head.last_layer",), late_steps=1 * epoch,
    )  # fmt: skip
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, end_factor=1e-6 / rate)
    config.checkpoint = dict(every=1 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.829, "pretrained/knn_full": 0.816},
        source="facebookresearch/dinov2, README, fast setup: ViT-L/16 on ImageNet-1k",
        parameters=303_000_000,
        hardware="32 A100-80GB GPUs",
        hours=24.0,
    )
    return trial.variant(config, variant, smoke=_SMOKE)


_SMOKE = dict(method=dict(prototypes=64, warmup_teacher_steps=2), optimizer=dict(late_steps=1))
