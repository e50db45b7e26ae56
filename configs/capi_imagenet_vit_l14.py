"""CAPI, ViT-L/14, ImageNet-1k, 500,000 steps: Darcet et al. 2025 (arXiv:2502.08769), the authors' README.

Expected: 82.9 % top-1 of an attentive probe on frozen features, from 302 M parameters (the authors' README, line IN1k).
Ours is a run with `config.method.name` 'attentive_probe', `config.method.heads` 16 and `config.init_from`, which has an
MLP and layers of queries and outputs beside theirs (`ssl_jax/methods/attentive_probe.py`). What is evaluated at the end
here are nearest neighbours and a logistic regression on the mean over patches, of a tenth of the labelled images, for
which nothing is stated there. Hardware: 4 nodes, 512 images for each of their GPUs; no duration is stated.

    python launch.py prepare imagenet2012
    python launch.py --config=configs/capi_imagenet_vit_l14.py
    python launch.py --config=configs/capi_imagenet_vit_l14.py:smoke    the same code path on made-up pictures

Where the numbers come from: `default_pretrain_config.yaml` of the official code, which says ImageNet-22k; the run of
ImageNet-1k is taken to differ from it in the data alone. Batch 16,384, of 8 GPUs a node, as many images at any batch.
AdamW, betas 0.9 and 0.95, learning rate 1e-3 (of the clustering half of it, of the patch embedding a fifth), 50,000
steps of warm-up, then a cosine that is cut at 80 % of its way, weight decay 0.1 (of the clustering 0.01, which is
PyTorch's default); momentum 1 down to 0.999 in the warm-up, and up to 1 along a cosine that is cut likewise. Crops of
60 to 100 %, flips; 65 % hidden, of which 5 % are predicted; 16,384 clusters, temperatures 0.12, 0.06 and 0.12, three
iterations; 12 blocks of the predictor; stochastic depth 0.2 in all blocks.
A cosine that would end at 1.225 times the run's length is cut at 80 %: (1 - 0.1) / 0.8 = 1.225 - 0.1.
Different from the official code: scales of normalisations do not decay, there at 0.01, nor do the clustering's biases,
there as its matrix; stochastic depth draws for each example, there it leaves out a fixed share of them; assignments and
scores are computed in float32. The README's 1.70e11 operations of a forward pass are 1.72e11 here, 2 a multiply-add.
Canvas: pictures are decoded to 320 x 320 and crops drawn in the original's geometry; small ones have less detail.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 1_281_167
EXAMPLES, WARMUP_EXAMPLES = 500_000 * 16_384, 50_000 * 16_384
STRETCH = 1.225


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 16_384
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    warmup = WARMUP_EXAMPLES // config.get_ref("batch_size")
    config.steps = EXAMPLES // config.get_ref("batch_size")
    config.log_every = 100
    config.data = dict(
        modality="image", name="imagenet2012", eval_split="validation", image_size=320, workers=16, prefetch=2, mock=0
    )
    config.views = dict(name="mae", out_size=224, crop_scale=(0.6, 1.0), interpolation="bicubic", flip=0.5)
    config.model = dict(
        name="rotary_vit", size="L", patch_size=14, image_size=224, registers=16, drop_path=0.2, dtype="bfloat16",
        scan=True, remat=True, depth=None,
    )  # fmt: skip
    config.method = dict(
        name="capi", clusters=16384, student_temperature=0.12, target_temperature=0.06, clustering_temperature=0.12,
        sinkhorn_iterations=3, mask_ratio=0.65, predicted_share=0.05, predictor_depth=12, momentum=0.999,
        momentum_warmup_steps=1 * warmup, momentum_stretch=STRETCH,
    )  # fmt: skip
    config.optimizer = dict(
        name="adamw", learning_rate=1e-3, weight_decay=0.1, b1=0.9, b2=0.95, patch_rate=0.2, apart=("clustering",),
        apart_rate=0.5, apart_decay=0.01,
    )  # fmt: skip
    config.schedule = dict(name="warmup_cosine", warmup_steps=1 * warmup, stretch=STRETCH)
    config.checkpoint = dict(every=50 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=250 * epoch, batch_size=1024, limit=128_000, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={},
        attentive=0.829,
        source="facebookresearch/capi, README, ViT-L/14 pretrained on IN1k",
        parameters=302_000_000,
        hardware="4 nodes of GPUs",
    )
    small = dict(clusters=64, predictor_depth=1, predicted_share=0.2, momentum_warmup_steps=1)
    return trial.variant(config, variant, smoke=dict(method=small))
