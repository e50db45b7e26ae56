"""The JAX backend of stable-pretraining: its modules, forward functions, losses, views and trainer, as in its README.

Its networks are the config's in shape, with differences that cannot be set: no normalisation in projectors, GELU in its
approximate form, positions that start from sines and cosines but are trained. Its own views, made with the step, lack
hue, saturation and settings; views from a DataLoader, which its example makes too, are those of lightly.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import stable_pretraining.jax as spj
from flax import nnx

from benchmarks.contenders.setup import Setup, chunks
from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.models.positions import sincos2d

EPOCHS = 10
"""What a run counts as, for the momentum of BYOL's target; each epoch with another momentum compiles the step again."""
Parts = dict[str, Any]


class StablePretraining:
    """See `process.Contender`."""

    def __init__(self, setup: Setup, workers: int | None):
        if setup.part("views")["mean"] is not None or setup.part("views")["std"] is not None:
            raise UserError("with_stable_pretraining has no counterpart of views: mean and std")
        self.per_epoch = -(-setup.config["steps"] // EPOCHS)
        rngs = nnx.Rngs(setup.config["seed"])
        self.encoder = setup.build(BACKBONES, "model", rngs)
        parts = setup.build(METHODS, "method", self.encoder, rngs)
        own = spj.augment.two_view_transform(setup.images.shape[1], normalize_output=False)
        optimizer = build(setup.config, data_dir=setup.data_dir).recipe.optimizer
        self.module = spj.Module(
            optim=lambda: optimizer,
            transform=own if workers is None else None,
            aug_seed=setup.config["seed"],
            **parts,
        )
        self.trainer = spj.Trainer(max_epochs=EPOCHS, callbacks=[spj.TeacherStudentCallback()])
        self.trainer.optimizer = nnx.Optimizer(self.module, optimizer, wrt=nnx.Param)
        self.batches = _pictures(setup) if workers is None else _views(setup, workers)

    def run(self, steps: int) -> float:
        """As `Trainer.fit`, which always begins anew, but as many steps as asked for."""
        while steps:
            self.trainer.current_epoch, done = divmod(self.trainer.global_step, self.per_epoch)
            now = min(steps, self.per_epoch - done)
            self.trainer._train_epoch(self.module, itertools.islice(self.batches, now))
            steps -= now
        return self.trainer.callback_metrics["fit/loss"]

    def embed(self, images: np.ndarray) -> np.ndarray:
        """By the network that is trained; its own evaluation takes the teacher of BYOL."""
        self.module.eval()  # until the next step
        return np.concatenate([_features(self.encoder, part.astype(np.float32) / 255) for part in chunks(images)])


@nnx.jit
def _features(encoder: nnx.Module, pictures: jax.Array) -> jax.Array:
    return encoder(pictures)


def _pictures(setup: Setup) -> Iterator[dict]:
    """Batches of pictures as its views on the device take them: float32 [B, H, W, C] in 0..1."""
    draw, size = np.random.default_rng(setup.config["seed"]), setup.config["batch_size"]
    while True:
        order = draw.permutation(len(setup.images))
        for start in range(0, len(order) - size + 1, size):
            yield {"image": setup.images[order[start : start + size]].astype(np.float32) / 255}


def _views(setup: Setup, workers: int) -> Iterator[dict]:
    """Batches of views from a DataLoader, as in its example jax_simclr_imagenette.py."""
    from benchmarks.contenders import torch_views

    for views in torch_views.loader(setup, workers, "spawn"):
        yield {"views": [{"image": np.ascontiguousarray(view.permute(0, 2, 3, 1).numpy())} for view in views]}


class MeanViT(spj.backbone.ViT):
    """Its ViT, which averages patches instead of reading a class token."""

    def __call__(self, images: jax.Array) -> jax.Array:
        tokens = self.patch_embed(images).reshape(len(images), -1, self.embed_dim)
        tokens = tokens + self.pos_embed[...][:, 1:]
        for block in self.blocks:
            tokens = block(tokens)
        return jnp.mean(self.norm(tokens), axis=1)


def vit(
    rngs: nnx.Rngs,
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
) -> nnx.Module:
    if pooling != "mean":
        raise UserError("with_stable_pretraining has ViTs that average patches only")
    network = MeanViT(
        rngs=rngs,
        img_size=image_size,
        patch_size=patch_size,
        in_channels=channels,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp_dim // width,
    )
    grid = image_size // patch_size
    network.pos_embed[...] = network.pos_embed[...].at[0, 1:].set(sincos2d((grid, grid), width))
    return network


def resnet(rngs: nnx.Rngs, *, depth: int, stem: str, channels: int, zero_init_residual: bool) -> nnx.Module:
    if depth != 18 or stem != "small" or zero_init_residual:
        raise UserError("with_stable_pretraining has ResNet-18 only, for small pictures, without zero_init_residual")
    return spj.backbone.resnet18(rngs=rngs, in_channels=channels, low_resolution=True)


BACKBONES = dict(vit=vit, resnet=resnet)


def _mlp(inputs: int, hidden: int | None, out: int, layers: int, rngs: nnx.Rngs) -> nnx.Module:
    return spj.backbone.MLP(inputs, [hidden or inputs] * (layers - 1) + [out], rngs=rngs)


def simclr(
    backbone: nnx.Module,
    rngs: nnx.Rngs,
    *,
    temperature: float,
    projector_hidden: int | None,
    projector_out: int,
    projector_layers: int,
) -> Parts:
    projector = _mlp(backbone.embed_dim, projector_hidden, projector_out, projector_layers, rngs)
    loss = spj.losses.NTXEntLoss(temperature=temperature)
    return dict(forward=spj.forward.simclr, backbone=backbone, projector=projector, simclr_loss=loss)


def barlow_twins(
    backbone: nnx.Module,
    rngs: nnx.Rngs,
    *,
    lambda_: float,
    projector_hidden: int,
    projector_out: int,
    projector_layers: int,
) -> Parts:
    projector = _mlp(backbone.embed_dim, projector_hidden, projector_out, projector_layers, rngs)
    loss = spj.losses.BarlowTwinsLoss(lambd=lambda_)
    return dict(forward=spj.forward.barlow_twins, backbone=backbone, projector=projector, barlow_loss=loss)


def vicreg(
    backbone: nnx.Module,
    rngs: nnx.Rngs,
    *,
    invariance_weight: float,
    variance_weight: float,
    covariance_weight: float,
    projector_hidden: int,
    projector_out: int,
    projector_layers: int,
) -> Parts:
    projector = _mlp(backbone.embed_dim, projector_hidden, projector_out, projector_layers, rngs)
    weights = dict(sim_coeff=invariance_weight, std_coeff=variance_weight, cov_coeff=covariance_weight)
    loss = spj.losses.VICRegLoss(**weights)
    return dict(forward=spj.forward.vicreg, backbone=backbone, projector=projector, vicreg_loss=loss)


def simsiam(
    backbone: nnx.Module,
    rngs: nnx.Rngs,
    *,
    projector_hidden: int,
    projector_out: int,
    projector_layers: int,
    predictor_hidden: int,
) -> Parts:
    projector = _mlp(backbone.embed_dim, projector_hidden, projector_out, projector_layers, rngs)
    predictor = _mlp(projector_out, predictor_hidden, projector_out, 2, rngs)
    loss = spj.losses.NegativeCosineSimilarity()
    networks = dict(backbone=backbone, projector=projector, predictor=predictor)
    return dict(forward=spj.forward.simsiam, simsiam_loss=loss, **networks)


def byol(
    backbone: nnx.Module,
    rngs: nnx.Rngs,
    *,
    momentum: float,
    projector_hidden: int,
    projector_out: int,
    head_layers: str,
) -> Parts:
    if head_layers != "torch":
        raise UserError(f"last layers of stable-pretraining's heads have biases, unlike head_layers {head_layers!r}")
    projector = _mlp(backbone.embed_dim, projector_hidden, projector_out, 2, rngs)
    wrapped = {
        name: spj.TeacherStudentWrapper(network, momentum, 1.0)
        for name, network in dict(backbone=backbone, projector=projector).items()
    }
    predictor = _mlp(projector_out, projector_hidden, projector_out, 2, rngs)
    return dict(forward=spj.forward.byol, predictor=predictor, byol_loss=spj.losses.BYOLLoss(), **wrapped)


METHODS = dict(simclr=simclr, byol=byol, vicreg=vicreg, barlow_twins=barlow_twins, simsiam=simsiam)
