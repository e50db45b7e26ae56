"""Helpers of the comparisons with PyTorch models."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx


def state_dict(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """The weights of a PyTorch model as NumPy arrays."""
    return {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}


def randomize(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights everywhere, in normalisations and biases too, so that none can hide behind a 0 or a 1."""
    generator = torch.Generator().manual_seed(seed)
    noise = lambda tensor: torch.empty(tensor.shape).normal_(generator=generator)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise(tensor).abs())
            elif tensor.is_floating_point() and tensor.requires_grad:
                is_scale = tensor.ndim == 1 and name.endswith("weight")
                tensor.copy_(1 + 0.2 * noise(tensor) if is_scale else noise(tensor) * max(fan_in, 4) ** -0.5)
            elif name.endswith("running_mean"):
                tensor.copy_(0.3 * noise(tensor))
    return model


def randomize_all(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The same where nothing is trained, as in a teacher, which stays so."""
    is_trained = next(model.parameters()).requires_grad
    return randomize(model.requires_grad_(), seed).requires_grad_(is_trained)


def run(model: nnx.Module, *inputs, **options):
    """`model(*inputs, **options)`, compiled, which is quicker than operation by operation; state changes in place."""
    graph, state = nnx.split(model)

    @jax.jit
    def call(state, *inputs):
        model = nnx.merge(graph, state)
        return model(*inputs, **options), nnx.state(model)

    output, state = call(state, *inputs)
    nnx.update(model, state)
    return output


def relative_error(ours: jnp.ndarray, theirs: torch.Tensor | np.ndarray) -> float:
    """Largest difference over the largest value."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    ours = np.asarray(ours, np.float32)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def pairs(
    projector: nnx.Module, head: torch.nn.Module, of: Callable[[torch.Tensor], torch.Tensor] = lambda weight: weight
) -> Iterator[tuple[nnx.Variable, torch.Tensor]]:
    """(ours, theirs) of every weight of a `Projector`, theirs in our shape; `of` picks a weight or its gradient."""
    linears, norms = parts(head)
    for mine, their in zip(projector.linears, linears, strict=True):
        yield mine.kernel, of(their.weight).T
        if mine.bias is not None:
            yield mine.bias, of(their.bias)
    for mine, their in zip([norm for norm in projector.norms if norm is not None], norms, strict=True):
        for ours, theirs in ((mine.scale, their.weight), (mine.bias, their.bias)):
            if ours is not None:
                yield ours, of(theirs)


def parts(head: torch.nn.Module) -> tuple[list[torch.nn.Module], list[torch.nn.Module]]:
    """The linear layers and the batch normalisations of a head."""
    linears = [module for module in head.modules() if isinstance(module, torch.nn.Linear)]
    return linears, [module for module in head.modules() if isinstance(module, torch.nn.BatchNorm1d)]


def assign(weights: Iterator[tuple[nnx.Variable, torch.Tensor]]) -> None:
    """Sets ours to theirs, of (ours, theirs)."""
    for ours, theirs in weights:
        assert ours.shape == tuple(theirs.shape)
        ours[...] = theirs.detach().numpy()


def descent(method: nnx.Module, rate: float) -> Callable[[Any], tuple[jax.Array, nnx.Module]]:
    """A function of views: a step of gradient descent in place; the loss, and gradients where `method` has weights."""
    graphdef = nnx.split(method, nnx.Param, ...)[0]

    @jax.jit
    def step(params, rest, views):
        def loss_of(params):
            own = nnx.merge(graphdef, params, rest, copy=True)
            loss = own.loss(views, jax.random.key(0))[0]
            return loss, nnx.state(own, nnx.Not(nnx.Param))

        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        return loss, gradients, jax.tree.map(lambda w, g: w - rate * g, params, gradients), state

    def descend(views):
        _, params, rest = nnx.split(method, nnx.Param, ...)
        loss, gradients, params, state = step(params, rest, views)
        nnx.update(method, params, state)
        return loss, nnx.merge(graphdef, gradients, rest, copy=True)

    return descend


def channels_first(images: jax.Array) -> torch.Tensor:
    """Pictures as PyTorch has them."""
    return torch.tensor(np.asarray(images).transpose(0, 3, 1, 2))


def check_step(loss: jax.Array, theirs: torch.Tensor, gradients: dict[str, tuple[Any, torch.Tensor]]) -> None:
    """Holds the loss, and gradients (ours, theirs) by name, to theirs."""
    assert relative_error(loss, theirs) < 1e-5
    scale = max(their.abs().max().item() for _, their in gradients.values())
    errors = {
        name: np.abs(np.asarray(mine) - their.numpy()).max() / max(their.abs().max().item(), 1e-3 * scale)
        for name, (mine, their) in gradients.items()
    }
    assert max(errors.values()) < 1e-4, errors


def gradients_of(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Of all that is trained; 0 for what the loss does not use."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    zero = lambda weight: np.zeros(weight.shape, np.float32)
    return {name: zero(weight) if weight.grad is None else weight.grad.numpy() for name, weight in trained}


def by_path(ours: nnx.Module, carry: Callable[[nnx.Module], None]) -> dict[str, tuple[jax.Array, torch.Tensor]]:
    """(ours, theirs) of a module of ours that holds gradients; `carry` puts theirs into a copy of it."""
    theirs = nnx.clone(ours)
    carry(theirs)
    flat = lambda module: jax.tree_util.tree_leaves_with_path(nnx.state(module, nnx.Param))
    both = zip(flat(ours), flat(theirs), strict=True)
    return {jax.tree_util.keystr(path): (mine, torch.tensor(np.array(their))) for (path, mine), (_, their) in both}


def go_down(weights: Iterator[torch.Tensor], rate: float) -> None:
    """A step of gradient descent; gradients are forgotten."""
    with torch.no_grad():
        for weight in weights:
            if weight.grad is not None:
                weight -= rate * weight.grad
                weight.grad = None
