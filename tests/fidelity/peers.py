"""Comparing a loss with someone else's, in value and gradient, and noting the errors for `docs/losses.md`."""

import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import pytest
import torch


def random(*shape: int, seed: int) -> torch.Tensor:
    """Standard normal numbers that record gradients."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def bare(package: str) -> None:
    """Makes the files of an installed package importable without running its `__init__.py`s.

    Those of training frameworks import all of the framework, of which the comparison of a loss needs nothing.
    """
    if package in sys.modules or importlib.util.find_spec(package) is None:
        return
    root = Path(importlib.util.find_spec(package).origin).parent
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir() and path.name.isidentifier())):
        name = ".".join((package, *folder.relative_to(root).parts))
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules.setdefault(name, module)


def solo(module: str) -> types.ModuleType:
    """The file `module` of solo-learn without its training framework; skips the test where solo-learn is missing."""
    bare("solo")
    if "solo" not in sys.modules:
        pytest.skip("solo-learn is not installed")
    return importlib.import_module(f"solo.{module}")


@functools.cache
def stable() -> types.SimpleNamespace:
    """The files of some of stable-pretraining's methods without its training framework; skips where it is missing.

    What that framework would train are plain modules of torch here. No trace stays in `sys.modules`: another test may
    import the whole of it.
    """
    name = "stable_pretraining"
    for package in (name, "loguru", "timm", "torchvision", "transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    bare(name)
    try:
        sys.modules[name].Module = torch.nn.Module
        for folder, file in (
            ("utils", "distributed"),
            ("backbone", "nn_modules"),
            ("backbone", "utils"),
            ("losses", "dino"),
        ):
            found = vars(importlib.import_module(f"{name}.{folder}.{file}"))
            public = {key: value for key, value in found.items() if not key.startswith("_")}
            vars(sys.modules[f"{name}.{folder}"]).update(public)
        methods = ("mocov3", "ibot", "dinov2")
        return types.SimpleNamespace(**{key: importlib.import_module(f"{name}.methods.{key}") for key in methods})
    finally:
        for loaded in [module for module in sys.modules if module.split(".")[0] == name]:
            del sys.modules[loaded]


def check_loss(
    record_property: Callable[[str, object], None],
    *,
    loss: str,
    peer: str,
    ours: Callable[..., jax.Array],
    theirs: torch.Tensor,
    inputs: Sequence[torch.Tensor],
    tolerance: float = 1e-5,
    reason: str = "",
) -> None:
    """Holds `ours(*inputs)` to `theirs`, a scalar computed from the same inputs, and notes the errors.

    Args:
      record_property: pytest's fixture.
      loss: the name in `ssl_jax.losses`.
      peer: what it is compared with, as the table shall say: "lightly NTXentLoss", "formula of facebookresearch/msn".
      ours: jitted here; takes the inputs as arrays.
      theirs: differentiable with respect to every input.
      inputs: leaf tensors.
      tolerance: of relative errors: largest difference over largest entry, of the value and of each gradient.
      reason: why the tolerance has to be larger than 1e-5, for the table.
    """
    assert tolerance <= 1e-5 or reason
    arrays = [tensor.detach().numpy() for tensor in inputs]
    value, gradients = jax.jit(jax.value_and_grad(ours, tuple(range(len(arrays)))))(*arrays)
    theirs.backward()
    value_error = largest_error(value, theirs)
    gradient_error = max(largest_error(g, x.grad) for g, x in zip(gradients, inputs, strict=True))
    for name, found in dict(
        loss=loss, peer=peer, reason=reason, value_error=value_error, gradient_error=gradient_error
    ).items():
        record_property(name, found)
    print(f"{loss} against {peer}: value {value_error:.1e} gradient {gradient_error:.1e}")
    assert max(value_error, gradient_error) <= tolerance


def largest_error(ours: jax.Array, theirs: torch.Tensor) -> float:
    """The largest difference, relative to the largest entry."""
    ours, theirs = np.asarray(ours, np.float64), theirs.detach().double().numpy()
    assert ours.shape == theirs.shape and np.all(np.isfinite(ours)) and np.all(np.isfinite(theirs))
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.finfo(np.float32).tiny))
