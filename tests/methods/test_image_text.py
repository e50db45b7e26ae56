"""CLIP and SigLIP: pictures and texts find each other."""

import math
import types

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax.data import Spec
from ssl_jax.errors import UserError
from ssl_jax.experiment import build, class_texts
from ssl_jax.experiment.scores import Scorer
from ssl_jax.methods import METHODS
from ssl_jax.models import ViT, matching
from ssl_jax.train import mesh as meshes
from ssl_jax.train.loop import jit_train_step
from tests import probe, tiny

NAMES = ("clip", "siglip")


@pytest.fixture(scope="module", params=NAMES)
def made(request, data_dir):
    return probe.made(request.param, data_dir)


def unit(x):
    return x / jnp.linalg.norm(x, axis=1, keepdims=True)


def test_loss_of_clip_is_figure_3(data_dir):
    method, views = probe.made("clip", data_dir)
    images = method.image_map(method.backbone(views["image"]))
    logits = unit(images) @ unit(method.project_texts(views["tokens"])).T * jnp.exp(method.log_scale[...])
    there, back = (jnp.diag(jax.nn.log_softmax(x, axis=1)).mean() for x in (logits, logits.T))
    np.testing.assert_allclose(probe.loss(method, views, train=False), -(there + back) / 2, rtol=1e-4)


def test_loss_of_siglip_is_algorithm_1(data_dir):
    method, views = probe.made("siglip", data_dir)
    images, texts = method.look(views["image"]), method.project_texts(views["tokens"])
    logits = unit(images) @ unit(texts).T * jnp.exp(method.log_scale[...]) + method.bias[...]
    signs = 2 * jnp.eye(len(logits)) - 1
    expected = -jax.nn.log_sigmoid(signs * logits).sum() / len(logits)
    np.testing.assert_allclose(probe.loss(method, views, train=False), expected, rtol=1e-4)


