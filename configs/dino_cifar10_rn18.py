"""DINO, ResNet-18, CIFAR-10, 1000 epochs: solo-learn's script for CIFAR, `scripts/pretrain/cifar/dino.yaml`.

Expected: 89.52 % top-1 in the table of solo-learn's README, of a linear classifier that its script trains beside the
student on features of the views; ours is a logistic regression on the teacher's features of the pictures as they are.
One GPU. In the paper CIFAR-10 is for fine-tuning alone.

    python launch.py prepare cifar10
    python launch.py --config=configs/dino_cifar10_rn18.py
    python launch.py --config=configs/dino_cifar10_rn18.py:smoke    the same code path on made-up pictures

Where the numbers come from (that file and its `augmentations/asymmetric.yaml`):
  1000 epochs, batch 256, LARS with momentum 0.9, learning rate 0.3 x batch / 256, weight decay 1e-6, trust coefficient
  0.02, its ratio clipped (`clip_lr`), biases and normalisation neither decayed nor adapted, 10 epochs of warm-up,
  then a cosine to 0; momentum of the teacher from 0.9995 to 1; head 2048 wide, 256 before 4096 prototypes of fixed
  length, which rest for one epoch; student temperature 0.1.
  Views: two crops of at least 8 % of the area with bicubic resize, the colours of BYOL, no blur, the second solarised
  with probability 0.2; mean and standard deviation of CIFAR-10. No small crops.
What that file leaves open is as in solo-learn's code of July 2021, when the number came: a head that normalises over
the batch, a teacher temperature from 0.04 to 0.07 over 50 epochs, and a warm-up from 0.003; rate and temperature moved
once an epoch there. By the defaults of today's code the head does not normalise, the temperature is 0.07 from the
start, and the warm-up begins at 3e-5.
Known differences: solo-learn normalises each view by itself, and here those of one size share their batch statistics;
its first convolution pads by 2, so that its maps are 34 wide at first, ours by 1, and starts as PyTorch's do, ours as
the rest; it computes in half precision where it can, ours in float32.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 50_000
EPOCHS, WARMUP_EPOCHS, TEMPERATURE_EPOCHS = 1000, 10, 50


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
        name="dino",
        prototypes=4096,
        head_hidden=2048,
        head_bottleneck=256,
        head_batch_norm=True,
        student_temperature=0.1,
        teacher_temperature=0.07,
        warmup_teacher_temperature=0.04,
        warmup_teacher_steps=TEMPERATURE_EPOCHS * epoch,
        momentum=0.9995,
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
        late=("head.last_layer",),
        late_steps=1 * epoch,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch, start_factor=0.003 / peak)
    config.checkpoint = dict(every=10 * epoch, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=10 * epoch, batch_size=1024, limit=None, tasks=("knn_full", "linear"))
    config.expected = dict(
        results={"pretrained/linear": 0.8952},
        source="solo-learn, README, CIFAR-10, 1000 epochs",
        hardware="1 GPU",
    )
    return trial.variant(config, variant, smoke=_SMOKE)


_SMOKE = dict(
    method=dict(prototypes=64, head_hidden=64, head_bottleneck=32, warmup_teacher_steps=2), optimizer=dict(late_steps=1)
)
