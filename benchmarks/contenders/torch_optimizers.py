"""The config's optimizer in PyTorch: biases and normalisation are not decayed, and parts may have other rates."""

import itertools
from typing import Any

import torch
from torch import nn

from benchmarks.contenders.setup import Setup


class Optimizer:
    """An optimizer that follows the schedule of a setup.

    Args:
      setup: of the run.
      make: parameter groups -> PyTorch's optimizer.
      method: what is trained.
      weight_decay: of matrices and kernels.
      constant_rate: parts of the method that are trained at the peak rate throughout.
      bias_rate: multiplies the rate of what is not decayed.
      clip_norm: largest norm of the whole gradient, None for no clipping.
    """

    def __init__(
        self,
        setup: Setup,
        make: Any,
        method: nn.Module,
        *,
        weight_decay: float,
        constant_rate: tuple[str, ...],
        bias_rate: float,
        clip_norm: float | None,
    ):
        groups = {}
        for path, parameter in method.named_parameters():
            if parameter.requires_grad:
                key = parameter.ndim > 1, path.startswith(tuple(f"{part}." for part in constant_rate))
                groups.setdefault(key, []).append(parameter)
        self.setup, self.clip_norm = setup, clip_norm
        self.optimizer = make(
            [
                dict(
                    params=parameters,
                    weight_decay=weight_decay * decays,
                    factor=1.0 if decays else bias_rate,
                    constant=constant,
                )
                for (decays, constant), parameters in groups.items()
            ]
        )

    def step(self, number: int) -> None:
        """The update of step `number`, counted from 0; gradients are cleared after it."""
        groups = self.optimizer.param_groups
        for group in groups:
            rate = self.setup.peak if group["constant"] else self.setup.rates[number]
            group["lr"] = group["factor"] * rate
        if self.clip_norm is not None:
            parameters = list(itertools.chain.from_iterable(group["params"] for group in groups))
            nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()


def adamw(
    setup: Setup,
    method: nn.Module,
    *,
    learning_rate: float,
    reference_batch_size: int | None,
    weight_decay: float,
    b1: float,
    b2: float,
    eps: float,
    constant_rate: tuple[str, ...],
    bias_rate: float,
    clip_norm: float | None,
) -> Optimizer:
    del learning_rate, reference_batch_size  # they are in the setup's rates
    make = lambda groups: torch.optim.AdamW(groups, lr=setup.peak, betas=(b1, b2), eps=eps)
    parts = dict(constant_rate=constant_rate, bias_rate=bias_rate, clip_norm=clip_norm)
    return Optimizer(setup, make, method, weight_decay=weight_decay, **parts)


OPTIMIZERS = dict(adamw=adamw)