def test_every_parameter_learns(made):
    probe.check_gradients(*made)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_change_nothing(name, data_dir):
    whole, views = probe.made(name, data_dir, block_size=None)
    blocks, _ = probe.made(name, data_dir, block_size=8)
    np.testing.assert_allclose(probe.loss(blocks, views, train=False), probe.loss(whole, views, train=False), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_towers_run_in_parts_as_wholes(name, data_dir):
    found, sizes = {}, {}
    for parts in (1, 8):
        method, views = probe.made(name, data_dir, {"model": {"accumulate": parts}}, text_dropout=0.0)
        graph, params, rest = nnx.split(method, nnx.Param, ...)
        loss = lambda params, views: nnx.merge(graph, params, rest).loss(views, jax.random.key(0))[0]  # noqa: B023
        step = jax.jit(jax.value_and_grad(loss)).lower(params, views).compile()
        found[parts], sizes[parts] = step(params, views), step.memory_analysis().temp_size_in_bytes
    assert sizes[8] < sizes[1] / 2
    np.testing.assert_allclose(found[8][0], found[1][0], rtol=1e-5)
    for parted, whole in zip(*(jax.tree.leaves(found[parts][1]) for parts in (8, 1)), strict=True):
        np.testing.assert_allclose(parted, whole, atol=1e-4 * np.abs(whole).max() + 1e-6)


@pytest.mark.parametrize(("name", "size"), [*((name, 2) for name in NAMES), ("clip", None)])
def test_a_train_step_makes_each_tile_on_one_of_its_devices(name, size, data_dir, eight_devices):
    """Rows stay where they are and go round, in the step that the loop compiles; without blocks they do not."""
    experiment = build(tiny.config(name, method=dict(block_size=size)), data_dir=data_dir)
    state, batch = experiment.abstract_state(), experiment.batch_at(0)
    batch = jax.tree.map(jnp.asarray, meshes.put_rows(batch, experiment.recipe.mesh))
    text = jit_train_step(experiment.recipe, state).lower(state, batch).compile().as_text()
    assert ("collective-permute" in text) == (size is not None)


def test_clip_reads_up_to_the_end_of_a_text(data_dir):
    method, _ = probe.made("clip", data_dir)
    tokens = np.full((2, 8), method.pad_id, np.int32)
    tokens[:, :4] = 7, 9, 8, method.sep_id
    tokens[1, 5:] = 11  # behind the end
    read = np.asarray(method.read(jnp.asarray(tokens)))
    np.testing.assert_allclose(read[0], read[1], atol=1e-6)
    np.testing.assert_allclose(read[0], method.read(jnp.asarray(tokens[:1, :4]))[0], atol=1e-5)


def test_the_temperature_of_clip_is_learnt_and_stays_above_a_hundredth(data_dir):
    method, views = probe.made("clip", data_dir, temperature=0.007)
    method.log_scale[...] = jnp.log(100.0) + 1
    method.follow(jnp.int32(0))
    np.testing.assert_allclose(method.loss(views, probe.KEY, train=False)[1]["temperature"], 0.01, rtol=1e-5)
    method.log_scale[...] -= 1
    method.follow(jnp.int32(0))
    np.testing.assert_allclose(method.log_scale[...], np.log(100) - 1, rtol=1e-5)
    assert probe.gradients(method, views)["log_scale"] != 0


def test_siglip_starts_where_the_paper_does(data_dir):
    config = tiny.config("siglip")
    experiment = build(config, data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    method = experiment.module(experiment.initial_state())
    np.testing.assert_allclose([method.log_scale[...], method.bias[...]], [np.log(10), -10], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "words", "length", "model", "expected"),
    [
        ("clip", 49408, 77, dict(patch_size=32, pre_norm=True), 151_277_313 + 768),
        ("siglip", 32000, 64, dict(patch_size=16, pooling="mean"), 203_155_970),
    ],
)
def test_base_networks_have_the_published_number_of_parameters(name, words, length, model, expected):
    """Those of openai/clip-vit-base-patch32, whose patches have no bias, and google/siglip-base-patch16-224."""
    spec = types.SimpleNamespace(shapes={"image": (), "tokens": (1, length)}, vocab_size=words, pad_id=0, sep_id=1)
    view = types.SimpleNamespace(spec=spec)

    def make():
        backbone = ViT(positions="learned", scan=True, **model, rngs=nnx.Rngs(0))
        return METHODS[name](backbone, view, rngs=nnx.Rngs(0))

    weights = jax.tree.leaves(nnx.state(nnx.eval_shape(make), nnx.Param))
    assert sum(math.prod(weight.shape) for weight in weights) == expected


def test_a_text_is_drawn_anew_each_step_among_those_with_words():
    sep, cls = 3, 2
    tokens = jnp.array([[cls, 7, sep], [cls, sep, 0], [cls, 9, sep]])
    draw = jax.jit(jax.vmap(lambda key: matching.draw_text(key, tokens, sep)))
    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), 400)))
    np.testing.assert_array_equal(np.unique(drawn[:, 1]), [7, 9])
    assert abs(np.mean(drawn[:, 1] == 7) - 0.5) < 0.1
    none = jnp.array([[cls, sep, 0], [cls, sep, 0]])
    np.testing.assert_array_equal(matching.draw_text(jax.random.key(0), none, sep), [cls, sep, 0])


def test_examples_of_a_batch_draw_texts_of_their_own(made, data_dir):
    method, _ = made
    experiment = build(tiny.config("clip"), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1]))
    batch = experiment.batch_at(0)
    views = jax.jit(method.views)
    first, second = (np.asarray(views(batch, jax.random.key(n))["tokens"]) for n in range(2))
    which = [(tokens[:, None] == batch["tokens"]).all(-1) for tokens in (first, second)]
    assert all(one.any(1).all() for one in which)
    assert 0 < which[0][:, 0].mean() < 1 and (which[0] != which[1]).any()


