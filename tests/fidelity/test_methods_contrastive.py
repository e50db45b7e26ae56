"""Steps of contrastive methods against parts of lightly, solo-learn, pytorch-metric-learning and stable-pretraining.

The same weights, the same features: losses, gradients of all weights, queues and momentum.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.methods import METHODS
from ssl_jax.methods.moco_v2 import MoCoV2
from ssl_jax.methods.moco_v3 import MoCoV3
from ssl_jax.methods.nnclr import NNCLR
from ssl_jax.methods.sup_con import SupCon
from ssl_jax.models.normalization import BatchNorm

torch = pytest.importorskip("torch")

from comparison import assign, descent, go_down, pairs, parts, randomize_all  # noqa: E402
from peers import largest_error, solo, stable  # noqa: E402

ROWS, FEATURES, HIDDEN, OUT, STEPS = 32, 12, 10, 6, 4  # over 8 rows, normalisations in a row magnify rounding
RATE = 0.01  # normalised layers move by rate over squared weights, and rounding grows with how far they move


class Given(nnx.Module):
    """Takes features in the place of images, so that methods compare without their backbones."""

    features = FEATURES

    def __call__(self, images, *, train=False, key=None):
        return images


def batch(step):
    return np.random.default_rng(step).normal(size=(ROWS, 2, FEATURES)).astype(np.float32)


class Encoder(Given):
    """A layer with batch normalisation for a backbone, so that there is something to train and to follow."""

    def __init__(self):
        self.linears = nnx.List([nnx.Linear(FEATURES, FEATURES, use_bias=False, rngs=nnx.Rngs(0))])
        self.norms = nnx.List([BatchNorm(FEATURES)])

    def __call__(self, images, *, train=False, key=None):
        return self.norms[0](self.linears[0](images), train=train, relu=True)


class TheirEncoder(torch.nn.Module):
    """The same; stable-pretraining tries it on one picture first."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(FEATURES, FEATURES, bias=False)
        self.norm = torch.nn.BatchNorm1d(FEATURES)

    def forward(self, images):
        return self.norm(self.linear(images.flatten(1)[:, :FEATURES])).relu()


def prepare(method, networks):
    """Random weights for `networks`, theirs by the names of ours, and for those of `method`."""
    for seed, (name, network) in enumerate(networks.items()):
        randomize_all(network, seed)
        assign(pairs(getattr(method, name), network))


def without_last_bias(head):
    """`head` whose last normalisation has no bias, as in the official codes."""
    norm = parts(head)[1][-1]
    norm.register_parameter("bias", None)
    return head


def check_step(descend, views, theirs, networks, rate=RATE):
    """A step of gradient descent of both: the same loss, and the same gradient of every weight that learns."""
    loss, gradients = descend(views)
    for network in networks.values():
        network.zero_grad()
    theirs.backward()
    assert largest_error(loss, theirs) < 1e-5
    for name, network in networks.items():
        found = list(pairs(getattr(gradients, name), network, lambda weight: weight.grad))
        assert len(found) == len(list(network.parameters())), f"every weight of {name}"
        assert max(largest_error(ours[...], weight) for ours, weight in found) < 2e-5, name
        go_down(network.parameters(), rate)


def test_moco_v2_is_lightlys_over_some_steps():
    heads, losses = (pytest.importorskip(f"lightly.{name}") for name in ("models.modules.heads", "loss.ntx_ent_loss"))
    update_momentum = pytest.importorskip("lightly.models.utils").update_momentum
    method = MoCoV2(
        Given(), None, momentum=0.9, queue_size=3 * ROWS, projector_out=OUT, batch_size=ROWS, rngs=nnx.Rngs(0)
    )
    online, target = (heads.MoCoProjectionHead(FEATURES, FEATURES, OUT) for _ in range(2))
    prepare(method, {"projector": online})
    target.load_state_dict(online.state_dict())
    assign(pairs(method.target_projector, target))
    criterion = losses.NTXentLoss(temperature=0.2, memory_bank_size=(3 * ROWS, OUT))
    criterion.memory_bank.bank = torch.tensor(np.asarray(method.queue[...]))
    descend, values = descent(method, RATE), []
    for step in range(STEPS):
        update_momentum(online, target, m=0.9)  # within the step, as in the official code
        first, second = (torch.tensor(batch(step)[:, view]) for view in range(2))
        theirs = criterion(online(first), target(second).detach())
        check_step(descend, {"image": batch(step)}, theirs, {"projector": online})
        method.follow(jnp.int32(step))
        values.append(theirs.item())
    assert len({round(value, 3) for value in values}) == STEPS


