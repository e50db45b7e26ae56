"""Steps of SimMIM, MaskFeat, data2vec and I-JEPA against transformers and lightly: the same weights and masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop, losses
from ssl_jax.methods import IJEPA, Data2VecVision, MaskFeat, SimMIM
from ssl_jax.models import ViT, targets

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")
pytest.importorskip("lightly")

from comparison import assign, descent, randomize, state_dict  # noqa: E402
from lightly.models.modules.ijepa_timm import IJEPAPredictorTIMM  # noqa: E402
from peers import largest_error  # noqa: E402

ROWS, SIDE, PATCH, WIDTH = 5, 16, 4, 24
PATCHES, RATE, STEPS = (SIDE // PATCH) ** 2, 0.05, 2
OURS = dict(width=WIDTH, depth=2, heads=3, mlp_dim=48, patch_size=PATCH, image_size=SIDE)
THEIRS = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=SIDE)
THEIRS |= dict(patch_size=PATCH, layer_norm_eps=1e-6)


class View:
    """Of pictures."""

    shape = (SIDE, SIDE, 3)


def pictures(step):
    return np.random.default_rng(step).normal(size=(ROWS, SIDE, SIDE, 3)).astype(np.float32)


def masks(step, count):
    """bool [ROWS, PATCHES], `count` of each row, and their numbers."""
    noise = np.random.default_rng(100 + step).uniform(size=(ROWS, PATCHES))
    places = np.sort(np.argsort(noise, axis=1)[:, :count], axis=1).astype(np.int32)
    hidden = np.zeros((ROWS, PATCHES), bool)
    np.put_along_axis(hidden, places, True, axis=1)
    return hidden, places


def views_of(step, count):
    hidden, places = masks(step, count)
    return {"image": jnp.asarray(pictures(step)), "hidden": jnp.asarray(hidden), "places": jnp.asarray(places)}


def channels_first(images):
    return torch.tensor(np.asarray(images).transpose(0, 3, 1, 2))


def check(loss, theirs, found):
    """The loss, and gradients (ours, theirs) by name."""
    assert largest_error(loss, theirs) < 1e-5
    scale = max(gradient.abs().max().item() for _, gradient in found.values())
    errors = {
        name: np.abs(np.asarray(mine) - gradient.numpy()).max() / max(gradient.abs().max().item(), 1e-3 * scale)
        for name, (mine, gradient) in found.items()
    }
    assert max(errors.values()) < 1e-4, errors


def go_down(weights):
    with torch.no_grad():
        for weight in weights:
            if weight.grad is not None:
                weight -= RATE * weight.grad
                weight.grad = None


def gradients_of(model):
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def as_theirs(gradients):
    """Gradients of a ViT under timm's or transformers' names, as tensors would be."""
    return {name: np.asarray(array) for name, array in gradients.items()}


def test_simmim_is_transformers_masked_image_modeling():
    """Their mean divides by the hidden pixels plus 1e-5, which is 1e-8 of them here."""
    config = transformers.ViTConfig(**THEIRS, encoder_stride=PATCH, hidden_dropout_prob=0.0)
    model = randomize(transformers.ViTForMaskedImageModeling(config)).eval()
    method = SimMIM(ViT(**OURS, positions="learned", rngs=nnx.Rngs(0)), View, mask_unit=PATCH, rngs=nnx.Rngs(1))
    interop.vit.from_transformers(method.backbone, state_dict(model))
    shuffled = lambda w: w.reshape(3, PATCH, PATCH, -1).permute(1, 2, 0, 3).reshape(PATCH * PATCH * 3, -1)
    kernel, bias = (
        (lambda get: shuffled(get(model.decoder[0].weight)[:, :, 0, 0]).T),
        (lambda get: shuffled(get(model.decoder[0].bias)[:, None])[:, 0]),
    )
    weight = lambda w: w
    assign([(method.prediction.kernel, kernel(weight)), (method.prediction.bias, bias(weight))])
    assign([(method.mask_token, model.vit.embeddings.mask_token[0, 0])])
    descend = descent(method, RATE)
    for step in range(STEPS):
        views = views_of(step, 9)
        theirs = model(channels_first(views["image"]), bool_masked_pos=torch.tensor(np.asarray(views["hidden"]))).loss
        theirs.backward()
        loss, ours = descend(views)
        grad = lambda w: w.grad
        found = {
            "kernel": (ours.prediction.kernel[...], kernel(grad)),
            "bias": (ours.prediction.bias[...], bias(grad)),
            "mask": (ours.mask_token[...], model.vit.embeddings.mask_token.grad[0, 0]),
        } | backbone_gradients(ours.backbone, model.vit)
        check(loss, theirs, found)
        go_down(model.parameters())


def backbone_gradients(ours, theirs, names=interop.vit):
    """(ours, theirs) of a ViT, theirs carried over to our layout."""
    copy = nnx.clone(ours)
    zeros = {name: np.zeros(weight.shape, np.float32) for name, weight in state_dict(theirs).items()}
    gradients = zeros | {name: gradient.numpy() for name, gradient in gradients_of(theirs).items()}
    names.from_transformers(copy, gradients)
    flat = lambda module: jax.tree_util.tree_leaves_with_path(nnx.state(module, nnx.Param))
    both = zip(flat(ours), flat(copy), strict=True)
    return {jax.tree_util.keystr(path): (mine, torch.tensor(np.array(their))) for (path, mine), (_, their) in both}


def test_mask_feat_is_a_regression_of_hog_at_hidden_patches():
    """transformers' ViT with a mask token, and a linear layer; histograms are held to the official code elsewhere."""
    config = transformers.ViTConfig(**THEIRS, hidden_dropout_prob=0.0)
    model = randomize(transformers.ViTModel(config, add_pooling_layer=False, use_mask_token=True)).eval()
    head = randomize(torch.nn.Linear(WIDTH, 3 * 9 * 4), 1)
    method = MaskFeat(ViT(**OURS, positions="learned", rngs=nnx.Rngs(0)), View, cell=2, rngs=nnx.Rngs(1))
    interop.vit.from_transformers(method.backbone, state_dict(model))
    assign([(method.prediction.kernel, head.weight.T), (method.prediction.bias, head.bias)])
    assign([(method.mask_token, model.embeddings.mask_token[0, 0])])
    descend = descent(method, RATE)
    for step in range(STEPS):
        views = views_of(step, 6)
        hidden = torch.tensor(np.asarray(views["hidden"]))
        states = model(channels_first(views["image"]), bool_masked_pos=hidden).last_hidden_state[:, 1:]
        wanted = torch.tensor(np.array(losses.hog(views["image"], patch_size=PATCH, cell=2)))
        theirs = torch.nn.functional.mse_loss(head(states)[hidden], wanted[hidden])
        theirs.backward()
        loss, ours = descend(views)
        found = {
            "kernel": (ours.prediction.kernel[...], head.weight.grad.T),
            "bias": (ours.prediction.bias[...], head.bias.grad),
            "mask": (ours.mask_token[...], model.embeddings.mask_token.grad[0, 0]),
        } | backbone_gradients(ours.backbone, model)
        check(loss, theirs, found)
        go_down([*model.parameters(), *head.parameters()])


