"""MoCo v3, ViT-B/16, ImageNet-1k, 300 epochs: Chen et al. 2021 (arXiv:2104.02057) and facebookresearch/moco-v3.

Expected: 76.7 % top-1 of a linear classifier on frozen features (the official PyTorch code's CONFIG.md, which trains on
64 GPUs). Our probe is a logistic regression on features of the central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/moco_v3_imagenet_vit_b16.py
    python launch.py --config=configs/moco_v3_imagenet_vit_b16.py:smoke    the same code path on made-up pictures

Where the numbers come from (the official code's CONFIG.md, README and the defaults of `main_moco.py`):
  batch 4096, AdamW, learning rate 1.5e-4 x batch / 256, weight decay 0.1, 40 epochs of warm-up, then a cosine; momentum
  of the target from 0.99 to 1, temperature 0.2, projector of 3 layers and predictor of 2, 4096 wide, 256 out, the patch
  projection frozen as it is drawn (`--stop-grad-conv1`); all parameters decay. Its class token begins with a
  deviation of 1e-6, ours of 0.02; its queries, keys and values begin as three matrices, ours as one of three times the
  width, so smaller by the root of 2.
  Views: BYOL's, with bilinear resize and PIL's blur.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 300, 40


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 4096
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="byol", out_size=224, interpolation="bilinear", blur_radius=6)
    config.model = dict(name="vit", size="B", patch_size=16, image_size=224, pooling="cls", dtype="bfloat16")
    config.method = dict(
        name="moco_v3", momentum=0.99, temperature=0.2, projector_layers=3, projector_hidden=4096, projector_out=256
    )
    config.optimizer = dict(
        name="adamw",
        learning_rate=1.5e-4,
        reference_batch_size=256,
        weight_decay=0.1,
        all_parameters=True,
        frozen=("backbone.patch_embedding",),
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.767},
        source="facebookresearch/moco-v3, CONFIG.md, ViT-Base, 300 epochs",
        parameters=86_000_000,  # Dosovitskiy et al. 2021, table 1, ViT-B
        multiply_adds=17_600_000_000,  # timm, deit_base_patch16_224
        hardware="64 GPUs",
    )
    return trial.variant(config, variant)