def test_nnclr_is_solo_learns_with_lightlys_heads_over_some_steps():
    heads = pytest.importorskip("lightly.models.modules.heads")
    nnclr = solo("losses.nnclr").nnclr_loss_func
    normalize = torch.nn.functional.normalize
    sizes = dict(queue_size=3 * ROWS, projector_hidden=HIDDEN, projector_out=OUT, predictor_hidden=7)
    method = NNCLR(Given(), None, **sizes, batch_size=ROWS, rngs=nnx.Rngs(0))
    projector = without_last_bias(heads.NNCLRProjectionHead(FEATURES, HIDDEN, OUT))
    networks = {"projector": projector, "predictor": heads.NNCLRPredictionHead(OUT, 7, OUT)}
    prepare(method, networks)
    queue, descend = torch.tensor(np.asarray(method.queue[...])), descent(method, RATE)
    for step in range(STEPS):
        z = [projector(torch.tensor(batch(step)[:, view])) for view in range(2)]
        p = [networks["predictor"](x) for x in z]
        near = [queue[(normalize(x, dim=-1) @ queue.T).argmax(1)] for x in z]
        theirs = nnclr(near[0], p[1], temperature=0.1) / 2 + nnclr(near[1], p[0], temperature=0.1) / 2
        check_step(descend, {"image": batch(step)}, theirs, networks)
        queue = torch.cat([queue[ROWS:], normalize(z[0], dim=-1).detach()])


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
@pytest.mark.parametrize(
    "name, settings, loss, options",
    [
        ("simclr", {}, "ntx_ent_loss.NTXentLoss", {}),
        ("dcl", {}, "dcl_loss.DCLLoss", {}),
        ("dcl", dict(sigma=0.4), "dcl_loss.DCLWLoss", dict(sigma=0.4)),
    ],
)
def test_simclr_and_dcl_are_lightlys_over_some_steps(name, settings, loss, options):
    """Both views are one batch for the head's normalisations, as in the paper's own code; lightly makes two passes."""
    heads = pytest.importorskip("lightly.models.modules.heads")
    file, loss = loss.split(".")
    criterion = getattr(pytest.importorskip(f"lightly.loss.{file}"), loss)(temperature=0.3, **options)
    sizes = dict(projector_hidden=HIDDEN, projector_out=OUT)
    method = METHODS[name](Encoder(), None, temperature=0.3, **sizes, **settings, rngs=nnx.Rngs(0))
    head = without_last_bias(heads.SimCLRProjectionHead(FEATURES, HIDDEN, OUT))
    networks = {"backbone": TheirEncoder(), "projector": head}
    prepare(method, networks)
    descend = descent(method, RATE)
    for step in range(STEPS):
        both = torch.tensor(np.concatenate([batch(step)[:, 0], batch(step)[:, 1]]))
        theirs = criterion(*head(networks["backbone"](both)).chunk(2))
        check_step(descend, {"image": batch(step)}, theirs, networks)


@pytest.mark.parametrize("base, normalize", [(0.07, False), (1.0, True)])
def test_sup_con_is_pytorch_metric_learnings_over_some_steps(base, normalize):
    """That has no base temperature; the official head is lightly's for MoCo v2."""
    heads = pytest.importorskip("lightly.models.modules.heads")
    criterion = pytest.importorskip("pytorch_metric_learning.losses").SupConLoss(temperature=0.3)
    settings = dict(base_temperature=base, normalize_features=normalize)
    sizes = dict(projector_hidden=HIDDEN, projector_out=OUT)
    method = SupCon(Encoder(), None, temperature=0.3, **sizes, **settings, rngs=nnx.Rngs(0))
    networks = {"backbone": TheirEncoder(), "projector": heads.MoCoProjectionHead(FEATURES, HIDDEN, OUT)}
    prepare(method, networks)
    descend = descent(method, RATE * base)  # the loss is so many times as large
    for step in range(STEPS):
        labels = np.random.default_rng(step).integers(0, 3, ROWS)
        features = networks["backbone"](torch.tensor(batch(step)).flatten(0, 1))
        features = torch.nn.functional.normalize(features) if normalize else features
        theirs = criterion(networks["projector"](features), torch.tensor(labels).repeat_interleave(2)) * 0.3 / base
        check_step(descend, {"image": batch(step), "label": labels}, theirs, networks, rate=RATE * base)


@pytest.mark.parametrize("layers, last_norm", [(3, True), (2, False)])
def test_moco_v3_is_stable_pretrainings_over_some_steps(layers, last_norm):
    """Its loss is the mean of both ways, without the official code's factor of 2 temperatures.

    Heads as the official code has them for ViTs, and for ResNets, whose predictions are not normalised: no predictions
    of stable-pretraining are, so its own `_mlp` makes the other predictor.
    """
    module = stable().mocov3
    peer = module.MoCov3(
        TheirEncoder().eval(), (HIDDEN,) * (layers - 1) + (OUT,), HIDDEN, temperature=0.3, ema_decay_start=0.9
    )
    peer.train().predictor = module._mlp([OUT, HIDDEN, OUT], last_bn=last_norm)
    sizes = dict(projector_layers=layers, projector_hidden=HIDDEN, projector_out=OUT, predictor_batch_norm=last_norm)
    method = MoCoV3(Encoder(), None, momentum=0.9, temperature=0.3, **sizes, steps=STEPS, rngs=nnx.Rngs(0))
    followed = {"backbone": peer.backbone, "projector": peer.projector}
    networks = {name: both.student for name, both in followed.items()} | {"predictor": peer.predictor}
    teachers = {f"target_{name}": both.teacher for name, both in followed.items()}
    prepare(method, networks | teachers)
    descend = descent(method, RATE)
    for step in range(STEPS):
        first, second = (torch.tensor(batch(step)[:, view]) for view in range(2))
        check_step(descend, {"image": batch(step)}, 4 * 0.3 * peer(first, second).loss, networks)
        method.follow(jnp.int32(step))
        for both in followed.values():
            both.update_ema_coefficient(step + 1, STEPS)
            both.update_teacher()
        for name, network in teachers.items():
            found = pairs(getattr(method, name), network)
            assert max(largest_error(ours[...], weight) for ours, weight in found) < 1e-5, name