def test_data2vec_is_the_official_formula_on_transformers_network():
    """`train_one_epoch` of facebookresearch/data2vec_vision: the mean of two blocks, normalised before and after."""
    sizes = dict(THEIRS, use_mask_token=True, use_shared_relative_position_bias=True, use_mean_pooling=False)
    config = transformers.Data2VecVisionConfig(**sizes, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    student, teacher = (randomize(transformers.Data2VecVisionModel(config), seed).eval() for seed in (0, 1))
    head = randomize(torch.nn.Linear(WIDTH, WIDTH), 2)
    backbone = ViT(**OURS, positions="relative", layer_scale=0.1, rngs=nnx.Rngs(0))
    settings = dict(top=2, momentum=0.9, beta=0.5)
    method = Data2VecVision(backbone, View, **settings, rngs=nnx.Rngs(1))
    copy = nnx.clone(backbone)
    interop.beit.from_transformers(copy, state_dict(teacher))
    targets.follow(method.target_backbone, copy, 0.0)
    interop.beit.from_transformers(method.backbone, state_dict(student), mask_token=method.mask_token)
    assign([(method.prediction.kernel, head.weight.T), (method.prediction.bias, head.bias)])
    descend, normal = descent(method, RATE), lambda x: torch.nn.functional.layer_norm(x, (WIDTH,))
    for step in range(STEPS):
        views = views_of(step, 9)
        pixels, hidden = channels_first(views["image"]), torch.tensor(np.asarray(views["hidden"]))
        with torch.no_grad():
            blocks = teacher(pixels, output_hidden_states=True).hidden_states[1:]
            wanted = normal(sum(normal(block[:, 1:]) for block in blocks) / 2)
        found = head(student(pixels, bool_masked_pos=hidden).last_hidden_state[:, 1:])
        theirs = torch.nn.functional.smooth_l1_loss(found[hidden], wanted[hidden], beta=0.5)
        theirs.backward()
        loss, ours = descend(views)
        found = {
            "kernel": (ours.prediction.kernel[...], head.weight.grad.T),
            "bias": (ours.prediction.bias[...], head.bias.grad),
            "mask": (ours.mask_token[...], student.embeddings.mask_token.grad[0, 0]),
        } | backbone_gradients(ours.backbone, student, interop.beit)
        check(loss, theirs, found)
        go_down([*student.parameters(), *head.parameters()])
        method.follow(np.int32(step))
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
                old.mul_(0.9).add_(0.1 * new)


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
    weights = lambda ours, get=lambda w: w: predictor_pairs(ours.predictor, predictor, get)
    assign(weights(method))
    descend = descent(method, RATE)
    for step in range(STEPS):
        visible, wanted = blocks_of(step)
        images, take = (
            channels_first(pictures(step)),
            lambda x, i: torch.gather(x, 1, torch.tensor(i, dtype=torch.int64)[:, :, None].expand(-1, -1, x.shape[2])),
        )
        with torch.no_grad():
            whole = torch.nn.functional.layer_norm(target.forward_features(images), (WIDTH,))
            truth = torch.cat([take(whole, wanted[:, block]) for block in range(2)])
        seen = encoder.patch_embed(images) + encoder.pos_embed
        context = encoder.norm(encoder.blocks(take(seen, visible)))
        to_index = lambda i: torch.tensor(i, dtype=torch.int64)
        found = predictor(context, to_index(visible), [to_index(wanted[:, block]) for block in range(2)])
        theirs = torch.nn.functional.smooth_l1_loss(found, truth)
        theirs.backward()
        views = {
            "image": jnp.asarray(pictures(step)), "visible": jnp.asarray(visible), "targets": jnp.asarray(wanted),
            "seen": jnp.ones(visible.shape, bool), "counted": jnp.ones(wanted.shape, bool),
        }  # fmt: skip
        loss, ours = descend(views)
        mine, grads = interop.vit.to_timm(ours.backbone), gradients_of(encoder)
        found = {name: (mine[name], gradient) for name, gradient in grads.items()}
        found |= {str(i): (a[...], b) for i, (a, b) in enumerate(weights(ours, lambda w: w.grad))}
        check(loss, theirs, found)
        go_down([*encoder.parameters(), *predictor.parameters()])
        method.follow(np.int32(step))
        with torch.no_grad():
            momentum = 0.9 + 0.1 * step / 10
            for old, new in zip(target.parameters(), encoder.parameters(), strict=True):
                old.mul_(momentum).add_((1 - momentum) * new)


def predictor_pairs(ours, theirs, get):
    """(ours, theirs) of all weights of the predictor but its fixed positions."""
    linear = lambda mine, their: [(mine.kernel, get(their.weight).T), (mine.bias, get(their.bias))]
    norm = lambda mine, their: [(mine.scale, get(their.weight)), (mine.bias, get(their.bias))]
    yield (ours.mask_token, get(theirs.decoder.mask_token)[0, 0])
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