@pytest.mark.parametrize(
    ("name", "alike"), [("clip", np.log(32)), ("siglip", np.log(32) + 31 * np.log(32 / 31))], ids=NAMES
)
def test_it_learns_pairs(name, alike, data_dir):
    """On one batch the loss falls far below the least that there is where all pictures and texts are alike."""
    method, views = probe.made(name, data_dir)
    assert probe.descended(method, views, apart=("log_scale", "bias")) < alike / 2


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_scored_by_names_of_classes_and_by_retrieval(name, data_dir):
    """On eight devices and 64 examples: shares, chance beside them, and each language; held out, within batches."""
    best = dict(checkpoint=dict(best="eval/text_to_image_top_5_caption_de"), evaluate=dict(during=("retrieval",)))
    experiment = build(tiny.config(name, **best), data_dir=data_dir)
    scorer, state = Scorer(experiment), experiment.initial_state()
    scorer.check_best()
    assert experiment.config["checkpoint"]["best"] in scorer.during(state)[0]
    scores = scorer.full(state)
    assert 0 <= scores["zero_shot"] <= 1 and 1 / 9 <= scores["zero_shot_commonest"] < 1
    ways = ("image_to_text", "text_to_image")
    for way in ways:
        assert 0 <= scores[f"{way}_top_1"] <= scores[f"{way}_top_5"] <= scores[f"{way}_top_10"] <= 1
        languages = [scores[f"{way}_top_10_{key}"] for key in ("caption_en", "caption_de")]
        assert scores[f"{way}_top_10"] == pytest.approx(np.mean(languages))
        assert scores[f"{way}_top_1_chance"] == pytest.approx(1 / 64, rel=0.5)
        assert 0 <= scores[way] <= 1 and 1 / 32 <= scores[f"{way}_chance"] < 1
    raw = scorer.raw_tasks()
    assert not [key for key in raw if key.startswith(("zero", *ways))] and "knn_full" in raw


class Knowing(METHODS["clip"]):
    """Each text has a vector of its own; a picture has that of its first text, or of what is said of its class."""

    classes = None  # int [classes, S], what is said of each

    def project_texts(self, tokens, *, train=False, key=None):
        vectors = jax.random.normal(jax.random.key(0), (tokens.shape[1], 256, 32))
        return vectors[jnp.arange(tokens.shape[1])[None], tokens].sum(1)

    def project(self, inputs):
        texts = inputs["tokens"][:, 0] if self.classes is None else jnp.asarray(self.classes)[inputs["label"]]
        return self.project_texts(texts)


def test_pictures_texts_and_classes_stay_together(data_dir, monkeypatch):
    """Through batches that do not come out even, on eight devices: what knows the answer has it."""
    tasks = dict(tasks=("zero_shot", "retrieval"), templates=("{}", "a {}"), batch_size=24)
    config = tiny.config("clip", evaluate=tasks)
    config["method"] = config["method"] | {"name": "knowing", "joint_width": 32}
    experiment = build(config, data_dir=data_dir, method_table=METHODS | {"knowing": Knowing})
    said = np.random.default_rng(0).integers(
        5, 200, (9, 2, 8), np.int32
    )  # names of classes are no words of made-up data
    monkeypatch.setattr(class_texts, "written", lambda opened, templates, names: said)
    state = experiment.initial_state()
    scores = Scorer(experiment).full(state)
    assert scores["image_to_text_top_1_caption_en"] == scores["text_to_image_top_1_caption_en"] == 1
    assert scores["image_to_text_top_1_caption_de"] < 0.5 and scores["zero_shot"] < 0.5
    for template in range(2):
        monkeypatch.setattr(Knowing, "classes", said[:, template])
        assert Scorer(experiment).full(state)["zero_shot"] == 1


