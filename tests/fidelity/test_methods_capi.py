"""CAPI against the authors' network and step, restated in PyTorch, and its heads against lightly's.

lightly's predictor is another network: layer normalisations, also of the context in each block, and biases. Its
rotation is another one too: it pairs neighbouring features, each pair turned by one angle.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.methods import CAPI
from ssl_jax.models import RotaryViT, heads
from ssl_jax.models.paths import path_name

torch = pytest.importorskip("torch")
pytest.importorskip("lightly")

from comparison import descent, randomize, relative_error  # noqa: E402
from lightly.loss.capi_loss import CAPILoss  # noqa: E402
from lightly.models.modules.heads import CAPIProjectionHead  # noqa: E402
from peers import largest_error  # noqa: E402

ROWS, SIDE, PATCH, WIDTH, HEADS, REGISTERS, CLUSTERS = 6, 20, 4, 24, 2, 8, 10
GRID, RATE, STEPS, RUN = SIDE // PATCH, 0.05, 3, 12
normalize = torch.nn.functional.normalize


class View:
    """Of pictures."""

    shape = (SIDE, SIDE, 3)


def built():
    """The method with random weights, normalisations and biases too, and a teacher that is not its student."""
    sizes = dict(width=WIDTH, depth=2, heads=HEADS, mlp_dim=4 * WIDTH, patch_size=PATCH, image_size=SIDE)
    backbone = RotaryViT(**sizes, registers=REGISTERS, rngs=nnx.Rngs(0))
    settings = dict(clusters=CLUSTERS, mask_ratio=0.6, predicted_share=0.4, predictor_depth=2)
    settings |= dict(momentum=0.9, momentum_warmup_steps=1, momentum_stretch=1.25)
    method = CAPI(backbone, View, **settings, steps=RUN, rngs=nnx.Rngs(1))
    rng = np.random.default_rng(0)
    noise = lambda w: jnp.asarray(0.3 * rng.normal(size=w.shape).astype(np.float32))
    nnx.update(method, jax.tree.map(lambda w: w + noise(w), nnx.state(method, nnx.Variable)))
    return method


def weights_of(module):
    """By path, as leaf tensors."""
    flat = jax.tree_util.tree_leaves_with_path(nnx.state(module, nnx.Variable))
    return {path_name(path): torch.tensor(np.array(leaf)).requires_grad_() for path, leaf in flat}


def part(weights, name):
    return {path.removeprefix(f"{name}."): w for path, w in weights.items() if path.startswith(f"{name}.")}


def views_of(step):
    rng = np.random.default_rng(step)
    order = np.stack([rng.permutation(GRID**2) for _ in range(ROWS)]).astype(np.int32)
    images = rng.normal(size=(ROWS, SIDE, SIDE, 3)).astype(np.float32)
    return {"image": images, "visible": np.sort(order[:, :10], axis=1), "predicted": order[:, 10:16]}


def rms(x, scale=None):
    x = x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)
    return x if scale is None else x * scale


def rope(x, places):
    """x [B, heads, N, F] and places [B, N, 2], feature by feature."""
    size = x.shape[-1]
    half, quarter, columns = size // 2, size // 4, [None] * size
    for i in range(half):
        frequency = 2 * np.pi * 7 * (7e-4 / 7) ** ((i % quarter) / (quarter - 1))
        row, column = (frequency * places[:, None, :, axis] for axis in (0, 1))
        columns[i] = x[..., i] * torch.cos(row) - x[..., half + i] * torch.sin(row)
        columns[half + i] = x[..., half + i] * torch.cos(column) + x[..., i] * torch.sin(column)
    return torch.stack(columns, dim=-1)


def transformer(w, x, places, context=None, context_places=None):
    for number in range(2):
        b = part(w, f"stack.blocks.{number}")
        inside = rms(x, b["norm1.scale"])
        other, there = (inside, places) if context is None else (context, context_places)
        split = lambda y: y.reshape(len(y), -1, HEADS, WIDTH // HEADS).transpose(1, 2)
        q = rope(split(inside @ b["attention.query.kernel"]), places)  # noqa: B023
        k = rope(split(other @ b["attention.key.kernel"]), there)
        v = split(other @ b["attention.value.kernel"])
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + mixed @ b["attention.out.kernel"]
        hidden = torch.nn.functional.gelu(rms(x, b["norm2.scale"]) @ b["mlp.hidden.kernel"])
        x = x + hidden @ b["mlp.out.kernel"]
    return rms(x)


def all_places():
    line = torch.linspace(0, 1, GRID)
    return torch.cartesian_prod(line, line)[None].expand(ROWS, -1, -1)


def encoder(w, images, visible=None):
    """States of registers and patches, and their places."""
    kernel = w["patch_embedding.kernel"].T.reshape(WIDTH, PATCH, PATCH, 3).permute(0, 3, 1, 2)
    pixels = torch.tensor(images.transpose(0, 3, 1, 2))
    x = torch.nn.functional.conv2d(pixels, kernel, w["patch_embedding.bias"], stride=PATCH).flatten(2).transpose(1, 2)
    places = all_places()
    if visible is not None:
        index = torch.tensor(visible, dtype=torch.int64)[:, :, None]
        x, places = (torch.gather(y, 1, index.expand(-1, -1, y.shape[2])) for y in (x, places))
    side, edge = REGISTERS // 4, []
    for corner, way in (((0, 0), (1, 0)), ((1, 0), (0, 1)), ((1, 1), (-1, 0)), ((0, 1), (0, -1))):
        edge += [[c + s * i / side for c, s in zip(corner, way)] for i in range(side)]
    low, high = places.min(1, keepdim=True).values, places.max(1, keepdim=True).values
    places = torch.cat([low + torch.tensor(edge)[None] * (high - low), places], dim=1)
    return transformer(w, torch.cat([w["registers"].expand(ROWS, -1, -1), x], dim=1), places), places


def sinkhorn(logits):
    """Of positions first: [P, N, K]."""
    m = torch.exp(logits + 50 - logits.max(dim=1, keepdim=True).values)
    for _ in range(3):
        m = m / (m.sum(dim=1, keepdim=True) + 1e-8)
        m = m / (m.sum(dim=2, keepdim=True) + 1e-8)
    return m


def official_step(w, views):
    """`do_teacher` and `do_student`: the sum of both losses."""
    with torch.no_grad():
        patches = encoder(part(w, "target_backbone"), views["image"])[0][:, REGISTERS:]
    logits = normalize(patches, dim=-1, eps=1e-7) @ w["clustering.kernel"] + w["clustering.bias"]
    assigned = sinkhorn(logits.detach().transpose(0, 1) / 0.06).transpose(0, 1)
    loss = lambda q, scores: -(q * torch.log_softmax(scores / 0.12, dim=-1)).sum(-1).mean()
    clustering_loss = loss(assigned, logits)
    context, context_places = encoder(part(w, "backbone"), views["image"], views["visible"])
    index = torch.tensor(views["predicted"], dtype=torch.int64)[:, :, None]
    take = lambda x: torch.gather(x, 1, index.expand(-1, -1, x.shape[2]))
    predictor = part(w, "predictor")
    asked = predictor["mask_token"].expand(ROWS, index.shape[1], -1)
    found = transformer(predictor, asked, take(all_places()), context, context_places)
    v, g = w["head.kernel"], w["head.gain"]
    scores = normalize(found, dim=-1) @ (v * (g / (v.norm(dim=0) + 1e-8)))
    return clustering_loss + loss(take(assigned), scores)


def momentum_of(step):
    """`WarmupThenCosine` of a run of 12 steps with one of warm-up; the cosine's 0.8 of 11 steps is a stretch here."""
    if step < 1:
        return 1.0
    length = 1.25 * RUN - 1
    return 1.0 + 0.5 * (0.9 - 1.0) * (1 + np.cos(np.pi * (step - 1) / length))


