"""Steps of iBOT, DINOv2 and MSN, a small ViT and heads, against stable-pretraining and parts of lightly.

The same weights, pictures and masks: losses, gradients of all weights, centres and momentum. Small views are as large
as the others, so that positions, which timm resizes in another way, need not be resized.
"""

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop
from ssl_jax.methods import IBOT, MSN, DINOv2
from ssl_jax.models import ViT, targets
from ssl_jax.models.hiding import hide_patches

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
pytest.importorskip("lightly")

from comparison import (  # noqa: E402
    assign,
    channels_first,
    descent,
    go_down,
    pairs,
    randomize_all,
    relative_error,
    run,
    state_dict,
)
from lightly.loss import IBOTPatchLoss, KoLeoLoss, MSNLoss  # noqa: E402
from lightly.models.modules import MaskedVisionTransformerTIMM  # noqa: E402
from lightly.models.modules.heads import MSNProjectionHead  # noqa: E402
from lightly.models.utils import update_momentum  # noqa: E402
from peers import largest_error, random, stable  # noqa: E402
from torch.nn.utils.parametrizations import weight_norm  # noqa: E402

ROWS, SIDE, WIDTH, HIDDEN, OUT, K, STEPS = 6, 16, 24, 20, 12, 15, 3
GRID, RATE, MOST = SIDE // 4, 0.05, 8  # patches of a side, of descent, and how many patches are hidden at most
HEAD = dict(prototypes=K, head_hidden=HIDDEN, head_bottleneck=OUT)


def vit():
    sizes = dict(width=WIDTH, depth=2, heads=3, mlp_dim=2 * WIDTH, patch_size=4, image_size=SIDE)
    return ViT(**sizes, positions="learned", rngs=nnx.Rngs(0))


def their_vit():
    sizes = dict(img_size=SIDE, patch_size=4, embed_dim=WIDTH, depth=2, num_heads=3, mlp_ratio=2.0)
    return timm.models.VisionTransformer(**sizes, num_classes=0)


def pictures(step, views):
    return np.random.default_rng(step).normal(size=(ROWS, views, SIDE, SIDE, 3)).astype(np.float32)


def masks(step, counts):
    """[ROWS, 2, patches], of which as many are hidden as `counts` says in turn."""
    rng, hidden = np.random.default_rng(100 + step), np.zeros((ROWS * 2, GRID * GRID), bool)
    for row, mask in enumerate(hidden):
        mask[rng.permutation(mask.size)[: counts[row % len(counts)]]] = True
    return hidden.reshape(ROWS, 2, -1)


def set_vit(ours, theirs):
    copy = vit()
    interop.vit.from_timm(copy, state_dict(theirs))
    if jax.tree.leaves(nnx.state(ours, nnx.Param)):
        nnx.update(ours, nnx.state(copy, nnx.Param))
    else:
        targets.follow(ours, copy, 0.0)


def last_layer_pairs(layer, linear, of=lambda weight: weight):
    weight = linear.parametrizations.weight
    yield layer.kernel, of(weight.original1).T
    yield layer.gain, of(weight.original0)[:, 0]


def head_pairs(head, theirs, of=lambda weight: weight):
    """(ours, theirs) of a `DINOHead` and stable-pretraining's, whose last layer is weight-normalised here."""
    linears = [layer for layer in theirs if isinstance(layer, torch.nn.Linear)]
    for mine, linear in zip(head.linears, linears[:-1], strict=True):
        yield mine.kernel, of(linear.weight).T
        yield mine.bias, of(linear.bias)
    yield from last_layer_pairs(head.last_layer, linears[-1], of)


