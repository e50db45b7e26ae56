"""Losses of target networks against those of other projects."""

import math

import numpy as np
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from peers import check_loss, largest_error, random, solo  # noqa: E402

SHAPES = pytest.mark.parametrize("n, d", [(1, 5), (8, 16), (33, 128)])


def some(*shape, seed):
    """A mask that hides about a third, nothing at all in the last example, and something in the first."""
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.35
    mask[0, 0], mask[-1] = True, False
    return mask


# Regression


@SHAPES
@pytest.mark.parametrize("simplified", [True, False])
def test_byol_is_solo_learns(n, d, simplified, record_property):
    byol = solo("losses.byol")
    p, z = random(n, d, seed=0), random(n, d, seed=1).detach()
    check_loss(
        record_property, loss="byol", peer="solo-learn byol_loss_func", ours=lambda p: losses.byol(p, z.numpy()),
        theirs=byol.byol_loss_func(p, z, simplified=simplified), inputs=(p,),
    )  # fmt: skip


@SHAPES
def test_byol_in_both_directions_is_deepminds(n, d, record_property):
    def regression(x, y):
        x, y = (v / v.square().sum(-1, keepdim=True).clamp(min=1e-12).sqrt() for v in (x, y.detach()))
        return (x - y).square().sum(-1)

    p1, p2 = random(n, d, seed=0), random(n, d, seed=1)
    z1, z2 = random(n, d, seed=2).detach(), random(n, d, seed=3).detach()
    check_loss(
        record_property, loss="byol", peer="formula of google-deepmind/deepmind-research",
        ours=lambda p1, p2: losses.byol(p1, z2.numpy()) + losses.byol(p2, z1.numpy()),
        theirs=(regression(p1, z2) + regression(p2, z1)).mean(), inputs=(p1, p2),
    )  # fmt: skip


@SHAPES
def test_simsiam_is_lightlys(n, d, record_property):
    module = pytest.importorskip("lightly.loss.negative_cosine_similarity")
    p, z = random(n, d, seed=0), random(n, d, seed=1).detach()
    check_loss(
        record_property, loss="simsiam", peer="lightly NegativeCosineSimilarity",
        ours=lambda p: losses.simsiam(p, z.numpy()), theirs=module.NegativeCosineSimilarity()(p, z), inputs=(p,),
    )  # fmt: skip


@SHAPES
@pytest.mark.parametrize("simplified", [True, False])
def test_simsiam_in_both_directions_is_solo_learns(n, d, simplified, record_property):
    simsiam = solo("losses.simsiam").simsiam_loss_func
    p1, p2, z1, z2 = (random(n, d, seed=i) for i in range(4))
    theirs = 0.5 * (simsiam(p1, z2, simplified=simplified) + simsiam(p2, z1, simplified=simplified))
    check_loss(
        record_property, loss="simsiam", peer="solo-learn simsiam_loss_func",
        ours=lambda p1, p2: 0.5 * (losses.simsiam(p1, z2.detach().numpy()) + losses.simsiam(p2, z1.detach().numpy())),
        theirs=theirs, inputs=(p1, p2),
    )  # fmt: skip


def data2vec_targets(layers, top, over, again):
    """The targets in the authors' code for images and speech."""
    width = layers[0].shape[-1]
    if over == "layer":
        layers = [F.layer_norm(layer, (width,)) for layer in layers[-top:]]
    else:
        layers = [F.instance_norm(layer.transpose(1, 2)).transpose(1, 2) for layer in layers[-top:]]
    average = torch.stack(layers).mean(0)
    return F.layer_norm(average, (width,)) if again else average


LAYERS = pytest.mark.parametrize(
    "top, over, again", [(1, "layer", False), (3, "layer", True), (2, "instance", False), (4, "instance", True)]
)