def test_capi_is_the_official_step():
    method = built()
    weights = weights_of(method)
    trained = [name for name in weights if not name.startswith("target_")]
    descend, errors = descent(method, RATE), {}
    for step in range(STEPS):
        views = views_of(step)
        theirs = official_step(weights, views)
        theirs.backward()
        loss, gradients = descend(jax.tree.map(jnp.asarray, views))
        errors["loss", step] = largest_error(loss, theirs)
        flat = jax.tree_util.tree_leaves_with_path(nnx.state(gradients, nnx.Param))
        found = {path_name(path): np.asarray(leaf) for path, leaf in flat}
        assert found.keys() == {*trained}
        scale = max(weights[name].grad.abs().max().item() for name in trained)
        for name in trained:
            gradient = weights[name].grad
            wrong = np.abs(found[name] - gradient.numpy()).max()
            errors[name, step] = wrong / max(gradient.abs().max().item(), 1e-3 * scale)
        method.follow(np.int32(step))
        momentum = momentum_of(step)
        with torch.no_grad():
            for name in trained:
                weights[name] -= RATE * weights[name].grad
                weights[name].grad = None
            for name, target in part(weights, "target_backbone").items():
                target.mul_(momentum).add_((1 - momentum) * weights[f"backbone.{name}"])
    worst = max(errors, key=errors.get)
    print(f"largest error {errors[worst]:.1e}, {worst}; of a loss {max(errors['loss', s] for s in range(STEPS)):.1e}")
    assert max(errors["loss", step] for step in range(STEPS)) < 1e-5
    assert errors[worst] < 1e-4, worst
    for name, target in part(weights_of(method), "target_backbone").items():
        assert relative_error(target.detach().numpy(), weights[f"target_backbone.{name}"]) < 1e-5, name


