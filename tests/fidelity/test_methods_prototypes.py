"""Methods with prototypes against other implementations: heads and loss of one step, with copied weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightly")

from comparison import randomize, relative_error  # noqa: E402
from flax import nnx  # noqa: E402
from lightly.loss import SwaVLoss  # noqa: E402
from lightly.models.modules.heads import SwaVProjectionHead, SwaVPrototypes  # noqa: E402

from ssl_jax.methods.swav import ASSIGNING, SwAV  # noqa: E402

N, CROPS, FEATURES, HIDDEN, OUT, PROTOTYPES, QUEUE = 16, 4, 10, 12, 8, 20, 24


class Features(nnx.Module):
    """In place of a backbone: features come in as they are."""

    features = FEATURES

    def __call__(self, x, *, train=False, key=None):
        return x.reshape(len(x), -1)


def swav_with_weights(head, prototypes, **settings):
    sizes = dict(projector_hidden=HIDDEN, projector_out=OUT, prototypes=PROTOTYPES, freeze_prototypes_steps=0)
    ours = SwAV(Features(), None, **sizes, **settings, batch_size=N, steps=9, rngs=nnx.Rngs(0))
    weights = {name: jnp.asarray(tensor.detach().numpy()) for name, tensor in head.named_parameters()}
    first, last = ours.projector.linears
    first.kernel[...], last.kernel[...] = weights["layers.0.weight"].T, weights["layers.3.weight"].T
    last.bias[...] = weights["layers.3.bias"]
    ours.projector.norms[0].scale[...] = weights["layers.1.weight"]
    ours.projector.norms[0].bias[...] = weights["layers.1.bias"]
    ours.prototypes.kernel[...] = jnp.asarray(prototypes.heads[0].weight.detach().numpy().T)
    return ours


@pytest.mark.parametrize("queue", [False, True])
def test_swav_equals_lightly(queue, record_property):
    """lightly's prototypes have a bias, which neither the paper nor the authors' code has: it is 0 here."""
    head = randomize(SwaVProjectionHead(FEATURES, HIDDEN, OUT)).train()
    prototypes = SwaVPrototypes(OUT, PROTOTYPES)
    torch.nn.init.zeros_(prototypes.heads[0].bias)
    prototypes.normalize()
    x = np.random.default_rng(0).normal(size=(N, CROPS, FEATURES)).astype(np.float32)
    kept = np.random.default_rng(1).normal(size=(QUEUE, ASSIGNING, OUT)).astype(np.float32)
    kept /= np.linalg.norm(kept, axis=-1, keepdims=True)

    z = torch.nn.functional.normalize(head(torch.tensor(x.swapaxes(0, 1).reshape(-1, FEATURES))))
    scores = prototypes(z).reshape(CROPS, N, PROTOTYPES)
    earlier = [prototypes(torch.tensor(kept[:, view])) for view in range(ASSIGNING)] if queue else None
    theirs = SwaVLoss()(list(scores[:ASSIGNING]), list(scores[ASSIGNING:]), earlier)
    theirs.sum().backward()

    ours = swav_with_weights(head, prototypes, queue_size=QUEUE if queue else 0)
    if queue:
        ours.queue[...], ours.done[...] = jnp.asarray(kept), jnp.int32(2)
    graph, params, rest = nnx.split(ours, nnx.Param, ...)
    views = {"image": x[:, :ASSIGNING], "local": x[:, ASSIGNING:]}
    loss = lambda params: nnx.merge(graph, params, rest, copy=True).loss(views, jax.random.key(0))[0]
    value, gradient = jax.value_and_grad(loss)(params)
    errors = {
        "loss": relative_error(value[None], theirs),
        "first": relative_error(gradient["projector"]["linears"][0]["kernel"][...].T, head.layers[0].weight.grad),
        "scale": relative_error(gradient["projector"]["norms"][0]["scale"][...], head.layers[1].weight.grad),
        "last": relative_error(gradient["projector"]["linears"][1]["kernel"][...].T, head.layers[3].weight.grad),
        "bias": relative_error(gradient["projector"]["linears"][1]["bias"][...], head.layers[3].bias.grad),
        "prototypes": relative_error(gradient["prototypes"]["kernel"][...].T, prototypes.heads[0].weight.grad),
    }
    record_property("max_relative_error", max(errors.values()))
    assert max(errors.values()) < 1e-5, errors  # 6e-7 is seen