def test_classes_of_which_the_same_is_said_are_refused():
    spec = Spec(shapes={}, num_classes=2, class_names=("red cat", "red dog"))
    first_words = lambda texts: np.array([[2, *text.encode()[:3], 3] for text in texts])
    opened = types.SimpleNamespace(name="pets", mock=0, text_length=5, spec=spec, spelling=first_words)
    with pytest.raises(UserError, match="'{}' says the same of 'red cat' and 'red dog' in 5 tokens; raise config.data"):
        class_texts.check(opened, ("{}",))
    with pytest.raises(UserError, match="'{}' says the same of 'my cat' and 'my dog'"):
        class_texts.check(opened, ("{}",), ("my cat", "my dog"))
    class_texts.check(opened, ("{}",), ("cat", "dog"))
    with pytest.raises(UserError, match="config.evaluate.class_names: 'pets' has 2 classes, and these are 1"):
        class_texts.check(opened, ("{}",), ("cat",))
    opened.mock = 8
    class_texts.check(opened, ("{}",))


def test_classes_are_called_as_the_data_set_does_or_as_one_says():
    """Templates of a class stand beside each other."""
    spec = Spec(shapes={}, num_classes=2, class_names=("cat", "dog"))
    opened = types.SimpleNamespace(spec=spec, spelling=lambda texts: np.array([[len(text), 0] for text in texts]))
    assert class_texts.written(opened, ("{}", "a {}"))[:, :, 0].tolist() == [[3, 5], [3, 5]]
    assert class_texts.written(opened, ("{}", "a {}"), ("kitten", "pup"))[:, :, 0].tolist() == [[6, 8], [3, 5]]


@pytest.mark.parametrize(
    ("name", "parts", "message"),
    [
        ("clip", dict(data=dict(text_keys=())), "'clip' learns from pictures and texts: .* config.data.text_keys to"),
        ("siglip", dict(data=dict(text_keys=())), "'siglip' learns from pictures and texts: .* config.data.text_keys"),
        ("clip", dict(method=dict(temperature=0.0)), "temperature 0.0 must be positive"),
        ("clip", dict(method=dict(joint_width=0)), "joint_width 0 is below 1"),
        ("siglip", dict(method=dict(text_depth=0)), "text_depth 0 is below 1"),
        ("clip", dict(method=dict(block_size=0)), "config.method.block_size 0 is below 1"),
        ("siglip", dict(method=dict(block_size=0)), "config.method.block_size 0 is below 1"),
        ("clip", dict(method=dict(text_heads=5)), "config.method.text_width 16 is not divisible by text_heads 5"),
        ("clip", dict(method=dict(text_dropout=1.5)), "config.method.text_dropout 1.5 is not in"),
        ("clip", dict(views=ml_collections.ConfigDict(dict(name="bert"))), "'bert' is for tokens, and the data has no"),
        ("siglip", dict(model=dict(pooling="cls")), "pools patches by attention alone: set config.model.pooling to"),
        ("clip", dict(views=dict(name="dino", flip=0.0, local_crops=2)), "config.views.*takes no small views"),
        ("simclr", dict(evaluate=dict(tasks=("zero_shot",))), "evaluate.tasks: 'zero_shot' needs texts, and simclr"),
        ("clip", dict(evaluate=dict(templates=("drawn",))), r"templates \('drawn',\) must be texts with one {}"),
        ("clip", dict(data=dict(label_key=None)), "'zero_shot' tells classes, and 'openmoji' has none; leave it out"),
        (
            "siglip",
            dict(model=ml_collections.ConfigDict(dict(name="resnet", stage_sizes=(1,), base_width=8))),
            "siglip needs config.model.name 'vit', not a ResNet",
        ),
    ],
)
def test_what_does_not_fit(name, parts, message, data_dir):
    method = parts.get("method", {})
    parts = {part: leaves for part, leaves in parts.items() if part != "method"}
    with pytest.raises(UserError, match=message) as caught:
        probe.made(name, data_dir, parts, **method)
    assert "\n" not in str(caught.value)
