"""transformers' VideoMAE, whose encoder is that of V-JEPA: its weights, or gradients, in a ViT of clips of ours."""

import numpy as np
import torch
import transformers
from comparison import randomize
from flax import nnx

from ssl_jax import interop
from ssl_jax.interop.table import Row, load
from ssl_jax.models import ViT
from ssl_jax.models.positions import sincos3d

ROWS = (
    Row("patch_embedding.kernel", "kernel"),
    Row("patch_embedding.bias", "embeddings.patch_embeddings.projection.bias"),
    *interop.vit.transformers_blocks("encoder.layer"),
    Row("norm.scale", "layernorm.weight"),
    Row("norm.bias", "layernorm.bias"),
)


def alike(ours: ViT, seed: int = 0) -> transformers.VideoMAEModel:
    """One of random weights, as large as ours and with its positions: it counts patches, and ours have three axes."""
    config = transformers.VideoMAEConfig(
        hidden_size=ours.features, num_hidden_layers=len(ours.stack.blocks), num_attention_heads=ours.heads,
        intermediate_size=ours.mlp_dim, image_size=ours.image_size, patch_size=ours.patch_size,
        num_frames=ours.frames, tubelet_size=ours.tubelet_size, layer_norm_eps=1e-6, use_mean_pooling=False,
    )  # fmt: skip
    model = randomize(transformers.VideoMAEModel(config), seed).eval()
    model.embeddings.position_embeddings = torch.tensor(sincos3d(ours.grid, ours.features))[None]
    return model


def carry_over(ours: nnx.Module, arrays: dict[str, np.ndarray]) -> None:
    """Sets ours to what there is of each weight of theirs, by its name; keys have no bias there."""
    kernel = "embeddings.patch_embeddings.projection.weight"
    width = ours.features
    arrays = arrays | {"kernel": arrays[kernel].transpose(2, 3, 4, 1, 0).reshape(-1, width)}
    del arrays[kernel]
    for block in range(len(ours.stack.blocks)):
        arrays[f"encoder.layer.{block}.attention.attention.key.bias"] = np.zeros(width, np.float32)
    load(ours, arrays, ROWS)


def frames_first(clips: np.ndarray) -> torch.Tensor:
    """Clips [B, T, H, W, C] as they take them."""
    return torch.tensor(np.asarray(clips).transpose(0, 1, 4, 2, 3))
