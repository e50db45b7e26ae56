"""Makes torchvision and torchaudio importable beside a CPU build of torch.

torchvision, which timm and lightly want, lacks operators there; torchaudio's compiled library is for another torch, and
the front ends that are compared with are Python alone.
"""

import importlib.util
import sys
import types
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


def _leave_out_compiled_library() -> None:
    extension = types.ModuleType("torchaudio._extension")
    extension.fail_if_no_align = lambda function: function
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = extension._IS_ALIGN_AVAILABLE = False
    extension._check_cuda_version = lambda: None
    sys.modules["torchaudio._extension"] = extension


if importlib.util.find_spec("torch") and importlib.util.find_spec("torchaudio"):
    _leave_out_compiled_library()
