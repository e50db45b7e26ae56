"""What a method that works on patches needs of its network."""

from typing import Any


def check_patches(method: str, backbone: Any, part: str = "embed_patches") -> None:
    """The backbone is a ViT, or another network with the attribute `part`, where that is enough.

    Raises:
      ValueError: it is not.
    """
    if not hasattr(backbone, part):
        raise ValueError(f"{method} works on patches, so config.model must be a vit, not {type(backbone).__name__}")


def check_any_patches(method: str, backbone: Any) -> None:
    """The backbone can be shown some of a picture's patches, or pictures of another size.

    Raises:
      ValueError: it is a ViT with relative positions.
    """
    if getattr(backbone, "relative", None) is not None:
        raise ValueError(f"{method} shows parts of pictures: set config.model.positions to 'sincos2d' or 'learned'")


def check_class_token(method: str, backbone: Any) -> None:
    """The backbone is a ViT with a class token.

    Raises:
      ValueError: it is not.
    """
    check_patches(method, backbone)
    if backbone.class_token is None:
        raise ValueError(f"{method} needs a class token: set config.model.pooling to 'cls'")


def check_no_class_token(method: str, backbone: Any) -> None:
    """The backbone is a ViT without a class token.

    Raises:
      ValueError: it is not.
    """
    check_patches(method, backbone)
    if backbone.class_token is not None:
        raise ValueError(f"{method} has no class token: set config.model.pooling to 'mean'")
