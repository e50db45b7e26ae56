"""What papers do to pictures, as settings of `PhotoView`; numbers not given here are its defaults, SimCLR's.

Official codes in PyTorch work on PIL pictures: they round to whole pixel values after each operation, solarise from 128
of 255 on, and blur with PIL's three box filters, which have no end at a tenth of the picture as SimCLR's and BYOL's
kernels do. `_PIL_BLUR` is as wide as PIL's filters at the largest deviation of 2; what is left of the difference is
stated by tests/fidelity/test_augment_torchvision.py.
"""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGENET = dict(mean=IMAGENET_MEAN, std=IMAGENET_STD)
_MILD = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
_BYOL_COLORS = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
_BYOL_VIEWS = dict(blur=1.0, second_blur=0.1, second_solarize=0.2, **_BYOL_COLORS, **_IMAGENET)
_PIL_BLUR = dict(blur_radius=6)

SIMCLR: dict = {}
"""Chen et al. 2020, appendix A, and google-research/simclr, data_util.py. Pixels stay in 0..1, as there. Brightness is
multiplied as in its 'simclrv2' form, not added to as in 'simclrv1'. CIFAR-10 (B.9): strength 0.5, no blur."""

MOCO_V2 = dict(crop_scale=(0.2, 1.0), interpolation="bilinear", **_MILD, **_PIL_BLUR, **_IMAGENET)
"""facebookresearch/moco, main_moco.py `--aug-plus` and moco/loader.py."""

BYOL = dict(_BYOL_VIEWS)
"""Grill et al. 2020, appendix B, and deepmind-research, byol/utils/augmentations.py (`augment_config`) and dataset.py.
That code adds to the brightness, where the factor here multiplies; takes contrast about the mean of each channel, not
of the gray picture; and changes saturation in HSV."""

DINO = dict(
    _BYOL_VIEWS,
    crop_scale=(0.4, 1.0),
    local_crops=8,
    local_size=96,
    local_scale=(0.05, 0.4),
    local_blur=0.5,
    **_PIL_BLUR,
)
"""facebookresearch/dino, main_dino.py (`DataAugmentationDINO` and the defaults of its arguments) and utils.py."""

LEJEPA = dict(
    crop_scale=(0.3, 1.0),
    solarize=0.2,
    local_crops=6,
    local_size=98,
    local_scale=(0.05, 0.3),
    **_BYOL_COLORS,
    **_IMAGENET,
)
"""Balestriero and LeCun 2025: README of rbalestr-lab/lejepa. Colours of large and small views are drawn alike."""

SWAV = dict(
    crop_scale=(0.14, 1.0),
    interpolation="bilinear",
    local_crops=6,
    local_size=96,
    local_scale=(0.05, 0.14),
    mean=IMAGENET_MEAN,
    std=(0.228, 0.224, 0.225),
    **_PIL_BLUR,
)
"""facebookresearch/swav, src/multicropdataset.py (whose std begins with 0.228) and scripts/swav_800ep_pretrain.sh.
Jitter at full strength, as SimCLR's."""

SUP_CON = dict(
    interpolation="bilinear", auto_augment="v0", jitter=0.0, grayscale=0.0, blur=0.0, mean=(0.5,), std=(0.5,)
)
"""google-research/supcon, scripts/supcon_imagenet_resnet50.sh (`augmentation_type=AUTOAUGMENT`), hparams.py and
preprocessing.py: crop, flip and AutoAugment alone, pixels in -1 to 1. Warping has a probability of 0, and blur belongs
to its other augmentations."""
