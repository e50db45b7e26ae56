"""lightly on PyTorch: its transforms, heads, losses and target updates."""

import itertools

import numpy as np
import torch
from torch import nn

from benchmarks.contenders import torch_networks, torch_views
from benchmarks.contenders.lightly_methods import METHODS
from benchmarks.contenders.setup import Setup
from ssl_jax.errors import UserError

CHUNK = 256


class Lightly:
    """See `process.Contender`."""

    def __init__(self, setup: Setup, workers: int):
        torch.manual_seed(setup.config["seed"])
        self.setup, self.done = setup, 0
        self.method = setup.build(METHODS[setup.config["method"]["name"]], "method", torch_networks.backbone(setup))
        self.optimizer = optimizer(setup, self.method)
        self.batches = iter(torch_views.loader(setup, workers))

    def run(self, steps: int) -> float:
        self.method.train()
        for views in itertools.islice(self.batches, steps):
            for group in self.optimizer.param_groups:
                group["lr"] = self.setup.peak if group["constant"] else self.setup.rates[self.done]
            loss = self.method.loss(views, self.done)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.done += 1
        return loss.item()

    @torch.no_grad()
    def embed(self, images: np.ndarray) -> np.ndarray:
        encoder = self.method.encoder.eval()
        parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
        return np.concatenate([encoder(torch_views.whole(self.setup, part)).numpy() for part in parts])


def optimizer(setup: Setup, method: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the config: biases and normalisation are not decayed, and parts may keep the peak rate.

    Raises:
      UserError: the config asks for what is not here.
    """
    node = dict(setup.config["optimizer"])
    name, decay, constant = node.pop("name"), node.pop("weight_decay", None), node.pop("constant_rate", ())
    for known in ("learning_rate", "reference_batch_size"):  # they are in `setup.rates`
        node.pop(known, None)
    if name != "adamw" or decay is None or set(node) - {"b1", "b2", "eps"}:
        raise UserError(f"with_lightly.optimizer has no counterpart of optimizer: {setup.config['optimizer']}")
    groups = {}
    for path, parameter in method.named_parameters():
        if parameter.requires_grad:
            key = parameter.ndim > 1, path.startswith(tuple(f"{part}." for part in constant))
            groups.setdefault(key, []).append(parameter)
    settings = [
        dict(params=parameters, weight_decay=decay * decayed, constant=keeps)
        for (decayed, keeps), parameters in groups.items()
    ]
    betas = node.get("b1", 0.9), node.get("b2", 0.999)
    return torch.optim.AdamW(settings, lr=setup.peak, betas=betas, eps=node.get("eps", 1e-8))
