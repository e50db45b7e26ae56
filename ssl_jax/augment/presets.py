"""What papers do to pictures, as settings of `PhotoView`; numbers not given here are its defaults, SimCLR's."""

_IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_MILD = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
_BYOL_COLORS = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)

SIMCLR: dict = {}
"""Chen et al. 2020, appendix A; pixels stay in 0..1 as in the authors' code. CIFAR-10 (B.9): strength 0.5, no blur."""

MOCO_V2 = dict(crop_scale=(0.2, 1.0), interpolation="bilinear", **_MILD, **_IMAGENET)
"""Chen et al. 2020, Improved Baselines with Momentum Contrastive Learning, section 3 and `main_moco.py --aug-plus`."""

BYOL = dict(blur=1.0, second_blur=0.1, second_solarize=0.2, **_BYOL_COLORS, **_IMAGENET)
"""Grill et al. 2020, table 6 of appendix B."""

DINO = dict(BYOL, crop_scale=(0.4, 1.0), local_crops=8, local_size=96, local_scale=(0.05, 0.4), local_blur=0.5)
"""Caron et al. 2021, appendix and `main_dino.py`, whose defaults these are; the paper's best runs crop 0.25 to 1."""

LEJEPA = dict(
    crop_scale=(0.3, 1.0),
    solarize=0.2,
    local_crops=6,
    local_size=98,
    local_scale=(0.05, 0.3),
    **_BYOL_COLORS,
    **_IMAGENET,
)
"""Balestriero and LeCun 2025: README of rbalestr-lab/lejepa, where small views are solarised too."""

SWAV = dict(
    crop_scale=(0.14, 1.0),
    interpolation="bilinear",
    local_crops=6,
    local_size=96,
    local_scale=(0.05, 0.14),
    **_IMAGENET,
)
"""Caron et al. 2020, appendix A and `main_swav.py` (`scripts/swav_800ep_pretrain.sh`)."""
