"""Makes torchvision importable beside a CPU build of torch, whose operators it lacks; timm and lightly want it."""

import importlib.util
import sys
import warnings


def _define_missing_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _define_missing_operators.library = library  # the definitions live as long as this object


def _import_torchvision() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import torchvision  # noqa: F401
        except RuntimeError:
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            _define_missing_operators()
            import torchvision  # noqa: F401


if importlib.util.find_spec("torch") and importlib.util.find_spec("torchvision"):
    _import_torchvision()