def test_heads_and_losses_are_lightlys():
    """Its weight-normed head keeps lengths of 1, as does ours at the start; official lengths are trained."""
    with pytest.warns(FutureWarning, match="weight_norm"):
        student = CAPIProjectionHead(WIDTH, CLUSTERS, weight_norm=True)
    clustering = randomize(CAPIProjectionHead(WIDTH, CLUSTERS, bias=True))
    ours = heads.WeightNormLinear(WIDTH, CLUSTERS, dtype="float32", rngs=nnx.Rngs(0))
    ours.kernel[...] = jnp.asarray(student.layer.weight_v.detach().numpy().T)
    own = heads.OnlineClustering(WIDTH, CLUSTERS, rngs=nnx.Rngs(0))
    own.kernel[...] = jnp.asarray(clustering.layer.weight.detach().numpy().T)
    own.bias[...] = jnp.asarray(clustering.layer.bias.detach().numpy())
    rng = np.random.default_rng(0)
    found, patches = (rng.normal(size=(ROWS, count, WIDTH)).astype(np.float32) for count in (3, 9))
    places = np.stack([rng.permutation(9)[:3] for _ in range(ROWS)])
    logits, scores = student(torch.tensor(found)), clustering(torch.tensor(patches))
    theirs = CAPILoss()(scores, logits, torch.tensor(places)) + CAPILoss()(scores, scores)
    theirs.backward()

    def loss(ours, own):
        assigned = losses.positionwise_sinkhorn(own(patches))
        wanted = jnp.take_along_axis(assigned, jnp.asarray(places)[:, :, None], axis=1)
        return losses.capi(ours(losses.rows.unit_length(found)), wanted) + losses.capi(own(patches), assigned)

    value, (of_student, of_clustering) = nnx.value_and_grad(loss, argnums=(0, 1))(ours, own)
    errors = {
        "loss": largest_error(value, theirs),
        "directions": relative_error(of_student["kernel"][...].T, student.layer.weight_v.grad),
        "clusters": relative_error(of_clustering["kernel"][...].T, clustering.layer.weight.grad),
        "biases": relative_error(of_clustering["bias"][...], clustering.layer.bias.grad),
    }
    print(errors)
    assert max(errors.values()) < 1e-5, errors
