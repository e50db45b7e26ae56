"""lightly on PyTorch: its transforms, heads, losses and target updates."""

import itertools

import numpy as np
import torch

from benchmarks.contenders import torch_networks, torch_views
from benchmarks.contenders.lightly_methods import METHODS
from benchmarks.contenders.setup import Setup, chunks
from benchmarks.contenders.torch_optimizers import OPTIMIZERS


class Lightly:
    """See `process.Contender`."""

    def __init__(self, setup: Setup, workers: int):
        torch.manual_seed(setup.config["seed"])
        torch.backends.cudnn.allow_tf32 = False  # its matrix products are in float32 by default
        self.setup, self.done = setup, 0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.method = setup.build(METHODS, "method", torch_networks.backbone(setup)).to(self.device)
        self.optimizer = setup.build(OPTIMIZERS, "optimizer", setup, self.method)
        self.batches = iter(torch_views.loader(setup, workers))

    def run(self, steps: int) -> float:
        self.method.train()
        for views in itertools.islice(self.batches, steps):
            loss = self.method.loss([view.to(self.device, non_blocking=True) for view in views], self.done)
            loss.backward()
            self.optimizer.step(self.done)
            self.done += 1
        return loss.item()

    @torch.no_grad()
    def embed(self, images: np.ndarray) -> np.ndarray:
        encoder = self.method.encoder.eval()
        wholes = (torch_views.whole(self.setup, part).to(self.device) for part in chunks(images))
        return np.concatenate([encoder(whole).cpu().numpy() for whole in wholes])
