"""The same networks in PyTorch, with the same first weights in distribution: timm's ViT, torchvision's blocks."""

import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)

import timm
import torch
from lightly.models.utils import initialize_2d_sine_cosine_positional_embedding
from torch import nn
from torchvision.models.resnet import BasicBlock

from benchmarks.contenders.setup import Setup
from ssl_jax.errors import UserError


def backbone(setup: Setup) -> nn.Module:
    """Pictures [B, C, H, W] -> features [B, `num_features`]."""
    return setup.build({"vit": vit, "resnet": ResNet}, "model")


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


class ResNet(nn.Sequential):
    """torchvision's blocks in any number and width, with the stem for small pictures; in channels_last, the quicker."""

    def __init__(
        self,
        *,
        depth: int,
        stage_sizes: tuple[int, ...] | None,
        base_width: int,
        stem: str,
        channels: int,
        zero_init_residual: bool,
    ):
        if stem != "small" or stage_sizes is None and depth != 18:
            raise UserError("torch_networks has ResNet-18 and those of given stages, with the stem for small pictures")
        stages, inputs = [], base_width
        for number, blocks in enumerate(stage_sizes or (2, 2, 2, 2)):
            for index in range(blocks):
                stages.append(_block(inputs, base_width * 2**number, 2 if number and not index else 1))
                inputs = base_width * 2**number
        first = nn.Conv2d(channels, base_width, 3, padding=1, bias=False), nn.BatchNorm2d(base_width), nn.ReLU()
        super().__init__(*first, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.num_features = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, BasicBlock) and zero_init_residual:
                nn.init.zeros_(module.bn2.weight)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.contiguous(memory_format=torch.channels_last))


def _block(inputs: int, width: int, stride: int) -> nn.Module:
    shortcut = None
    if stride != 1 or inputs != width:
        shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    return BasicBlock(inputs, width, stride, shortcut)
