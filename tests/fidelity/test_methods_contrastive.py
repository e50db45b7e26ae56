"""Steps of MoCo v2 and NNCLR against parts of lightly and solo-learn, with the same weights: heads, queue, momentum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.methods.moco_v2 import MoCoV2
from ssl_jax.methods.nnclr import NNCLR

torch = pytest.importorskip("torch")

from peers import largest_error, solo  # noqa: E402

ROWS, FEATURES, OUT, STEPS = 8, 12, 6, 4
RATE = 0.15  # normalised layers move by rate over squared weights, and rounding grows with how far they move


class Given(nnx.Module):
    """Takes features in the place of images, so that methods compare without their backbones."""

    features = FEATURES

    def __call__(self, images, *, train=False, key=None):
        return images


def batch(step):
    return np.random.default_rng(step).normal(size=(ROWS, 2, FEATURES)).astype(np.float32)


def copy_head(ours, theirs):
    """The weights of a `Projector` into the layers of one of lightly's heads."""
    linears = [layer for layer in theirs.layers if isinstance(layer, torch.nn.Linear)]
    for mine, layer in zip(ours.linears, linears, strict=True):
        layer.weight.data = torch.tensor(np.asarray(mine.kernel[...]).T)
        assert (layer.bias is None) == (mine.bias is None)
        if mine.bias is not None:
            layer.bias.data = torch.tensor(np.asarray(mine.bias[...]))


def descend(method, features):
    """One step of gradient descent in place: the loss, and the gradient by leaf."""
    graphdef, params, rest = nnx.split(method, nnx.Param, ...)

    def loss_of(params):
        own = nnx.merge(graphdef, params, rest, copy=True)
        loss = own.loss({"image": jnp.asarray(features)}, jax.random.key(0))[0]
        return loss, nnx.state(own, nnx.Not(nnx.Param))

    (loss, state), grads = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(params)
    nnx.update(method, jax.tree.map(lambda w, g: w - RATE * g, params, grads), state)
    return loss, grads


def check_kernels(grads, head):
    """The gradients of the head's matrices."""
    linears = [layer for layer in head.layers if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(linears):
        ours = np.asarray(grads["linears"][number]["kernel"][...])
        assert largest_error(ours.T, layer.weight.grad) < 2e-5


def test_moco_v2_is_lightlys_over_some_steps():
    heads, losses = (pytest.importorskip(f"lightly.{name}") for name in ("models.modules.heads", "loss.ntx_ent_loss"))
    update_momentum = pytest.importorskip("lightly.models.utils").update_momentum
    method = MoCoV2(
        Given(), None, momentum=0.9, queue_size=3 * ROWS, projector_out=OUT, batch_size=ROWS, rngs=nnx.Rngs(0)
    )
    online, target = (heads.MoCoProjectionHead(FEATURES, FEATURES, OUT) for _ in range(2))
    for head in (online, target):
        copy_head(method.projector, head)
    criterion = losses.NTXentLoss(temperature=0.2, memory_bank_size=(3 * ROWS, OUT))
    criterion.memory_bank.bank = torch.tensor(np.asarray(method.queue[...]))
    values = []
    for step in range(STEPS):
        loss, grads = descend(method, batch(step))
        method.follow(jnp.int32(step))
        first, second = (torch.tensor(batch(step)[:, view]) for view in range(2))
        update_momentum(online, target, m=0.9)  # within the step, as in the official code
        theirs = criterion(online(first), target(second).detach())
        online.zero_grad()
        theirs.backward()
        check_kernels(grads["projector"], online)
        assert largest_error(loss, theirs) < 1e-5
        with torch.no_grad():
            for parameter in online.parameters():
                parameter -= RATE * parameter.grad
        values.append(float(loss))
    assert len({round(value, 3) for value in values}) == STEPS


def test_nnclr_is_solo_learns_with_lightlys_heads_over_some_steps():
    heads = pytest.importorskip("lightly.models.modules.heads")
    nnclr = solo("losses.nnclr").nnclr_loss_func
    normalize = torch.nn.functional.normalize
    sizes = dict(queue_size=3 * ROWS, projector_hidden=10, projector_out=OUT, predictor_hidden=7)
    method = NNCLR(Given(), None, **sizes, batch_size=ROWS, rngs=nnx.Rngs(0))
    projector, predictor = heads.NNCLRProjectionHead(FEATURES, 10, OUT), heads.NNCLRPredictionHead(OUT, 7, OUT)
    projector.layers[-1].bias.requires_grad = False  # ours has none there, as in SimCLR
    copy_head(method.projector, projector)
    copy_head(method.predictor, predictor)
    queue = torch.tensor(np.asarray(method.queue[...]))
    for step in range(STEPS):
        loss, grads = descend(method, batch(step))
        z = [projector(torch.tensor(batch(step)[:, view])) for view in range(2)]
        p = [predictor(x) for x in z]
        near = [queue[(normalize(x, dim=-1) @ queue.T).argmax(1)] for x in z]
        theirs = nnclr(near[0], p[1], temperature=0.1) / 2 + nnclr(near[1], p[0], temperature=0.1) / 2
        for head in (projector, predictor):
            head.zero_grad()
        theirs.backward()
        check_kernels(grads["projector"], projector)
        check_kernels(grads["predictor"], predictor)
        assert largest_error(loss, theirs) < 1e-5
        queue = torch.cat([queue[ROWS:], normalize(z[0], dim=-1).detach()])
        with torch.no_grad():
            for parameter in (*projector.parameters(), *predictor.parameters()):
                if parameter.requires_grad:
                    parameter -= RATE * parameter.grad
