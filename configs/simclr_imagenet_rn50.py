"""SimCLR, ResNet-50, ImageNet-1k, 1000 epochs: table 6 of Chen et al. 2020 (arXiv:2002.05709).

Expected: 69.3 % top-1 of a linear classifier on frozen features (table 6, "SimCLR (ours), ResNet-50"), from
24 M parameters. The paper trains on 128 TPU v3 cores, which takes it 1.5 hours per 100 epochs (section 2.2), so
15 hours. Our probe is a logistic regression on features of the central crop, of a tenth of the labelled images.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/simclr_imagenet_rn50.py
    python launch.py --config=configs/simclr_imagenet_rn50.py:smoke    the same code path on made-up pictures

Where the numbers come from (sections of the paper):
  batch 4096, LARS, learning rate 0.3 x batch / 256, weight decay 1e-6, 10 epochs of linear warm-up, then a cosine
  without restarts: section 2.3, "Default setting"; 1000 epochs: table 6; momentum 0.9, trust coefficient 0.001: the
  official code, whose loss is twice ours. LARS takes that off again except in the decay, which is half as large here,
  and where it does not adapt: biases and normalisation have twice the rate.
  Views: random crop of 8 to 100 % of the area, flip, colour distortion of strength 1, blur with probability 0.5 and
  sigma 0.1 to 2.0: appendix A. Projector of two layers, 2048 -> 2048 -> 128: sections 2.1 and 4.2. Temperature 0.1:
  table 5. Batch statistics over the global batch: section 2.2. TensorFlow's crops are never below a tenth of the
  picture, and their height is drawn evenly, ours their area.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EPOCHS, WARMUP_EPOCHS = 1000, 10


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
    config.views = dict(name="simclr", out_size=224, strength=1.0, blur=0.5, blur_sigma=(0.1, 2.0))
    config.model = dict(name="resnet", depth=50, dtype="bfloat16")
    config.method = dict(name="simclr", temperature=0.1, projector_hidden=2048, projector_out=128, projector_layers=2)
    config.optimizer = dict(
        name="lars", learning_rate=0.3, reference_batch_size=256, weight_decay=1e-6 / 2, momentum=0.9, bias_rate=2.0
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=25 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.693},
        source="Chen et al. 2020, table 6, ResNet-50 (1x)",
        parameters=24_000_000,
        multiply_adds=4_090_000_000,  # torchvision, a ResNet-50
        hardware="128 TPU v3 cores",
        hours=15.0,
    )
    return trial.variant(config, variant)
