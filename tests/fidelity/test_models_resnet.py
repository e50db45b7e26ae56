"""ResNet against torchvision: the same random weights, the same images."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.models import ResNet  # noqa: E402

IMAGES = np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype(np.float32)


def pair(depth):
    peer = randomize(getattr(torchvision.models, f"resnet{depth}")(num_classes=2))
    ours = nnx.eval_shape(lambda: ResNet(depth=depth, rngs=nnx.Rngs(0)))
    interop.resnet.from_torchvision(ours, state_dict(peer))
    peer.fc = torch.nn.Identity()
    return ours, peer


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("train", [False, True])
def test_forward_equals_torchvision(depth, train, record_property):
    ours, peer = pair(depth)
    theirs = peer.train(train)(torch.tensor(IMAGES.transpose(0, 3, 1, 2)))
    error = relative_error(run(ours, IMAGES, train=train), theirs)
    record_property("max_relative_error", float(error))
    assert error < 1e-4


def test_gradient_equals_torchvision(record_property):
    """In double precision there: in float32 PyTorch itself puts a ReLU's input on the wrong side of 0 now and then."""
    ours, peer = pair(18)
    graph, params, rest = nnx.split(ours, nnx.Param, ...)
    loss = lambda params: (nnx.merge(graph, params, rest, copy=True)(IMAGES, train=True) ** 2).mean()
    gradients = jax.jit(jax.grad(loss))(params)
    (peer.double().train()(torch.tensor(IMAGES.transpose(0, 3, 1, 2)).double()) ** 2).mean().backward()
    nnx.update(ours, gradients)
    ours = interop.resnet.to_torchvision(ours)
    errors = {name: relative_error(ours[name], p.grad) for name, p in peer.named_parameters()}
    record_property("max_relative_error", float(max(errors.values())))
    assert max(errors.values()) < 1e-4, errors


def test_running_averages_differ_by_the_unbiased_variance_only():
    ours, peer = pair(18)
    for _ in range(2):
        run(ours, IMAGES, train=True), peer.train()(torch.tensor(IMAGES.transpose(0, 3, 1, 2)))
    ours, theirs = interop.resnet.to_torchvision(ours), state_dict(peer)
    np.testing.assert_allclose(ours["bn1.running_mean"], theirs["bn1.running_mean"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours["bn1.running_var"], theirs["bn1.running_var"], rtol=1e-3)


@pytest.mark.parametrize("depth", [18, 50])
def test_round_trip(depth):
    ours, peer = pair(depth)
    weights = {name: a for name, a in state_dict(peer).items() if not name.endswith("num_batches_tracked")}
    back = interop.resnet.to_torchvision(ours)
    assert set(back) == set(weights)
    assert all((back[name] == weights[name]).all() for name in weights)
