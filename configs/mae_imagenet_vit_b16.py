"""MAE, ViT-B/16, ImageNet-1k, 1600 epochs: He et al. 2021 (arXiv:2111.06377), table 3 and appendix A.

Expected: 68.0 % top-1 of a linear probe (table 12), 83.6 % after fine-tuning (table 3). The encoder: 86 M parameters.
The paper trains on 128 TPU v3 cores; 1600 epochs of ViT-L take it 31 hours there (section 4.2), and it states none for
ViT-B. Our probe is a logistic regression on the class token of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/mae_imagenet_vit_b16.py
    python launch.py --config=configs/mae_imagenet_vit_b16.py:smoke    the same code path on made-up pictures

Where the numbers come from: table 8 of appendix A.1 (AdamW, base learning rate 1.5e-4 for a batch of 256, weight decay
0.05, betas 0.9 and 0.95, batch 4096, cosine, 40 epochs of warm-up, random resized crop); 75 % hidden, decoder of 8
blocks 512 wide, normalised pixels: section 4.1, table 1; 16 decoder heads, crops of 20 to 100 %, flips
with probability 0.5 and ImageNet's mean and deviation of pixels (the defaults of the view): the official code.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 1600, 40


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
    config.views = dict(name="mae", out_size=224, crop_scale=(0.2, 1.0))
    config.model = dict(
        name="vit", size="B", patch_size=16, image_size=224, positions="sincos2d", pooling="cls", dtype="bfloat16",
        scan=True, depth=None,
    )  # fmt: skip
    config.method = dict(
        name="mae", mask_ratio=0.75, normalize_targets=True, decoder_width=512, decoder_depth=8, decoder_heads=16
    )
    config.optimizer = dict(
        name="adamw", learning_rate=1.5e-4, reference_batch_size=256, weight_decay=0.05, b1=0.9, b2=0.95
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/linear")
    config.evaluate = dict(
        every=100 * epoch, batch_size=1024, limit=128_000, during=("knn_full", "linear"), tasks=("knn_full", "linear")
    )
    config.expected = dict(
        results={"pretrained/linear": 0.680},
        fine_tuned=0.836,
        source="He et al. 2021, table 12 (linear probe) and table 3 (fine-tuned), ViT-B",
        parameters=86_000_000,  # Dosovitskiy et al. 2021, table 1, ViT-B
        multiply_adds=17_600_000_000,  # timm, deit_base_patch16_224
        hardware="128 TPU v3 cores",
    )
    return trial.variant(config, variant, smoke=dict(method=dict(decoder_depth=1)))