class Peer:
    """Networks of a method of stable-pretraining by the names of ours; the last layers of its heads get gains.

    Args:
      model: its method, with `patch_head` for patches.
      sharing: of `patch_head` with `cls_head`: "all", "hidden" (all but the last layer), "nothing".
    """

    def __init__(self, model, sharing):
        self.model, self.wrapper = model, type(model.backbone)
        model.cls_head, model.patch_head = self._with_gains(model.cls_head), self._with_gains(model.patch_head)
        self.followed, self.patch = {"backbone": model.backbone, "head": model.cls_head}, None
        if sharing == "all":
            model.patch_head = model.cls_head
        elif sharing == "hidden":
            self.patch, self.pairs = "patch_layer", last_layer_pairs
            last = self._wrapped(model.patch_head.student[-1])
            for role in ("student", "teacher"):
                hidden, own = getattr(model.cls_head, role)[:-1], getattr(last, role)
                setattr(model.patch_head, role, torch.nn.Sequential(*hidden, own))
            self.followed["patch_layer"] = last
        else:
            self.patch, self.pairs = "patch_head", head_pairs
            self.followed["patch_head"] = model.patch_head
        model.mask_token.data = random(1, 1, WIDTH, seed=9).detach()
        for seed, both in enumerate(self.followed.values()):
            randomize_all(both.student, 2 * seed)
            randomize_all(both.teacher, 2 * seed + 1)

    def _wrapped(self, network):
        return self.wrapper(network, base_ema_coefficient=0.9)

    def _with_gains(self, both):
        weight_norm(both.student[-1])
        return self._wrapped(both.student)

    def of_heads(self, method, role, of=lambda weight: weight):
        """(ours, theirs) of the weights of all heads; `role` "student" or "teacher", `method` ours or its gradients."""
        prefix = {"student": "", "teacher": "target_"}[role]
        yield from head_pairs(getattr(method, prefix + "head"), getattr(self.model.cls_head, role), of)
        if self.patch:
            yield from self.pairs(getattr(method, prefix + self.patch), getattr(self.followed[self.patch], role), of)

    def prepare(self, method):
        """Gives `method` these weights, and returns what a step of descent does."""
        set_vit(method.backbone, self.model.backbone.student)
        set_vit(method.target_backbone, self.model.backbone.teacher)
        for role in ("student", "teacher"):
            assign(self.of_heads(method, role))
        method.mask_token[...] = self.model.mask_token.detach().numpy()[0, 0]
        return descent(method, RATE)

    def forward(self, images, hidden, loss=lambda found: found.loss, **views):
        """The loss of two large views, with given masks, views first."""
        self.model._random_mask = lambda *_, **__: torch.tensor(hidden.swapaxes(0, 1).reshape(2 * ROWS, -1)).float()
        return loss(self.model(global_views=[channels_first(images[:, view]) for view in range(2)], **views))

    def check_step(self, descend, views, theirs):
        """A step of both: the same loss and gradients."""
        loss, gradients = descend(views)
        self.model.zero_grad()
        theirs.backward()
        found = list(self.of_heads(gradients, "student", lambda weight: weight.grad))
        found.append((gradients.mask_token, self.model.mask_token.grad[0, 0]))
        check_gradients(loss, theirs, gradients.backbone, self.model.backbone.student, found)
        weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        assert len(found) + len(list(self.model.backbone.student.parameters())) == len(weights), "every weight"
        go_down(weights, RATE)

    def follow(self, method, step):
        """The teachers follow."""
        method.follow(np.int32(step))
        for both in self.followed.values():
            both.update_ema_coefficient(step, STEPS)
            both.update_teacher()

    def check_teacher(self, method):
        """The teachers are the same."""
        check_target(method.target_backbone, self.model.backbone.teacher, self.of_heads(method, "teacher"))


def check_target(backbone, their_backbone, found):
    """Target networks are the same: what ViTs make of pictures, and the weights of heads, (ours, theirs)."""
    assert max(largest_error(ours[...], weight) for ours, weight in found) < 1e-5
    images = pictures(0, 1)[:, 0]
    assert relative_error(run(backbone, images), their_backbone(channels_first(images))) < 1e-5


def check_gradients(loss, theirs, backbone, their_backbone, found, idle=()):
    """The loss, gradients of a ViT (as closely as in `test_models_vit.py`) and of the other weights `found`.

    Weights of the ViT named in `idle` have none but for rounding.
    """
    assert largest_error(loss, theirs) < 1e-5
    ours, gradients = interop.vit.to_timm(backbone), {n: w.grad for n, w in their_backbone.named_parameters()}
    for name in idle:
        assert max(np.abs(ours.pop(name)).max(), gradients.pop(name).abs().max()) < 1e-6, name
    errors = {name: largest_error(ours[name], gradient) for name, gradient in gradients.items()}
    errors |= {index: largest_error(mine[...], weight) for index, (mine, weight) in enumerate(found)}
    assert max(errors.values()) < 1e-4, errors


