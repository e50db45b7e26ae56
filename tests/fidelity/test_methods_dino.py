"""DINO's head, positions and whole steps against lightly and PyTorch: the same weights, the same features."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
lightly_heads = pytest.importorskip("lightly.models.modules.heads")

import types  # noqa: E402

import torch.nn.functional as F  # noqa: E402
from comparison import randomize, relative_error  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax.methods import DINO  # noqa: E402
from ssl_jax.models import heads, targets  # noqa: E402
from ssl_jax.models.positions import resize_positions  # noqa: E402

WIDTH, K = 12, 40
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")


@pytest.mark.parametrize("old, new", [(14, 6), (14, 7), (6, 14), (4, 2), (9, 5)])
def test_positions_are_resized_as_by_the_formula_of_dino(old, new, record_property):
    table = np.random.default_rng(0).normal(size=(old * old, 5)).astype(np.float32)
    grid = torch.tensor(table).reshape(1, old, old, 5).permute(0, 3, 1, 2)
    factor = (new + 0.1) / old
    theirs = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic").permute(0, 2, 3, 1).reshape(-1, 5)
    error = relative_error(resize_positions(table, (old, old), (new, new)), theirs)
    record_property("max_relative_error", error)
    assert error < 1e-5


def lightly_head(seed, **settings):
    head = lightly_heads.DINOProjectionHead(WIDTH, 24, 16, K, norm_last_layer=False, **settings)
    return randomize(head, seed)


def layers_of(head):
    """The linear layers and the last layer of one of lightly's heads."""
    linears = [m for m in head.layers if isinstance(m, torch.nn.Linear)]
    return linears, head.last_layer


def set_head(ours, theirs):
    """Gives our head the weights of lightly's."""
    linears, last = layers_of(theirs)
    numpy = lambda tensor: tensor.detach().numpy()
    for mine, linear in zip(ours.linears, linears, strict=True):
        mine.kernel[...] = numpy(linear.weight).T
        mine.bias[...] = numpy(linear.bias)
    ours.last_layer.kernel[...] = numpy(last.weight_v).T
    ours.last_layer.gain[...] = numpy(last.weight_g)[:, 0]


def gradients_of(head):
    linears, last = layers_of(head)
    pairs = [(linear.weight.grad.numpy().T, linear.bias.grad.numpy()) for linear in linears]
    return [array for pair in pairs for array in pair] + [
        last.weight_v.grad.numpy().T,
        last.weight_g.grad.numpy()[:, 0],
    ]


def flat(head_state):
    layers = head_state["linears"]
    pairs = [(layers[index]["kernel"][...], layers[index]["bias"][...]) for index in range(3)]
    last = head_state["last_layer"]
    return [array for pair in pairs for array in pair] + [last["kernel"][...], last["gain"][...]]


def test_head_is_lightlys(record_property):
    theirs = lightly_head(0)
    ours = heads.DINOHead(WIDTH, hidden=24, bottleneck=16, prototypes=K, learn_gains=True, rngs=nnx.Rngs(0))
    set_head(ours, theirs)
    x = np.random.default_rng(1).normal(size=(9, WIDTH)).astype(np.float32)
    (theirs(torch.tensor(x)) ** 3).sum().backward()
    graph, state = nnx.split(ours)
    gradient = jax.jit(jax.grad(lambda state: (nnx.merge(graph, state)(x) ** 3).sum()))(state)
    errors = [relative_error(a, b) for a, b in zip(flat(gradient), gradients_of(theirs), strict=True)]
    errors.append(relative_error(ours(x), theirs(torch.tensor(x))))
    record_property("max_relative_error", max(errors))
    assert max(errors) < 1e-5


class Given(nnx.Module):
    """An encoder whose features are the images."""

    features, dtype = WIDTH, "float32"

    def __call__(self, images, *, train=False, key=None):
        return images[:, 0, 0]


@pytest.mark.parametrize("epoch", [0, 2, 7])
def test_a_step_is_lightlys(epoch, record_property):
    """Loss, gradient, centre and the teacher's next weights, with a centre and a schedule in mid-course."""
    module = pytest.importorskip("lightly.loss.dino_loss")
    update = pytest.importorskip("lightly.models.utils").update_momentum
    student, teacher = lightly_head(0), lightly_head(1)
    rng = np.random.default_rng(2)
    large = rng.normal(size=(6, 2, 1, 1, WIDTH)).astype(np.float32)
    small = rng.normal(size=(6, 3, 1, 1, WIDTH)).astype(np.float32)
    center = (0.3 * rng.normal(size=K)).astype(np.float32)

    loss = module.DINOLoss(K, 0.04, 0.07, warmup_teacher_temp_epochs=5)
    loss.center.data = torch.tensor(center)[None, None]
    views = [*large[:, :, 0, 0].transpose(1, 0, 2), *small[:, :, 0, 0].transpose(1, 0, 2)]
    with torch.no_grad():
        targets_of = [teacher(torch.tensor(view)) for view in views[:2]]
    value = loss(targets_of, [student(torch.tensor(view)) for view in views], epoch=epoch)
    value.backward()

    method = DINO(
        Given(), types.SimpleNamespace(), prototypes=K, head_hidden=24, head_bottleneck=16, learn_gains=True,
        teacher_temperature=0.07, warmup_teacher_steps=4, momentum=0.9, steps=10, rngs=nnx.Rngs(0),
    )  # fmt: skip
    set_head(method.head, student)
    set_head(method.target_head, teacher)
    method.center[...], method.done[...] = center, np.int32(epoch)
    graph, params, rest = nnx.split(method, nnx.Param, ...)

    @jax.jit
    def step(params):
        method = nnx.merge(graph, params, rest, copy=True)
        loss, _ = method.loss({"image": large, "local": small}, jax.random.key(0))
        return loss, nnx.state(method, targets.Center)

    (found, centers), gradient = jax.value_and_grad(step, has_aux=True)(params)
    errors = [relative_error(a, b) for a, b in zip(flat(gradient["head"]), gradients_of(student), strict=True)]
    errors.append(relative_error(found, value))
    errors.append(relative_error(centers["center"][...], loss.center[0, 0]))
    method.follow(np.int32(0))
    update(student, teacher, 0.9)
    errors.append(relative_error(method.target_head(large[:, 0, 0, 0]), teacher(torch.tensor(large[:, 0, 0, 0]))))
    record_property("max_relative_error", max(errors))
    assert max(errors) < 2e-5
