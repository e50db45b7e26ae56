"""MoCo v3, ResNet-18, CIFAR-10, 1000 epochs: solo-learn's script for CIFAR, `scripts/pretrain/cifar/mocov3.yaml`.

Expected: 93.10 % top-1 in the table of solo-learn's README, of a linear classifier that its script trains beside the
encoder on features of the views; ours is a logistic regression on features of the pictures as they are. One GPU. In
the paper CIFAR-10 is for fine-tuning alone.

    python launch.py prepare cifar10
    python launch.py --config=configs/moco_v3_cifar10_rn18.py
    python launch.py --config=configs/moco_v3_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from (that file, its `augmentations/asymmetric.yaml`, and the defaults of solo-learn's code):
  1000 epochs, batch 256, LARS with momentum 0.9, learning rate 0.3 x batch / 256, weight decay 1e-6, trust coefficient
  0.02, its ratio clipped (`clip_lr`), biases and normalisation neither decayed nor adapted, 10 epochs of warm-up
  from 3e-5, then a cosine to 0; momentum of the target from 0.99 to 1, temperature 0.2, projector of 2 layers and
  predictor 4096 wide, 256 out, no normalisation after the predictor.
  Views: crops of at least 8 % of the area with bicubic resize, the colours of BYOL, no blur, the second solarised with
  probability 0.2; mean and standard deviation of CIFAR-10.
Known differences: solo-learn's first convolution pads by 2, so that its maps are 34 wide at first, ours by 1, and
starts as PyTorch's do, ours as the rest; it computes in half precision where it can, ours in float32. The number came
in June 2022 with another script: crops of at least 20 %, saturation 0.4, blur as on ImageNet (probabilities 1 and 0.1),
a ratio that is not clipped; the file followed here replaced it in September 2022, and the number stayed.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 50_000
EPOCHS, WARMUP_EPOCHS = 1000, 10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    peak = 0.3 * config.get_ref("batch_size").to_float() / 256
    config.steps = EPOCHS * epoch
    config.log_every = 50
    config.data = dict(modality="image", name="cifar10", image_size=32, workers=0, mock=0)
    config.views = dict(
        name="byol",
        out_size=32,
        blur=0.0,
        second_blur=0.0,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    )
    config.model = dict(name="resnet", depth=18, stem="small", zero_init_residual=False)
    config.method = dict(
        name="moco_v3",
        momentum=0.99,
        temperature=0.2,
        projector_layers=2,
        projector_hidden=4096,
        projector_out=256,
        predictor_batch_norm=False,
    )
    config.optimizer = dict(
        name="larc",
        learning_rate=0.3,
        reference_batch_size=256,
        weight_decay=1e-6,
        momentum=0.9,
        trust_coefficient=0.02,
        clip=True,
        all_parameters=False,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=3e-5 / peak)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, limit=None, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.9310},
        source="solo-learn, README, CIFAR-10, 1000 epochs",
        hardware="1 GPU",
    )
    return trial.variant(config, variant, smoke=dict(method=dict(projector_hidden=64, projector_out=32)))
