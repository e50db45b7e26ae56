"""The config's optimizer in PyTorch: biases and normalisation are not decayed, and parts may have other rates."""

import torch
from torch import nn

from benchmarks.contenders.setup import Setup


class AdamW:
    """PyTorch's AdamW, which follows the schedule of a setup.

    Args:
      setup: of the run; the learning rate and its reference batch size are in its rates.
      method: what is trained.
      weight_decay: of matrices and kernels.
      b1, b2, eps: as ours.
      constant_rate: parts of the method that are trained at the peak rate throughout.
    """

    def __init__(
        self,
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
    ):
        groups = {}
        for path, parameter in method.named_parameters():
            if parameter.requires_grad:
                key = parameter.ndim > 1, path.startswith(tuple(f"{part}." for part in constant_rate))
                groups.setdefault(key, []).append(parameter)
        parts = [
            dict(params=parameters, weight_decay=weight_decay * decays, constant=constant)
            for (decays, constant), parameters in groups.items()
        ]
        self.setup = setup
        self.optimizer = torch.optim.AdamW(parts, lr=setup.peak, betas=(b1, b2), eps=eps)

    def step(self, number: int) -> None:
        """The update of step `number`, counted from 0; gradients are cleared after it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.setup.peak if group["constant"] else self.setup.rates[number]
        self.optimizer.step()
        self.optimizer.zero_grad()


OPTIMIZERS = dict(adamw=AdamW)