@LAYERS
def test_average_layers_is_data2vecs(top, over, again, record_property):
    layers = [random(3, 7, 16, seed=i) for i in range(4)]
    weights = random(3, 7, 16, seed=9).detach()
    ours = lambda *used: losses.average_layers(
        [layers[0].detach().numpy()] * (4 - top) + list(used), top=top, normalize=over, normalize_average=again
    )
    check_loss(
        record_property, loss="average_layers", peer="formula of facebookresearch/data2vec_vision and fairseq",
        ours=lambda *used: (ours(*used) * weights.numpy()).sum(),
        theirs=(data2vec_targets(layers, top, over, again) * weights).sum(), inputs=layers[-top:],
    )  # fmt: skip


@LAYERS
@pytest.mark.parametrize("beta", [0.12, 2.0])
def test_data2vec_is_the_authors_for_images(top, over, again, beta, record_property):
    x, mask = random(5, 7, 16, seed=10), some(5, 7, seed=0)
    layers = [random(5, 7, 16, seed=i).detach() for i in range(4)]
    arrays = [layer.numpy() for layer in layers]
    average = lambda: losses.average_layers(arrays, top=top, normalize=over, normalize_average=again)
    check_loss(
        record_property, loss="data2vec", peer="formula of facebookresearch/data2vec_vision",
        ours=lambda x: losses.data2vec(x, average(), mask.numpy(), beta=beta),
        theirs=F.smooth_l1_loss(x[mask], data2vec_targets(layers, top, over, again)[mask], beta=beta), inputs=(x,),
    )  # fmt: skip


