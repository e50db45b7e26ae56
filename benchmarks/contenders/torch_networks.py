"""The same networks in PyTorch, with the same first weights in distribution: timm's ViT, torchvision's ResNet."""

import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)

import timm
import torch
from lightly.models.utils import initialize_2d_sine_cosine_positional_embedding
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from benchmarks.contenders.setup import Setup
from ssl_jax.errors import UserError


def backbone(setup: Setup) -> nn.Module:
    """Pictures [B, C, H, W] -> features [B, `num_features`]."""
    return setup.build({"vit": vit, "resnet": ResNet18}, "model")


def vit(
    *,
    size: str,
    image_size: int,
    patch_size: int,
    channels: int,
    width: int,
    depth: int,
    heads: int,
    mlp_dim: int,
    pooling: str,
) -> nn.Module:
    """timm's ViT as ours is by default: fixed sine-cosine positions, Xavier uniform matrices, biases 0."""
    if pooling != "mean":
        raise UserError("torch_networks has ViTs that average patches only")
    model = timm.models.VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=channels,
        num_classes=0,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp_dim / width,
        class_token=False,
        global_pool="avg",
        fc_norm=False,
        dynamic_img_size=True,
    )
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.xavier_uniform_(model.patch_embed.proj.weight.data.flatten(1))
    nn.init.zeros_(model.patch_embed.proj.bias)
    initialize_2d_sine_cosine_positional_embedding(model.pos_embed, has_class_token=False)
    return model


class ResNet18(ResNet):
    """torchvision's, with the stem for small pictures; in channels_last, the quicker."""

    num_features = 512

    def __init__(self, *, depth: int, stem: str, channels: int, zero_init_residual: bool):
        if depth != 18 or stem != "small" or zero_init_residual:
            raise UserError("torch_networks has ResNet-18 only, for small pictures, without zero_init_residual")
        super().__init__(BasicBlock, [2, 2, 2, 2])
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.maxpool = self.fc = nn.Identity()
        self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.contiguous(memory_format=torch.channels_last))
