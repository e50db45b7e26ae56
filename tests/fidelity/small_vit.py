"""A small ViT, as ours and as transformers' takes its sizes, and pictures for it."""

import numpy as np

ROWS, SIDE, PATCH, WIDTH = 5, 16, 4, 24
PATCHES, RATE, STEPS = (SIDE // PATCH) ** 2, 0.05, 2
OURS = dict(width=WIDTH, depth=2, heads=3, mlp_dim=48, patch_size=PATCH, image_size=SIDE)
THEIRS = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=SIDE)
THEIRS |= dict(patch_size=PATCH, layer_norm_eps=1e-6)


class View:
    """Of pictures, whose units are pixels."""

    shape = (SIDE, SIDE, 3)
    normalized = staticmethod(lambda pixels: pixels)


def pictures(step: int) -> np.ndarray:
    """float32 [ROWS, SIDE, SIDE, 3]."""
    return np.random.default_rng(step).normal(size=(ROWS, SIDE, SIDE, 3)).astype(np.float32)