@pytest.mark.parametrize("beta", [0, 4.0])
@pytest.mark.parametrize("n, t, d", [(1, 3, 8), (6, 20, 32)])
def test_data2vec_times_the_root_of_the_width_is_fairseqs(n, t, d, beta, record_property):
    x, mask = random(n, t, d, seed=10), some(n + 1, t, seed=0)[:n]
    layers = [random(n, t, d, seed=i).detach() for i in range(3)]
    arrays = [layer.numpy() for layer in layers]
    y = data2vec_targets(layers, 3, "instance", False)[mask]
    distance = (x[mask] - y).square() if beta == 0 else F.smooth_l1_loss(x[mask], y, reduction="none", beta=beta)
    ours = lambda x: losses.data2vec(x, losses.average_layers(arrays, normalize="instance"), mask.numpy(), beta=beta)
    check_loss(
        record_property, loss="data2vec", peer="formula of facebookresearch/fairseq",
        ours=lambda x: d**0.5 * ours(x),
        theirs=distance.sum(-1).sum() / math.sqrt(d) / int(mask.sum()), inputs=(x,),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d", [(1, 1, 8), (8, 12, 32), (3, 50, 7)])
def test_i_jepa_is_the_authors(n, t, d, record_property):
    z, h = random(n, t, d, seed=0), (5 * random(n, t, d, seed=1) + 3).detach()
    check_loss(
        record_property, loss="i_jepa", peer="formula of facebookresearch/ijepa",
        ours=lambda z: losses.i_jepa(z, h.numpy()),
        theirs=F.smooth_l1_loss(z, F.layer_norm(h, (d,))), inputs=(z,),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d", [(4, 12, 32), (3, 50, 7)])
def test_i_jepa_with_a_mask_is_the_authors_with_chosen_patches(n, t, d, record_property):
    z, h, mask = random(n, t, d, seed=0), random(n, t, d, seed=1).detach(), some(n, t, seed=2)
    check_loss(
        record_property, loss="i_jepa", peer="formula of facebookresearch/ijepa",
        ours=lambda z: losses.i_jepa(z, h.numpy(), mask.numpy()),
        theirs=F.smooth_l1_loss(z[mask], F.layer_norm(h, (d,))[mask]), inputs=(z,),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d", [(1, 1, 8), (8, 12, 32), (3, 50, 7)])
def test_v_jepa_is_the_authors(n, t, d, record_property):
    z, h, mask = random(n, t, d, seed=0), (5 * random(n, t, d, seed=1) + 3).detach(), torch.ones(n, t, dtype=bool)
    mask = some(n, t, seed=2) if n > 1 else mask
    check_loss(
        record_property, loss="v_jepa", peer="formula of facebookresearch/jepa",
        ours=lambda z: losses.v_jepa(z, h.numpy(), mask.numpy()),
        theirs=(z[mask] - F.layer_norm(h, (d,))[mask]).abs().mean(), inputs=(z,),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d", [(4, 12, 32), (3, 50, 7)])
def test_i_jepa_of_squared_errors_is_torchs(n, t, d, record_property):
    z, h, mask = random(n, t, d, seed=0), random(n, t, d, seed=1).detach(), some(n, t, seed=2)
    check_loss(
        record_property, loss="i_jepa", peer="torch mse_loss", theirs=F.mse_loss(z[mask], h[mask]), inputs=(z,),
        ours=lambda z: losses.i_jepa(z, h.numpy(), mask.numpy(), normalize_targets=False, beta=0),
    )  # fmt: skip


# Distillation


def balanced(scores, iterations=3):
    """Sinkhorn-Knopp as in SwAV and after it: [rows, K] of positive numbers to assignments, in float64."""
    q = scores.double().T / scores.double().sum()
    for _ in range(iterations):
        q = q / q.sum(1, keepdim=True) / q.shape[0]
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


CROPS = pytest.mark.parametrize("n, views, teachers, k", [(1, 2, 2, 8), (6, 2, 2, 64), (5, 8, 2, 33), (4, 3, 1, 10)])


@CROPS
@pytest.mark.parametrize("temperature", [0.04, 0.07])
def test_dino_is_lightlys(n, views, teachers, k, temperature, record_property):
    module = pytest.importorskip("lightly.loss.dino_loss")
    student, teacher = random(n, views, k, seed=0), random(n, teachers, k, seed=1).detach()
    criterion = module.DINOLoss(output_dim=k, student_temp=0.2)
    center = random(1, 1, k, seed=2).detach()
    criterion.center = center.clone()  # is moved in place
    theirs = criterion(list(teacher.unbind(1)), list(student.unbind(1)), teacher_temp=temperature)
    settings = dict(student_temperature=0.2, teacher_temperature=temperature)
    check_loss(
        record_property, loss="dino", peer="lightly DINOLoss",
        ours=lambda student: losses.dino(student, teacher.numpy(), center.flatten().numpy(), **settings),
        theirs=theirs, inputs=(student,),
    )  # fmt: skip
    moved = losses.update_center(center.flatten().numpy(), teacher.numpy())
    assert largest_error(moved, criterion.center.flatten()) < 1e-5


@pytest.mark.parametrize("n, k", [(1, 8), (12, 50)])
def test_dino_is_solo_learns(n, k, record_property):
    module = solo("losses.dino")
    student, teacher = random(n, 2, k, seed=0), random(n, 2, k, seed=1).detach()
    criterion = module.DINOLoss(k, 0.05, 0.05, 1, 2)
    center = criterion.center = random(1, k, seed=2).detach()
    by_view = lambda x: x.transpose(0, 1).flatten(0, 1)
    theirs = criterion(by_view(student), by_view(teacher))
    check_loss(
        record_property, loss="dino", peer="solo-learn DINOLoss",
        ours=lambda student: losses.dino(student, teacher.numpy(), center[0].numpy(), teacher_temperature=0.05),
        theirs=theirs, inputs=(student,),
    )  # fmt: skip
    moved = losses.update_center(center[0].numpy(), teacher.numpy())
    assert largest_error(moved, criterion.center[0]) < 1e-5


@CROPS
def test_dino_is_the_authors(n, views, teachers, k, record_property):
    student, teacher = random(n, views, k, seed=0), random(n, teachers, k, seed=1).detach()
    center = random(k, seed=2).detach()
    q, log_p = F.softmax((teacher - center) / 0.04, -1), F.log_softmax(student / 0.1, -1)
    pairs = [(g, v) for g in range(teachers) for v in range(views) if g != v]
    theirs = sum(-(q[:, g] * log_p[:, v]).sum(-1).mean() for g, v in pairs) / len(pairs)
    check_loss(
        record_property, loss="dino", peer="formula of facebookresearch/dino",
        ours=lambda student: losses.dino(student, teacher.numpy(), center.numpy()), theirs=theirs, inputs=(student,),
    )  # fmt: skip


@pytest.mark.parametrize("n, local, k", [(3, 1, 8), (6, 8, 64), (20, 2, 7)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_dino_with_sinkhorn_is_dinov2s(n, local, k, reduction, record_property):
    """Global crops are compared in one call, in which each meets the teacher's other crop; then local ones."""
    student, teacher = random(n, 2 + local, k, seed=0), (0.2 * random(n, 2, k, seed=1)).detach()
    q = balanced(torch.exp(teacher.transpose(0, 1).flatten(0, 1).double() / 0.07)).unflatten(0, (2, n))
    log_p = F.log_softmax(student.double() / 0.1, -1)
    in_turn = torch.cat([q[1], q[0]]), torch.cat([log_p[:, 0], log_p[:, 1]])
    total = -2 * (in_turn[0] * in_turn[1]).sum(-1).mean()
    for v in range(2, 2 + local):
        for g in range(2):
            total = total - (q[g] * log_p[:, v]).sum(-1).mean()
    check_loss(
        record_property, loss="dino", peer="formula of facebookresearch/dinov2",
        ours=lambda student: losses.dino(
            student, teacher.numpy(), teacher_temperature=0.07, centering="sinkhorn", reduction=reduction
        ),
        theirs=total / (2 + 2 * local) if reduction == "mean" else total, inputs=(student,),
    )  # fmt: skip


@pytest.mark.parametrize("n, k, kt", [(1, 12, 0.04), (9, 40, 0.04), (32, 128, 0.07)])
def test_ressl_is_solo_learns(n, k, kt, record_property):
    ressl = solo("losses.ressl")
    q, keys, queue = random(n, 16, seed=0), random(n, 16, seed=1).detach(), random(k, 16, seed=2).detach()
    check_loss(
        record_property, loss="ressl", peer="solo-learn ressl_loss_func",
        ours=lambda q: losses.ressl(q, keys.numpy(), queue.numpy(), query_temperature=0.2, key_temperature=kt),
        theirs=ressl.ressl_loss_func(*(F.normalize(x, dim=1) for x in (q, keys, queue)), 0.2, kt), inputs=(q,),
    )  # fmt: skip


# Patches

TOKENS = pytest.mark.parametrize("n, side, k", [(2, 2, 8), (5, 4, 64), (8, 3, 11)])


@TOKENS
@pytest.mark.parametrize("temperature", [0.04, 0.07])
def test_ibot_is_lightlys(n, side, k, temperature, record_property):
    module = pytest.importorskip("lightly.loss.ibot_loss")
    t = side * side
    student, teacher, mask = random(n, t, k, seed=0), random(n, t, k, seed=1).detach(), some(n, t, seed=2)
    criterion = module.IBOTPatchLoss(k, teacher_temp=temperature, student_temp=0.2)
    center = criterion.center.center = random(1, k, seed=3).detach()
    theirs = criterion(teacher[mask], student[mask], mask.unflatten(1, (side, side)))
    settings = dict(student_temperature=0.2, teacher_temperature=temperature)
    check_loss(
        record_property, loss="ibot", peer="lightly IBOTPatchLoss",
        ours=lambda student: losses.ibot(student, teacher.numpy(), mask.numpy(), center[0].numpy(), **settings),
        theirs=theirs, inputs=(student,),
    )  # fmt: skip
    moved = losses.update_center(center[0].numpy(), teacher.numpy(), weights=mask.numpy())
    assert largest_error(moved, criterion.center.value[0]) < 1e-5


@TOKENS
def test_ibot_is_the_authors(n, side, k, record_property):
    t = side * side
    student, teacher, mask = random(n, t, k, seed=0), random(n, t, k, seed=1).detach(), some(n, t, seed=2)
    center = random(k, seed=3).detach()
    each = -(F.softmax((teacher - center) / 0.07, -1) * F.log_softmax(student / 0.1, -1)).sum(-1)
    theirs = ((each * mask).sum(1) / mask.sum(1).clamp(min=1)).mean()
    check_loss(
        record_property, loss="ibot", peer="formula of bytedance/ibot", theirs=theirs, inputs=(student,),
        ours=lambda s: losses.ibot(s, teacher.numpy(), mask.numpy(), center.numpy(), teacher_temperature=0.07),
    )  # fmt: skip
    moved = losses.update_center(center.numpy(), teacher.numpy())  # which the authors take over all patches
    assert largest_error(moved, 0.9 * center + 0.1 * teacher.mean(1).mean(0)) < 1e-5


@TOKENS
def test_ibot_with_sinkhorn_is_dinov2s(n, side, k, record_property):
    t = side * side
    student, teacher = random(n, t, k, seed=0), (0.2 * random(n, t, k, seed=1)).detach()
    mask = some(n, t, seed=2)
    q = balanced(torch.exp(teacher[mask].double() / 0.05))
    weights = (1 / mask.sum(1, keepdim=True).clamp(min=1)).expand(n, t)[mask]
    theirs = -((q * F.log_softmax(student[mask].double() / 0.1, -1)).sum(-1) * weights).sum() / n
    check_loss(
        record_property, loss="ibot", peer="formula of facebookresearch/dinov2", theirs=theirs, inputs=(student,),
        ours=lambda s: losses.ibot(s, teacher.numpy(), mask.numpy(), teacher_temperature=0.05, centering="sinkhorn"),
    )  # fmt: skip


@TOKENS
def test_ibot_over_patches_is_torchs_cross_entropy(n, side, k, record_property):
    t = side * side
    student, teacher, mask = random(n, t, k, seed=0), random(n, t, k, seed=1).detach(), some(n, t, seed=2)
    theirs = F.cross_entropy(student[mask] / 0.1, F.softmax(teacher[mask] / 0.04, -1))
    check_loss(
        record_property, loss="ibot", peer="torch cross_entropy", theirs=theirs, inputs=(student,),
        ours=lambda s: losses.ibot(s, teacher.numpy(), mask.numpy(), np.zeros(k), reduction="patch"),
    )  # fmt: skip


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize("negatives", ["keep", "drop", "drop_teacher"])
@pytest.mark.parametrize("n, t, d", [(1, 4, 8), (3, 9, 32)])
def test_gram_anchoring_is_dinov3s(n, t, d, negatives, per_image, normalize, record_property):
    student, teacher = random(n, t, d, seed=0), random(n, t, d, seed=1).detach()

    def similarities(x):
        x = x / x.norm(dim=-1, keepdim=True) if normalize else x
        x = x if per_image else x.reshape(-1, d)
        return x @ x.mT

    ours, theirs = similarities(student), similarities(teacher)
    ours = ours.clamp(min=0) if negatives == "drop" else ours
    theirs = theirs if negatives == "keep" else theirs.clamp(min=0)
    settings = dict(per_image=per_image, normalize=normalize, negatives=negatives)
    check_loss(
        record_property, loss="gram_anchoring", peer="formula of facebookresearch/dinov3",
        ours=lambda student: losses.gram_anchoring(student, teacher.numpy(), **settings),
        theirs=F.mse_loss(ours, theirs), inputs=(student,),
    )  # fmt: skip


# Masked Siamese networks

ANCHORS = pytest.mark.parametrize("n, views, d, k", [(1, 1, 8, 5), (8, 2, 16, 20), (24, 5, 32, 64)])
SINKHORN = pytest.mark.parametrize("iterations", [0, 3])


def inputs(n, views, d, k):
    return random(n, views, d, seed=0), random(n, d, seed=1).detach(), random(k, d, seed=2)


def by_view(anchors):
    return anchors.transpose(0, 1).flatten(0, 1)


@ANCHORS
@SINKHORN
def test_msn_is_lightlys(n, views, d, k, iterations, record_property):
    module = pytest.importorskip("lightly.loss.msn_loss")
    anchors, targets, prototypes = inputs(n, views, d, k)
    criterion = module.MSNLoss(temperature=0.2, sinkhorn_iterations=iterations, regularization_weight=0.7)
    settings = dict(temperature=0.2, sinkhorn_iterations=iterations, me_max_weight=0.7, target_sharpening=0.5)
    check_loss(
        record_property, loss="msn", peer="lightly MSNLoss",
        ours=lambda anchors, prototypes: losses.msn(anchors, targets.numpy(), prototypes, **settings),
        theirs=criterion(by_view(anchors), targets, prototypes, target_sharpen_temperature=0.5),
        inputs=(anchors, prototypes),
    )  # fmt: skip


def msn_terms(anchors, targets, prototypes, iterations):
    """Cross entropy and mean prediction in the authors' code, in float64."""
    unit = lambda x: F.normalize(x.double(), dim=-1)
    p = (by_view(unit(anchors)) @ unit(prototypes).T / 0.1).softmax(-1)
    with torch.no_grad():
        q = (unit(targets) @ unit(prototypes).T / 0.1).softmax(-1) ** 4
        q = q / q.sum(-1, keepdim=True)
        q = balanced(q) if iterations else q
        q = q.repeat(anchors.shape[1], 1)
    return -(q * p.log()).sum(-1).mean(), p.mean(0)


@ANCHORS
@SINKHORN
def test_msn_is_the_authors(n, views, d, k, iterations, record_property):
    anchors, targets, prototypes = inputs(n, views, d, k)
    cost, average = msn_terms(anchors, targets, prototypes, iterations)
    check_loss(
        record_property, loss="msn", peer="formula of facebookresearch/msn",
        ours=lambda a, p: losses.msn(a, targets.numpy(), p, sinkhorn_iterations=iterations),
        theirs=cost + (average * average.log()).sum() + math.log(k), inputs=(anchors, prototypes),
    )  # fmt: skip


@ANCHORS
@SINKHORN
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_pmsn_with_the_prior_first_is_lightlys(n, views, d, k, iterations, record_property):
    module = pytest.importorskip("lightly.loss.pmsn_loss")
    anchors, targets, prototypes = inputs(n, views, d, k)
    criterion = module.PMSNLoss(sinkhorn_iterations=iterations, regularization_weight=0.7, power_law_exponent=0.5)
    settings = dict(sinkhorn_iterations=iterations, prior_weight=0.7, power_law_exponent=0.5, prior_first=True)
    check_loss(
        record_property, loss="pmsn", peer="lightly PMSNLoss",
        ours=lambda anchors, prototypes: losses.pmsn(anchors, targets.numpy(), prototypes, **settings),
        theirs=criterion(by_view(anchors), targets, prototypes), inputs=(anchors, prototypes),
    )  # fmt: skip


@ANCHORS
def test_pmsn_with_a_prior_of_ones_own_is_lightlys(n, views, d, k, record_property):
    module = pytest.importorskip("lightly.loss.pmsn_loss")
    anchors, targets, prototypes = inputs(n, views, d, k)
    prior = torch.rand(k, generator=torch.Generator().manual_seed(3)) + 0.1
    criterion = module.PMSNCustomLoss(lambda _: prior / prior.sum())
    check_loss(
        record_property, loss="pmsn", peer="lightly PMSNCustomLoss",
        ours=lambda a, p: losses.pmsn(a, targets.numpy(), p, prior=prior.numpy(), prior_first=True),
        theirs=criterion(by_view(anchors), targets, prototypes), inputs=(anchors, prototypes),
    )  # fmt: skip


@ANCHORS
@pytest.mark.parametrize("exponent", [0, 0.25, 1.5])
def test_pmsn_is_stable_pretrainings(n, views, d, k, exponent, record_property):
    anchors, targets, prototypes = inputs(n, views, d, k)
    cost, average = msn_terms(anchors, targets, prototypes, iterations=0)
    prior = torch.arange(1, k + 1).double() ** -exponent
    divergence = (average * (average / (prior / prior.sum())).log()).sum()
    check_loss(
        record_property, loss="pmsn", peer="formula of rbalestr-lab/stable-pretraining",
        ours=lambda a, p: losses.pmsn(a, targets.numpy(), p, sinkhorn_iterations=0, power_law_exponent=exponent),
        theirs=cost + divergence, inputs=(anchors, prototypes),
    )  # fmt: skip
