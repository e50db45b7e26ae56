"""A whole loss step of SimSiam, Barlow Twins, VICReg, BYOL and LeJEPA, heads and loss, against lightly and the authors.

The backbone hands on what it is given, so that heads, passes and losses are compared: value, gradient of the features
and of every weight, and what the passes leave in the running means.
"""

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax.losses import random_directions
from ssl_jax.methods import METHODS

torch = pytest.importorskip("torch")
F = torch.nn.functional

from comparison import assign, pairs, parts  # noqa: E402
from peers import largest_error, random  # noqa: E402

N, WIDTH, HIDDEN, OUT = 24, 10, 14, 6
KEY = jax.random.key(0)


class Same(nnx.Module):
    """A backbone that returns what it is given."""

    features = WIDTH

    def __call__(self, images, *, train=False, key=None):
        return images


def head(*widths, last_norm=False, bias=False, last_bias=False):
    """As the official codes build theirs: `bias` of the hidden layers, batch normalisation, ReLU."""
    layers, (first, last) = [], widths[-2:]
    for inputs, outputs in zip(widths[:-2], widths[1:-1]):
        layers += [torch.nn.Linear(inputs, outputs, bias=bias), torch.nn.BatchNorm1d(outputs), torch.nn.ReLU()]
    layers.append(torch.nn.Linear(first, last, bias=last_bias))
    layers += [torch.nn.BatchNorm1d(last, affine=False)] if last_norm else []
    return moved(torch.nn.Sequential(*layers))


