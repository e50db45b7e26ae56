"""SupCon, ResNet-50, ImageNet-1k: Khosla et al. 2020 (arXiv:2004.11362), with the settings of google-research/supcon.

Expected: 78.7 % top-1 of a linear classifier on frozen features (the paper's ImageNet table, with AutoAugment; not
checked against its text). The script is for 128 TPU v3 cores. Our probe is a logistic regression on features of the
central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/sup_con_imagenet_rn50.py
    python launch.py --config=configs/sup_con_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (google-research/supcon, scripts/supcon_imagenet_resnet50.sh, configs.sh and hparams.py):
  batch 6144, LARS, learning rate 0.4 x batch / 256, weight decay 1e-3, 12 epochs of warm-up, then a cosine, 350 epochs;
  temperature 0.1, the loss multiplied by it, features of unit length, a head of one layer without bias, 128 out. LARS's
  momentum 0.9 and trust coefficient 0.001: its utils.py. Its head starts normal with a deviation of 0.01, ours as
  PyTorch's layers do, which LARS does not feel.

Views (its preprocessing.py): a random crop of 0.08 to 1 of the area, resized bilinearly; flip; AutoAugment with policy
'v0' of tensorflow/models (see ssl_jax/augment/policies.py); pixels in -1 to 1. No colour jitter, no blur, no warp. What
differs: our resize smooths where it shrinks; ours are rounded to whole pixel values before AutoAugment, theirs cut off;
TensorFlow draws crops of a tenth of the picture and less again, and of crops their height evenly, ours their area.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 350, 12


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 6144
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="sup_con", out_size=224)
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(
        name="sup_con",
        temperature=0.1,
        base_temperature=1.0,
        projector_layers=1,
        projector_out=128,
        projector_bias=False,
        normalize_features=True,
    )
    config.optimizer = dict(name="lars", learning_rate=0.4, reference_batch_size=256, weight_decay=1e-3, momentum=0.9)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.787},
        source="Khosla et al. 2020, ImageNet, ResNet-50, AutoAugment",
        parameters=23_508_032,  # torchvision's ResNet-50 without its classifier
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="128 TPU v3 cores",
    )
    return trial.variant(config, variant)
