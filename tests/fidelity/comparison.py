"""Helpers of the comparisons with PyTorch models."""

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