def moved(module):
    """Weights away from zeros and ones."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return module


def method_of(name, **settings):
    return METHODS[name](Same(), None, rngs=nnx.Rngs(0), projector_hidden=HIDDEN, projector_out=OUT, **settings)


def compare(method, torch_heads, theirs, views, still=()):
    """The step of `method` on features [N, V, WIDTH] against `theirs`, a scalar of torch.

    `still` are heads whose last bias the next head's normalisation takes away again: its gradient is rounding alone.
    """
    theirs.backward()
    graphdef, params, rest = nnx.split(method, nnx.Param, ...)

    def loss(params, x):
        merged = nnx.merge(graphdef, params, rest, copy=True)
        views = {"image": x[:, :2]} | ({"local": x[:, 2:]} if x.shape[1] > 2 else {})
        value = merged.loss(views, KEY)[0]
        return value, nnx.split(merged, nnx.Param, ...)[2]

    (value, changed), (gradients, features) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(
        params, views.detach().numpy()
    )
    errors = [largest_error(value, theirs), largest_error(features, views.grad)]
    after, slopes = nnx.merge(graphdef, params, changed, copy=True), nnx.merge(graphdef, gradients, rest, copy=True)
    for name, torch_head in torch_heads.items():
        slope = getattr(slopes, name)
        found = list(pairs(slope, torch_head, lambda weight: weight.grad))
        assert len(found) == len(jax.tree.leaves(nnx.state(slope, nnx.Param))), "every weight"
        if name in still:
            last = slope.linears[-1]
            bias = found.pop(next(index for index, pair in enumerate(found) if pair[0] is last.bias))
            largest = max(np.abs(bias[0][...]).max(), bias[1].abs().max())
            assert largest < N * 2**-23 * np.abs(last.kernel[...]).max(), "a sum over rows that cancel; 1.3e-7 seen"
        errors += [largest_error(ours[...], theirs) for ours, theirs in found]
        norms = [norm for norm in getattr(after, name).norms if norm is not None]
        for ours, theirs in zip(norms, parts(torch_head)[1], strict=True):
            np.testing.assert_allclose(ours.mean[...], theirs.running_mean, rtol=1e-5, atol=1e-6)
    assert max(errors) < 2e-5, errors


def test_simsiam_is_the_authors():
    method = method_of("simsiam", predictor_hidden=5)
    projector, predictor = head(WIDTH, HIDDEN, HIDDEN, OUT, last_norm=True), head(OUT, 5, OUT, last_bias=True)
    assign(pairs(method.projector, projector))
    assign(pairs(method.predictor, predictor))
    x = random(N, 2, WIDTH, seed=0)
    z1, z2 = projector(x[:, 0]), projector(x[:, 1])
    p1, p2 = predictor(z1), predictor(z2)
    cosine = lambda p, z: F.cosine_similarity(p, z.detach(), dim=1).mean()
    theirs = -(cosine(p1, z2) + cosine(p2, z1)) / 2
    compare(method, {"projector": projector, "predictor": predictor}, theirs, x)


def test_barlow_twins_is_the_authors():
    method = method_of("barlow_twins")
    projector = head(WIDTH, HIDDEN, HIDDEN, OUT)
    assign(pairs(method.projector, projector))
    x = random(N, 2, WIDTH, seed=0)
    z1, z2 = (F.batch_norm(projector(x[:, i]), None, None, training=True) for i in range(2))
    correlation = z1.T @ z2 / N
    errors = (correlation - torch.eye(OUT)).square()
    theirs = errors.diag().sum() + 0.0051 * (errors.sum() - errors.diag().sum())
    compare(method, {"projector": projector}, theirs, x)


def test_vicreg_is_the_authors():
    """Their hidden layers have biases: those move nothing but the running means, so they are 0 here."""
    method = method_of("vicreg")
    projector = head(WIDTH, HIDDEN, HIDDEN, OUT, bias=True)
    for linear in parts(projector)[0][:-1]:
        torch.nn.init.zeros_(linear.bias)
    assign(pairs(method.projector, projector))
    x = random(N, 2, WIDTH, seed=0)
    z = [projector(x[:, i]) for i in range(2)]
    spread = sum(F.relu(1 - (v.var(dim=0) + 1e-4).sqrt()).mean() / 2 for v in z)
    moments = [torch.cov(v.T) for v in z]
    redundancy = sum((c.square().sum() - c.diag().square().sum()) / OUT for c in moments)
    compare(method, {"projector": projector}, 25 * F.mse_loss(*z) + 25 * spread + redundancy, x)
    hidden_bias = parts(projector)[0][0].bias.grad
    assert hidden_bias.abs().max() < 1e-4 * parts(projector)[0][0].weight.grad.abs().max(), "a bias that does nothing"


@pytest.mark.parametrize("head_layers", ["haiku", "torch"])
def test_byol_is_lightlys(head_layers):
    """lightly's loss is a cosine; its last layers have biases, the authors' do not: with their layers they are 0."""
    heads = pytest.importorskip("lightly.models.modules.heads")
    cosine = pytest.importorskip("lightly.loss").NegativeCosineSimilarity()
    method = method_of("byol", steps=10, head_layers=head_layers)
    projector = moved(heads.BYOLProjectionHead(WIDTH, HIDDEN, OUT))
    predictor, target = (moved(heads.BYOLPredictionHead(i, HIDDEN, OUT)) for i in (OUT, WIDTH))
    with torch.no_grad():
        for weight in target.parameters():
            weight *= 1.3
    for torch_head in (projector, predictor, target) if head_layers == "haiku" else ():
        torch.nn.init.zeros_(parts(torch_head)[0][-1].bias)
    assign(pairs(method.projector, projector))
    assign(pairs(method.predictor, predictor))
    assign(pairs(method.target_projector, target))
    x = random(N, 2, WIDTH, seed=0)
    p1, p2 = (predictor(projector(x[:, i])) for i in range(2))
    with torch.no_grad():
        t1, t2 = (target(x[:, i]) for i in range(2))
    theirs = 4 + 2 * (cosine(p1, t2) + cosine(p2, t1))
    still = ("projector",) if head_layers == "torch" else ()
    compare(method, {"projector": projector, "predictor": predictor}, theirs, x, still)


@pytest.mark.parametrize("step", [0, 3, 10])
def test_byol_follows_as_the_authors(step):
    """The official schedule, 1 - (1 - base) * (1 + cos(pi step / steps)) / 2, and lightly's update."""
    utils = pytest.importorskip("lightly.models.utils")
    heads = pytest.importorskip("lightly.models.modules.heads")
    method = method_of("byol", momentum=0.9, steps=10)
    online, target = moved(heads.BYOLProjectionHead(WIDTH, HIDDEN, OUT)), heads.BYOLProjectionHead(WIDTH, HIDDEN, OUT)
    assign(pairs(method.projector, online))
    assign(pairs(method.target_projector, target))
    method.follow(step)
    utils.update_momentum(online, target, m=1 - 0.1 * (1 + np.cos(np.pi * step / 10)) / 2)
    for ours, theirs in pairs(method.target_projector, target):
        assert largest_error(ours[...], theirs) < 1e-6


def test_lejepa_is_lightlys(monkeypatch):
    heads = pytest.importorskip("lightly.models.modules.heads")
    lejepa_loss = pytest.importorskip("lightly.loss.lejepa_loss")
    method = method_of("lejepa", directions=7)
    projector = moved(heads.LeJEPAProjectionHead(WIDTH, HIDDEN, OUT))
    assign(pairs(method.projector, projector))
    directions = torch.tensor(np.array(random_directions(jax.random.split(KEY, 3)[0], OUT, 7)))
    loss = lejepa_loss.LeJEPALoss(0.05)
    monkeypatch.setattr(loss.sigreg, "_generate_unit_vectors", lambda *_: directions)
    x = random(N, 5, WIDTH, seed=0)
    z = projector(x.reshape(-1, WIDTH)).reshape(N, 5, OUT).transpose(0, 1)
    compare(method, {"projector": projector}, loss(local_proj=z[2:], global_proj=z[:2]), x)
