"""`launch.py export --to=hf` of methods of pictures: transformers loads it, and finds the same in the same pictures."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import by_path, check_step, gradients_of, randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

import launch  # noqa: E402
from ssl_jax import augment, experiment, interop  # noqa: E402
from ssl_jax.data.spec import Spec  # noqa: E402
from ssl_jax.models import ResNet  # noqa: E402
from ssl_jax.train import mesh as meshes  # noqa: E402
from ssl_jax.train.checkpoints import Checkpoints  # noqa: E402
from tests import tiny  # noqa: E402
from tests.quick import by_method  # noqa: E402

RNG = np.random.default_rng(0)
# By method: what it becomes, and how the network differs from that of the smallest config.
HIDDEN = {
    "beit": ("BeitForMaskedImageModeling", {}),
    "mae": ("ViTMAEForPreTraining", dict(pooling="cls")),
    "simmim": ("ViTForMaskedImageModeling", dict(pooling="cls", positions="learned")),
    "mask_feat": ("ViTModel", dict(scan=True, gelu="quick")),
    "data2vec_vision": ("Data2VecVisionModel", {}),
    "i_jepa": ("IJepaModel", {}),
    "msn": ("ViTMSNModel", {}),
    "ibot": ("ViTModel", {}),
    "dinov2": ("Dinov2Model", dict(layer_scale=0.1)),
}
OTHERS = {"dino": ("ViTModel", {}), "moco_v3": ("ViTModel", {})}
RESNETS = "barlow_twins byol dcl jigsaw lejepa moco_v2 nnclr relative_position rotation simclr simsiam sup_con".split()
RESNETS += ["supervised", "swav", "vicreg"]
OTHERS |= {method: ("ResNetModel", dict(stem="imagenet")) for method in RESNETS}
PAIRED = {"clip": "CLIPModel", "siglip": "SiglipModel"}
# Networks that are not what transformers has of their method.
ENCODERS = {
    "mae": ("IJepaModel", {}),
    "simmim": ("BeitModel", dict(pooling="cls")),
    "data2vec_vision": ("Dinov2Model", dict(positions="sincos2d")),
}


def shaken(state):
    """A state of weights, averages and targets that no 0 or 1 hides."""
    noise = lambda leaf: leaf + jnp.asarray(RNG.normal(scale=0.05, size=leaf.shape), leaf.dtype)
    return jax.tree.map(lambda leaf: noise(leaf) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, state)


def exported(method, model, data_dir, tmp_path):
    """The method as a run left it, and the folder that was written of that."""
    config = tiny.config(method, model=model, checkpoint=dict(every=1))
    built = experiment.build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    state = shaken(built.unprepared_state())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    checkpoints = Checkpoints(tmp_path / "run", every=1)
    checkpoints.save(1, state, {})
    checkpoints.close()
    out = tmp_path / "out"
    assert launch.main(["export", str(tmp_path / "run"), "--to=hf", f"--out={out}", f"--data_dir={data_dir}"]) == 0
    files = {"config.json", "model.safetensors", "preprocessor_config.json"}
    files |= {"tokenizer.json", "tokenizer_config.json"} if method in PAIRED else set()
    assert {path.name for path in out.iterdir()} == files
    return built.module(state), out


def loaded(architecture, out, **settings):
    """Their model without a pooler; every weight that it has is in the file, and every one of the file is its own."""
    assert json.loads((out / "config.json").read_text())["architectures"] == [architecture]
    without = dict(add_pooling_layer=False) if architecture == "ViTModel" else {}
    kind = getattr(transformers, architecture)
    model, found = kind.from_pretrained(out, output_loading_info=True, **without, **settings)
    assert not any(found[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys")), found
    return model.eval()


def features(model, pixels):
    """What we take features from, of any of their models."""
    network = getattr(model, "vit", getattr(model, "beit", model))
    with torch.no_grad():
        output = network(pixel_values=pixels)
    if isinstance(model, transformers.ResNetModel):
        return output.pooler_output[:, :, 0, 0].numpy()
    states = output.last_hidden_state
    if isinstance(model, transformers.BeitForMaskedImageModeling):  # whose network normalises nothing at its end
        states = model.layernorm(states).detach()
    states = states.numpy()
    return states.mean(1) if isinstance(model, transformers.IJepaModel) else states[:, 0]


def processed(out, images):
    return transformers.AutoImageProcessor.from_pretrained(out)(list(images), return_tensors="pt").pixel_values


def check_features(method, architecture, model, data_dir, tmp_path, record_property):
    module, out = exported(method, model, data_dir, tmp_path)
    whole = dict(mask_ratio=0.0) if architecture == "ViTMAEForPreTraining" else {}  # theirs hides in evaluation too
    images = RNG.integers(0, 256, (4, 8, 8, 1), np.uint8)
    ours = np.asarray(module.embed({"image": images}))
    theirs = features(loaded(architecture, out, **whole), processed(out, images))
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    record_property("max_absolute_error", float(np.abs(ours - theirs).max()))
    record_property("least_cosine", float(cosines.min()))
    assert ours.shape == theirs.shape and np.ptp(ours, axis=0).max() > 1e-2
    assert np.abs(ours - theirs).max() < 1e-4 and cosines.min() > 1 - 1e-6


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", HIDDEN)
def test_features_of_methods_that_hide(method, data_dir, tmp_path, record_property):
    check_features(method, *HIDDEN[method], data_dir, tmp_path, record_property)


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", by_method(OTHERS))
def test_features_of_other_methods(method, data_dir, tmp_path, record_property):
    check_features(method, *OTHERS[method], data_dir, tmp_path, record_property)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", ENCODERS)
def test_encoders_of_another_form(method, data_dir, tmp_path, record_property):
    check_features(method, *ENCODERS[method], data_dir, tmp_path, record_property)


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", PAIRED)
def test_pictures_and_texts_are_as_near_to_each_other(method, data_dir, tmp_path, record_property):
    """From uint8 pictures and words, through their processor and tokenizer."""
    module, out = exported(method, {}, data_dir, tmp_path)
    model = loaded(PAIRED[method], out)
    images, texts = RNG.integers(0, 256, (4, 16, 16, 3), np.uint8), ["car", "red car", "a bus", "bus"]
    spelled = transformers.AutoTokenizer.from_pretrained(out)(
        texts, return_tensors="pt", padding="max_length", max_length=8, truncation=True
    )
    given = dict(attention_mask=spelled.attention_mask) if method == "clip" else {}
    with torch.no_grad():
        theirs = model(input_ids=spelled.input_ids, pixel_values=processed(out, images), **given)
    unit = lambda rows: np.asarray(rows / jnp.linalg.norm(rows, axis=1, keepdims=True))
    pictures = unit(module.project({"image": images}))
    words = unit(module.project_texts(jnp.asarray(spelled.input_ids.numpy(), jnp.int32)))
    errors = [relative_error(pictures, theirs.image_embeds), relative_error(words, theirs.text_embeds)]
    record_property("max_relative_error", max(errors))
    assert max(errors) < 1e-4
    assert np.ptp(words, axis=0).max() > 1e-2, "texts are told from each other"


def built(method, data_dir, tmp_path):
    """A method of random weights, and their model of it."""
    architecture, model = HIDDEN[method]
    parts = experiment.build(tiny.config(method, model=model), data_dir=data_dir)
    module = parts.module(meshes.on_one_device(shaken(parts.unprepared_state())))
    interop.EXPORTERS[method](module, parts.data.spec).save(tmp_path)
    return module, loaded(architecture, tmp_path)


def views_and_pixels():
    images = RNG.normal(size=(3, 8, 8, 1)).astype(np.float32)
    return images, torch.tensor(images.transpose(0, 3, 1, 2))


def test_mae_has_the_same_loss_and_gradient_of_the_same_hidden_patches(data_dir, tmp_path):
    module, theirs = built("mae", data_dir, tmp_path)
    images, pixels = views_and_pixels()
    noise = RNG.uniform(size=(3, 16)).astype(np.float32)
    order = np.argsort(noise, axis=1)
    restore = np.argsort(order, axis=1)
    views = dict(image=images, visible=order[:, :4], restore=restore, mask=(restore >= 4).astype(np.float32))
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    loss_of = lambda params: nnx.merge(graph, params, rest).loss(views, jax.random.key(0), train=False)[0]
    loss, gradient = jax.jit(jax.value_and_grad(loss_of))(params)
    found = theirs(pixel_values=pixels, noise=torch.tensor(noise)).loss
    found.backward()
    own = nnx.merge(graph, gradient, rest)
    learned = {name: array for name, array in gradients_of(theirs).items() if "pos" not in name}  # ours are fixed
    carry = lambda copy: interop.mae.from_transformers(copy.backbone, copy.decoder, learned)
    check_step(loss, found, by_path(own, carry))


def test_simmim_has_the_same_loss_and_pixels_of_the_same_hidden_patches(data_dir, tmp_path):
    module, theirs = built("simmim", data_dir, tmp_path)
    images, pixels = views_and_pixels()
    places = np.sort(np.argsort(RNG.uniform(size=(3, 16)), axis=1)[:, :8], axis=1)
    hidden = np.zeros((3, 16), bool)
    np.put_along_axis(hidden, places, True, axis=1)
    views = dict(image=images, hidden=hidden, places=places)
    loss = jax.jit(lambda views: module.loss(views, jax.random.key(0), train=False)[0])(views)
    tokens = module.backbone.tokens(images, hidden=hidden, mask_token=module.mask_token[...])[1]
    painted = module.backbone.unpatchify(module.prediction(tokens))
    with torch.no_grad():
        found = theirs(pixel_values=pixels, bool_masked_pos=torch.tensor(hidden))
    assert abs(float(loss) - float(found.loss)) < 1e-4
    assert relative_error(painted, found.reconstruction.permute(0, 2, 3, 1)) < 1e-5


def test_pixels_of_colour_patches_come_in_pytorchs_order():
    """More than one channel, which the digits have not."""
    layout, numbers = interop.layouts.pixels(2), np.arange(12.0, dtype=np.float32)
    shuffled = torch.nn.functional.pixel_shuffle(torch.tensor(numbers)[None, :, None, None], 2)[0]
    np.testing.assert_array_equal(layout.to_ours(numbers).reshape(2, 2, 3), shuffled.permute(1, 2, 0))
    np.testing.assert_array_equal(layout.to_theirs(layout.to_ours(numbers)), numbers)


@pytest.mark.parametrize("depth", [18, 50])
def test_resnets_of_transformers_are_read_and_written(depth, tmp_path, record_property):
    ours = nnx.eval_shape(lambda: ResNet(depth=depth, base_width=8, rngs=nnx.Rngs(0)))
    peer = transformers.ResNetModel(transformers.ResNetConfig(**interop.resnet.settings(ours)))
    peer = randomize(peer).eval()
    interop.resnet.from_transformers(ours, state_dict(peer))
    images = RNG.normal(size=(4, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        theirs = peer(torch.tensor(images.transpose(0, 3, 1, 2))).pooler_output[:, :, 0, 0]
    error = relative_error(run(ours, images), theirs)
    record_property("max_relative_error", error)
    assert error < 1e-5
    back, before = interop.resnet.to_transformers(ours), state_dict(peer)
    assert set(back) == set(before)
    assert all((back[name] == before[name]).all() for name in before if "batches" not in name)


# By case: the view and its settings, the shape of the pictures, and how many grey levels apart. Theirs are rounded to
# whole levels along one axis, and then along the other, where the first half level counts as the weights' absolute
# values add up: to 1, in bicubic ones to 1.25 at most.
PREPARED = {
    "as large as wanted": ("mae", dict(), (32, 32, 3), 1e-3),
    "the middle of a larger one": ("mae", dict(out_size=56), (64, 64, 3), 1e-3),
    "the middle of a wide one": ("mae", dict(eval_crop=1.0), (32, 48, 3), 1e-3),
    "smaller, bicubic": ("mae", dict(out_size=20), (32, 32, 3), 0.5 + 0.625 + 0.01),
    "larger, bilinear": ("swav", dict(out_size=31, eval_crop=1.0), (24, 24, 3), 0.5 + 0.5 + 0.01),
    "neither mean nor deviation": ("simclr", dict(), (32, 32, 3), 1e-3),
    "one value for three channels": ("sup_con", dict(), (32, 32, 3), 1e-3),
    "grey, stretched to a square": ("affine", dict(out_size=24), (24, 32, 1), 0.5 + 0.01),
}


@pytest.mark.parametrize("case", PREPARED)
def test_pictures_are_prepared_alike(case, tmp_path, record_property):
    name, settings, shape, levels = PREPARED[case]
    view = augment.VIEWS[name](Spec(shapes={"image": shape}), **settings)
    interop.write_json(tmp_path / "preprocessor_config.json", interop.exporters.image_processor(view))
    image = RNG.integers(64, 192, shape, np.uint8)  # so that nothing has to be clipped
    ours = np.asarray(jax.jit(view.evaluate)({"image": image}))
    theirs = processed(tmp_path, [image])[0].permute(1, 2, 0).numpy()
    assert ours.shape == theirs.shape
    error = float((np.abs(ours - theirs) * np.array(view.evaluation.std) * 255).max())
    record_property("grey_levels", error)
    assert error < levels