def views_of(images, hidden):
    views = {"image": images[:, :2]} | hide_patches(lambda _, mask: mask, jax.random.key(0), hidden, MOST)
    return views | ({"local": images[:, 2:]} if images.shape[1] > 2 else {})


class CentredPatchLoss(IBOTPatchLoss):
    """lightly's loss of patches in the place of stable-pretraining's, which balances what the teacher says."""

    def sinkhorn_knopp_teacher(self, logits, **_):
        return logits

    def forward(self, student, teacher):
        return super().forward(teacher, student, self.mask)


@pytest.mark.parametrize("patch_prototypes", [None, 7])
def test_ibot_is_stable_pretrainings_with_lightlys_loss_of_patches(patch_prototypes):
    """stable-pretraining has two large views and no small ones, and a head of patches that shares nothing.

    As in the official code both heads share all layers here, or all but the last, and the centre of patches moves with
    all of them, hidden or not. Numbers of hidden patches differ from view to view; some views hide none.
    """
    warmup = dict(warmup_epochs_temperature_teacher=STEPS, temperature_teacher=0.08)
    sizes = dict(n_cls_prototypes=K, n_patch_prototypes=patch_prototypes or K, patch_loss_weight=0.5)
    model = stable().ibot.iBOT(their_vit(), HIDDEN, OUT, **sizes, **warmup, ema_decay_start=0.9, image_size=SIDE)
    peer = Peer(model, "all" if patch_prototypes is None else "hidden")
    model.ibot_patch_loss = patch_loss = CentredPatchLoss(patch_prototypes or K)
    method = IBOT(
        vit(), None, **HEAD, patch_prototypes=patch_prototypes, learn_gains=True, patch_weight=0.5, momentum=0.9,
        teacher_temperature=0.08, patch_temperature=0.06, warmup_teacher_steps=STEPS, steps=STEPS, rngs=nnx.Rngs(0),
    )  # fmt: skip
    method.center[...] = np.random.default_rng(7).normal(size=K).astype(np.float32) / 5
    method.patch_center[...] = np.random.default_rng(8).normal(size=patch_prototypes or K).astype(np.float32) / 5
    model.dino_loss.center = torch.tensor(np.array(method.center[...]))[None]
    patch_center = torch.tensor(np.array(method.patch_center[...]))[None]
    said, descend = [], peer.prepare(method)
    model.patch_head.teacher.register_forward_hook(lambda _, __, logits: said.append(logits))
    for step in range(STEPS):
        images, hidden = pictures(step, 2), masks(step, (0, 5, MOST, 1))
        model.current_epoch = step
        patch_loss.center.center, patch_loss.teacher_temp = patch_center, 0.04 + (0.06 - 0.04) * step / STEPS
        patch_loss.mask = torch.tensor(hidden.swapaxes(0, 1).reshape(2 * ROWS, GRID, GRID))
        peer.check_step(descend, views_of(images, hidden), peer.forward(images, hidden))
        patch_center = 0.9 * patch_center + 0.1 * said[-1].mean(0, keepdim=True)
        model.dino_loss.apply_center_update()
        assert largest_error(method.center[...], model.dino_loss.center[0]) < 1e-5
        assert largest_error(method.patch_center[...], patch_center[0]) < 1e-5
        peer.follow(method, step)
    peer.check_teacher(method)


