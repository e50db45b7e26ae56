"""Steps of SimMIM, MaskFeat and data2vec against transformers: the same weights and masks."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop, losses
from ssl_jax.methods import Data2VecVision, MaskFeat, SimMIM
from ssl_jax.models import ViT, targets

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

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
from small_vit import OURS, PATCH, PATCHES, RATE, ROWS, STEPS, THEIRS, WIDTH, View, pictures  # noqa: E402


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


def test_simmim_is_transformers_masked_image_modeling():
    """Their mean divides by the hidden pixels plus 1e-5, which is 1e-8 of them here."""
    config = transformers.ViTConfig(**THEIRS, encoder_stride=PATCH, hidden_dropout_prob=0.0)
    model = randomize(transformers.ViTForMaskedImageModeling(config)).eval()
    method = SimMIM(ViT(**OURS, positions="learned", rngs=nnx.Rngs(0)), View, mask_unit=PATCH, rngs=nnx.Rngs(1))

    def carry(module, weights):
        heads = dict(mask_token=module.mask_token, prediction=module.prediction)
        interop.simmim.from_transformers(module.backbone, weights, **heads)

    carry(method, state_dict(model))
    descend = descent(method, RATE)
    for step in range(STEPS):
        views = views_of(step, 9)
        theirs = model(channels_first(views["image"]), bool_masked_pos=torch.tensor(np.asarray(views["hidden"]))).loss
        theirs.backward()
        loss, ours = descend(views)
        check_step(loss, theirs, by_path(ours, lambda copy: carry(copy, gradients_of(model))))
        go_down(model.parameters(), RATE)


def backbone_gradients(ours, theirs, names=interop.vit):
    """(ours, theirs) of a ViT, theirs carried over to our layout."""
    return by_path(ours, lambda copy: names.from_transformers(copy, gradients_of(theirs)))


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
        check_step(loss, theirs, found)
        go_down([*model.parameters(), *head.parameters()], RATE)


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
        check_step(loss, theirs, found)
        go_down([*student.parameters(), *head.parameters()], RATE)
        method.follow(np.int32(step))
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
                old.mul_(0.9).add_(0.1 * new)
