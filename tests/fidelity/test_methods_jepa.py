"""Steps of I-JEPA and V-JEPA against the official formulas on timm's, transformers' and lightly's networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop
from ssl_jax.methods import IJEPA, VJEPA
from ssl_jax.models import ViT, targets
from ssl_jax.models.positions import sincos

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
pytest.importorskip("transformers")
pytest.importorskip("lightly")

import videomae  # noqa: E402
from comparison import (  # noqa: E402
    assign,
    by_path,
    channels_first,
    check_step,
    descent,
    go_down,
    gradients_of,
    randomize,
    state_dict,
)
from lightly.models.modules.ijepa_timm import IJEPAPredictorTIMM  # noqa: E402
from small_vit import OURS, PATCH, PATCHES, RATE, ROWS, SIDE, STEPS, WIDTH, View, pictures  # noqa: E402


def follow(target, encoder, step):
    """By a momentum that rises from 0.9 to 1 in ten steps."""
    momentum = 0.9 + 0.1 * step / 10
    with torch.no_grad():
        for old, new in zip(target.parameters(), encoder.parameters(), strict=True):
            old.mul_(momentum).add_((1 - momentum) * new)


def to_index(numbers):
    return torch.tensor(numbers, dtype=torch.int64)


def take(tokens, numbers):
    """Of each row of [B, N, F] those of the numbers [B, M]."""
    return torch.gather(tokens, 1, to_index(numbers)[:, :, None].expand(-1, -1, tokens.shape[2]))


def blocks_of(step):
    """Context and two targets of one size, as numbers of patches; nothing fills up."""
    rng = np.random.default_rng(step)
    order = np.stack([rng.permutation(PATCHES) for _ in range(ROWS)]).astype(np.int32)
    targets_of = np.stack([order[:, 9:13], order[:, 11:15]], axis=1)
    return np.sort(order[:, :8], axis=1), np.sort(targets_of, axis=-1)


def test_i_jepa_is_the_official_step_with_lightlys_predictor():
    """`train_step` of facebookresearch/ijepa, its encoders timm's and its predictor lightly's."""
    vit = lambda: timm.models.VisionTransformer(
        img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=2, num_heads=3, mlp_ratio=2.0, num_classes=0,
        class_token=False, global_pool="avg", fc_norm=False,
    )  # fmt: skip
    encoder, target = randomize(vit(), 0).eval(), randomize(vit(), 1).eval()
    predictor = IJEPAPredictorTIMM(PATCHES, 2, WIDTH, 12, 3)
    positions = predictor.decoder.pos_embed.detach().clone()
    randomize(predictor, 2).eval()
    with torch.no_grad():
        predictor.decoder.pos_embed.copy_(positions)
    sizes = dict(predictor_width=12, predictor_depth=2, predictor_heads=3, least_visible=1)
    backbone = ViT(**OURS, positions="learned", pooling="mean", rngs=nnx.Rngs(0))
    method = IJEPA(backbone, View, **sizes, momentum=0.9, steps=10, rngs=nnx.Rngs(1))
    copy = nnx.clone(backbone)
    interop.vit.from_timm(copy, state_dict(target))
    targets.follow(method.target_backbone, copy, 0.0)
    interop.vit.from_timm(method.backbone, state_dict(encoder))

    def weights(ours, get=lambda weight: weight):
        yield ours.predictor.mask_token, get(predictor.decoder.mask_token)[0, 0]
        yield from predictor_pairs(ours.predictor, predictor, get)

    assign(weights(method))
    descend = descent(method, RATE)
    for step in range(STEPS):
        visible, wanted = blocks_of(step)
        images = channels_first(pictures(step))
        with torch.no_grad():
            whole = torch.nn.functional.layer_norm(target.forward_features(images), (WIDTH,))
            truth = torch.cat([take(whole, wanted[:, block]) for block in range(2)])
        seen = encoder.patch_embed(images) + encoder.pos_embed
        context = encoder.norm(encoder.blocks(take(seen, visible)))
        found = predictor(context, to_index(visible), [to_index(wanted[:, block]) for block in range(2)])
        theirs = torch.nn.functional.smooth_l1_loss(found, truth)
        theirs.backward()
        views = {
            "image": jnp.asarray(pictures(step)), "visible": jnp.asarray(visible), "targets": jnp.asarray(wanted),
            "seen": jnp.ones(visible.shape, bool), "counted": jnp.ones(wanted.shape, bool),
        }  # fmt: skip
        loss, ours = descend(views)
        found = by_path(ours.backbone, lambda copy: interop.vit.from_timm(copy, gradients_of(encoder)))
        found |= {str(i): (a[...], b) for i, (a, b) in enumerate(weights(ours, lambda w: w.grad))}
        check_step(loss, theirs, found)
        go_down([*encoder.parameters(), *predictor.parameters()], RATE)
        method.follow(np.int32(step))
        follow(target, encoder, step)


def predictor_pairs(ours, theirs, get):
    """(ours, theirs) of all weights of the predictor but mask tokens and its fixed positions."""
    linear = lambda mine, their: [(mine.kernel, get(their.weight).T), (mine.bias, get(their.bias))]
    norm = lambda mine, their: [(mine.scale, get(their.weight)), (mine.bias, get(their.bias))]
    yield from linear(ours.embedding, theirs.predictor_embed)
    yield from linear(ours.prediction, theirs.predictor_proj)
    yield from norm(ours.norm, theirs.decoder.norm)
    for mine, their in zip(ours.stack.blocks, theirs.decoder.blocks, strict=True):
        yield from norm(mine.norm1, their.norm1)
        yield from norm(mine.norm2, their.norm2)
        yield from linear(mine.attention.qkv, their.attn.qkv)
        yield from linear(mine.attention.out, their.attn.proj)
        yield from linear(mine.mlp.hidden, their.mlp.fc1)
        yield from linear(mine.mlp.out, their.mlp.fc2)


def test_i_jepa_what_fills_up_changes_nothing():
    """The same blocks in longer arrays, with other patches behind them that do not count."""
    sizes = dict(predictor_width=12, predictor_depth=2, predictor_heads=3, least_visible=1)
    backbone = ViT(**OURS, pooling="mean", rngs=nnx.Rngs(0))
    method = IJEPA(backbone, View, **sizes, steps=10, rngs=nnx.Rngs(1))
    visible, wanted = blocks_of(0)
    tight = dict(
        visible=visible, targets=wanted, seen=np.ones(visible.shape, bool), counted=np.ones(wanted.shape, bool)
    )
    fill = lambda x, by, value: np.concatenate([x, np.full((*x.shape[:-1], by), value, x.dtype)], axis=-1)
    loose = {name: fill(array, 3, 5 if array.dtype == np.int32 else False) for name, array in tight.items()}
    loss = jax.jit(
        lambda views: jax.value_and_grad(lambda image: method.loss(views | {"image": image}, jax.random.key(0))[0])(
            jnp.asarray(pictures(0))
        )
    )
    (one, gradient), (other, same) = (loss(jax.tree.map(jnp.asarray, views)) for views in (tight, loose))
    np.testing.assert_allclose(one, other, rtol=1e-6)
    np.testing.assert_allclose(gradient, same, rtol=1e-4, atol=1e-7)


CLIP, TIMES = (8, SIDE, SIDE, 3), 4
TUBES = PATCHES * TIMES


def tubes_of(step, context, predicted):
    """Numbers of what is seen and of what is predicted of each clip."""
    rng = np.random.default_rng(step)
    order = np.stack([rng.permutation(TUBES) for _ in range(ROWS)]).astype(np.int32)
    return np.sort(order[:, :context], axis=1), np.sort(order[:, -predicted:], axis=1)


def hidden_but(visible):
    mask = np.ones((ROWS, TUBES), bool)
    np.put_along_axis(mask, visible, False, axis=1)
    return torch.tensor(mask)


def test_v_jepa_is_the_official_step_on_videomae_with_lightlys_predictor():
    """`train_step` of facebookresearch/jepa: two masks, each with a mask token of the one predictor, l1 distances."""
    sizes = dict(predictor_width=12, predictor_depth=2, predictor_heads=3, momentum=0.9, momentum_stretch=1.25)
    backbone = ViT(**OURS, frames=8, positions="sincos3d", pooling="mean", rngs=nnx.Rngs(0))
    encoder, target = (videomae.alike(backbone, seed) for seed in (0, 1))
    predictor = IJEPAPredictorTIMM(TUBES, 2, WIDTH, 12, 3)
    randomize(predictor, 2).eval()
    predictor.decoder.pos_embed.requires_grad_(False).copy_(torch.tensor(sincos(backbone.grid, 12))[None])
    tokens = torch.nn.Parameter(torch.tensor(np.random.default_rng(3).normal(size=(2, 1, 1, 12)), dtype=torch.float32))
    method = VJEPA(backbone, View, **sizes, steps=8, rngs=nnx.Rngs(1))
    copy = nnx.clone(backbone)
    videomae.carry_over(copy, state_dict(target))
    targets.follow(method.target_backbone, copy, 0.0)
    videomae.carry_over(method.backbone, state_dict(encoder))

    def weights(ours, get=lambda weight: weight):
        yield ours.predictor.mask_token, get(tokens)[:, 0, 0]
        yield from predictor_pairs(ours.predictor, predictor, get)

    assign(weights(method))
    descend = descent(method, RATE)
    for step in range(STEPS):
        clips = np.random.default_rng(step).normal(size=(ROWS, *CLIP)).astype(np.float32)
        masks, pixels = [tubes_of(10 * step, 20, 30), tubes_of(10 * step + 1, 6, 45)], videomae.frames_first(clips)
        with torch.no_grad():
            whole = torch.nn.functional.layer_norm(target(pixels).last_hidden_state, (WIDTH,))
        theirs, views = 0.0, {"image": jnp.asarray(clips)}
        for kind, (visible, wanted) in enumerate(masks):
            context = encoder(pixels, bool_masked_pos=hidden_but(visible)).last_hidden_state
            places = [[to_index(numbers)] for numbers in (visible, wanted)]
            token = {"decoder.mask_token": tokens[kind]}
            found = torch.func.functional_call(predictor, token, (context, *places))
            theirs = theirs + (found - take(whole, wanted)).abs().mean() / len(masks)
            views |= {
                f"visible_{kind}": jnp.asarray(visible), f"targets_{kind}": jnp.asarray(wanted[:, None]),
                f"seen_{kind}": jnp.ones(visible.shape, bool), f"counted_{kind}": jnp.ones(wanted[:, None].shape, bool),
            }  # fmt: skip
        theirs.backward()
        loss, ours = descend(views)
        found = by_path(ours.backbone, lambda copy: videomae.carry_over(copy, gradients_of(encoder)))
        found |= {str(i): (a[...], b) for i, (a, b) in enumerate(weights(ours, lambda w: w.grad))}
        check_step(loss, theirs, found)
        go_down([*encoder.parameters(), *predictor.parameters(), tokens], RATE)
        method.follow(np.int32(step))
        follow(target, encoder, step)