@pytest.mark.parametrize("patch_prototypes", [None, 7])
def test_dinov2_is_stable_pretrainings_with_lightlys_koleo(patch_prototypes):
    """stable-pretraining leaves out KoLeo, and takes the mean over all hidden patches: all views hide as many here.

    Its teacher's temperature is constant, so it is told that of each step.
    """
    sizes = dict(n_cls_prototypes=K, n_patch_prototypes=patch_prototypes or K, patch_loss_weight=0.5)
    model = stable().dinov2.DINOv2(their_vit(), HIDDEN, OUT, **sizes, ema_decay_start=0.9, image_size=SIDE)
    peer = Peer(model, "all" if patch_prototypes is None else "nothing")
    method = DINOv2(
        vit(), None, **HEAD, patch_prototypes=patch_prototypes, patch_weight=0.5, koleo_weight=0.3, momentum=0.9,
        teacher_temperature=0.1, warmup_teacher_steps=STEPS, steps=STEPS, rngs=nnx.Rngs(0),
    )  # fmt: skip
    seen, descend = [], peer.prepare(method)
    model.cls_head.student.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    spread = lambda found: found.loss + 0.3 * sum(KoLeoLoss()(view) for view in seen[0].chunk(2))
    for step in range(STEPS):
        images, hidden = pictures(step, 4), masks(step, (5,))
        small = [channels_first(images[:, view]) for view in (2, 3)]
        seen.clear()
        model.temperature_teacher = 0.04 + (0.1 - 0.04) * step / STEPS
        theirs = peer.forward(images, hidden, spread, local_views=small)
        peer.check_step(descend, views_of(images, hidden), theirs)
        peer.follow(method, step)
    peer.check_teacher(method)


def test_msn_is_lightlys():
    """Wired as in lightly's example, but as in the official code small crops are whole and prototypes learn.

    The target moves after the step there, and its momentum along a line that reaches 1 after 1.25 times the run.
    """
    student, target = (
        torch.nn.ModuleDict(dict(backbone=masked_vit(), projector=MSNProjectionHead(WIDTH, HIDDEN, OUT)))
        for _ in range(2)
    )
    prototypes = random(K, OUT, seed=9)
    criterion = MSNLoss(temperature=0.2, sinkhorn_iterations=2, regularization_weight=0.5)
    sizes = dict(prototypes=K, projector_hidden=HIDDEN, projector_out=OUT)
    settings = dict(temperature=0.2, target_sharpening=0.5, sinkhorn_iterations=2, me_max_weight=0.5, momentum=0.9)
    method = MSN(vit(), None, **sizes, **settings, steps=4, rngs=nnx.Rngs(0))
    for seed, (prefix, networks) in enumerate((("", student), ("target_", target))):
        randomize_all(networks, seed)
        set_vit(getattr(method, prefix + "backbone"), networks.backbone.vit)
        assign(pairs(getattr(method, prefix + "projector"), networks.projector))
    method.prototypes[...] = prototypes.detach().numpy()
    descend = descent(method, RATE)
    for step in range(STEPS):
        images, seen = pictures(step, 4), np.argsort(masks(step, (6,))[:, 0], axis=1, kind="stable")[:, :-6]
        whole, large, *small = (channels_first(images[:, view]) for view in range(4))
        with torch.no_grad():
            targets_of = target.projector(target.backbone(whole))
        kept = torch.tensor(np.pad(seen + 1, ((0, 0), (1, 0))))  # their first token is that of the class
        anchors = [student.projector(student.backbone(large, idx_keep=kept))]
        anchors.append(student.projector(student.backbone(torch.cat(small))))
        theirs = criterion(torch.cat(anchors), targets_of, prototypes, target_sharpen_temperature=0.5)
        weights = [*student.backbone.vit.parameters(), *student.projector.parameters(), prototypes]
        for weight in weights:
            weight.grad = None
        theirs.backward()
        views = {"image": images[:, :2], "local": images[:, 2:], "visible": seen.astype(np.int32)}
        loss, gradients = descend(views)
        found = list(pairs(gradients.projector, student.projector, lambda weight: weight.grad))
        found.append((gradients.prototypes, prototypes.grad))
        idle = ("norm.bias",)  # batch normalisation takes away what it adds
        check_gradients(loss, theirs, gradients.backbone, student.backbone.vit, found, idle)
        go_down(weights, RATE)
        method.follow(np.int32(step))
        update_momentum(student, target, m=0.9 + 0.1 * step / (1.25 * 4))
    check_target(method.target_backbone, target.backbone, pairs(method.target_projector, target.projector))


def masked_vit():
    """lightly's ViT that may leave out patches."""
    return MaskedVisionTransformerTIMM(their_vit(), weight_initialization="skip", pos_embed_initialization="skip")
