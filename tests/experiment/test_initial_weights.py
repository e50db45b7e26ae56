"""Networks that begin with weights as `export` writes them; transformers' own folders are in tests/fidelity."""

import json
import shutil

import jax
import ml_collections
import numpy as np
import pytest
from flax import nnx

from ssl_jax import experiment, interop
from ssl_jax.errors import UserError
from ssl_jax.experiment import trained
from ssl_jax.interop.table import LOADED
from ssl_jax.train import mesh as meshes
from tests import tiny

TEXT = ("albert", "bert", "data2vec_text", "electra", "next_token", "roberta", "t5")
SOUND = ("data2vec", "hubert", "wav2vec2")
# Two kinds of ViTs in transformers differ in the class of their files alone: msn's, and those of all others.
PICTURES = ("mae", "simmim", "data2vec_vision", "dino", "dinov2", "i_jepa", "msn", "simclr")
CHANGED = {
    "data2vec": dict(conv_norm="layer", position_depth=2),
    "mae": dict(pooling="cls"),
    "simmim": dict(pooling="cls", positions="learned", scan=True),
    "dinov2": dict(layer_scale=0.1),
    "simclr": dict(stem="imagenet"),
}


def settings(method, **leaves):
    """Those of a network that transformers has too."""
    return tiny.config(method, model=CHANGED.get(method, {}), **leaves)


def published(method, data_dir, folder):
    """Writes what `export` writes of an untrained network of seed 7, and returns that network."""
    built = experiment.build(settings(method, seed=7), data_dir=data_dir)
    module = built.module(meshes.on_one_device(built.unprepared_state()))
    folder.mkdir()
    interop.EXPORTERS[method](module, built.data.spec).save(folder)
    if method in TEXT:
        built.data.tokenizer.save(str(folder / "tokenizer.json"))
    return module


def beginning(method, folder, **leaves):
    """The config of seed 0 that begins with what lies in a folder."""
    config = settings(method, **leaves)
    spelled = {"tokenizer": str(folder / "tokenizer.json")} if method in TEXT else {}
    spelled |= {"sentinels": 0} if method == "t5" else {}  # its tokenizer has them
    return config | {"init_from": str(folder), "data": config["data"] | spelled}


def first_method(config, data_dir):
    built = experiment.build(config, data_dir=data_dir)
    return built.module(meshes.on_one_device(built.unprepared_state()))


def same(one, other):
    return jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), one, other)


@pytest.mark.parametrize("method", (*TEXT, *SOUND, *PICTURES))
def test_the_weights_of_each_model_are_read(method, data_dir, tmp_path):
    theirs = published(method, data_dir, tmp_path / "weights")
    read = experiment.build(beginning(method, tmp_path / "weights"), data_dir=data_dir).initial_weights()
    assert all(jax.tree.leaves(same(read, nnx.state(theirs.backbone, LOADED))))


@pytest.mark.parametrize("method, gelu", [("clip", "quick_gelu"), ("siglip", "gelu_pytorch_tanh")])
def test_a_tower_of_pictures_is_read_without_that_of_texts(method, gelu, data_dir, tmp_path):
    """From a file of both; what transformers leaves out of its settings is what it is by default."""
    theirs, folder = published(method, data_dir, tmp_path / "weights"), tmp_path / "weights"
    parts = {part: ml_collections.ConfigDict(tiny.config(method)[part]) for part in ("data", "views", "model")}
    config = tiny.config("supervised", **parts) | {"init_from": str(folder)}
    read = lambda **model: experiment.build(
        config | {"model": config["model"] | model}, data_dir=data_dir
    ).initial_weights()
    assert all(jax.tree.leaves(same(read(), nnx.state(theirs.backbone, LOADED))))
    said = json.loads((folder / "config.json").read_text())
    del said["vision_config"]["hidden_act"]
    (folder / "config.json").write_text(json.dumps(said))
    read()
    with pytest.raises(UserError, match=f"hidden_act '{gelu}' is 'gelu' here"):
        read(gelu="exact")
    own, path = "vision_model.", folder / "model.safetensors"
    alone = {name.removeprefix(own): w for name, w in interop.read(path).items() if name.startswith(own)}
    interop.write(path, alone)
    (folder / "config.json").write_text(json.dumps(said["vision_config"] | {"model_type": f"{method}_vision_model"}))
    assert all(jax.tree.leaves(same(read(), nnx.state(theirs.backbone, LOADED))))
    interop.write(path, alone | {"stray.weight": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match="stray.weight"):
        read()


@pytest.mark.parametrize("method", ["bert", "data2vec_text"])
def test_the_network_begins_with_them_its_teacher_too_and_its_heads_at_random(method, data_dir, tmp_path):
    theirs = published(method, data_dir, tmp_path / "weights")
    ours = first_method(beginning(method, tmp_path / "weights"), data_dir)
    alone = first_method(settings(method), data_dir)
    parts = {name for name, part in vars(alone).items() if isinstance(part, nnx.Module)}
    for name in parts:
        of_theirs, of_ours, of_alone = (nnx.state(getattr(each, name)) for each in (theirs, ours, alone))
        begins = name in ("backbone", "teacher")
        assert all(jax.tree.leaves(same(of_ours, of_theirs if begins else of_alone)))
        assert not all(jax.tree.leaves(same(of_ours, of_alone if begins else of_theirs)))
    assert parts > {"backbone"}


def test_one_method_begins_with_what_another_learnt(data_dir, tmp_path):
    theirs = published("bert", data_dir, tmp_path / "weights")
    config = beginning("bert", tmp_path / "weights") | {"method": {"name": "simcse"}, "views": {"name": "tokens"}}
    config["data"] = config["data"] | {"layout": "sentences", "second_segment": None}
    ours = first_method(config, data_dir)
    assert all(jax.tree.leaves(same(nnx.state(ours.backbone, LOADED), nnx.state(theirs.backbone, LOADED))))


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_a_run_goes_on_and_is_exported_without_the_folder(data_dir, tmp_path, capsys):
    published("roberta", data_dir, tmp_path / "weights")
    evaluated = dict(tasks=(), during=(), collapse_patience=1, every=1)
    config = beginning("roberta", tmp_path / "weights", steps=2, schedule=dict(warmup_steps=1), evaluate=evaluated)
    shutil.copy(tmp_path / "weights" / "tokenizer.json", tmp_path / "tokenizer.json")
    config["data"] = config["data"] | {"tokenizer": str(tmp_path / "tokenizer.json")}
    assert experiment.run(config, tmp_path / "run", data_dir=data_dir) == 0
    shutil.rmtree(tmp_path / "weights")
    (tmp_path / "run" / "results.json").unlink()
    assert experiment.run(config, tmp_path / "run", data_dir=data_dir) == 0
    assert "Going on from the checkpoint of step 2" in capsys.readouterr().out
    with pytest.raises(UserError, match="config.json: no such file"):
        experiment.run(config, tmp_path / "other", data_dir=data_dir)
    assert not (tmp_path / "other" / "config.json").exists()
    experiment.export(tmp_path / "run", tmp_path / "out", data_dir=data_dir)


def changed(folder, name, **settings):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_weights_that_do_not_fit(data_dir, tmp_path):
    folder = tmp_path / "weights"
    published("roberta", data_dir, folder)
    config = beginning("roberta", folder)
    wrong = {
        "set config.data.tokenizer to its tokenizer.json": {"data": settings("roberta")["data"]},
        "hidden_size 24 is 36 here": {"model": config["model"] | {"width": 36}},
        "num_hidden_layers 2 is 1 here": {"model": config["model"] | {"depth": 1}},
    }
    for message, changes in wrong.items():
        with pytest.raises(UserError, match=message):
            experiment.build(config | changes, data_dir=data_dir).initial_weights()
    built = experiment.build(config, data_dir=data_dir)
    for changes, message in (
        ({"layer_norm_eps": 1e-3}, "layer_norm_eps 0.001 is 1e-12 here"),
        ({"layer_norm_eps": 1e-12, "position_embedding_type": "relative_key"}, "is 'absolute' here"),
        ({"position_embedding_type": "absolute", "scale_attn_weights": False}, "scale_attn_weights False is True here"),
        ({"model_type": "robert"}, "model_type in .* 'robert' does not exist.* Did you mean 'roberta'"),
    ):
        changed(folder, "config.json", **changes)
        with pytest.raises(UserError, match=message):
            built.initial_weights()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    changed(folder, "config.json", model_type="roberta", scale_attn_weights=True)
    with pytest.raises(UserError, match="model.safetensors: no such file. Where the weights come in another form"):
        built.initial_weights()
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="is the folder of a run: write python launch.py export .*weights"):
        built.initial_weights()
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="config.json cannot be read"):
        built.initial_weights()


@pytest.mark.parametrize("method", ["simclr", "apc", "wav2vec2"])
def test_weights_of_another_kind_of_network(method, data_dir, tmp_path):
    published("roberta", data_dir, tmp_path / "weights")
    config = beginning(method, tmp_path / "weights")
    with pytest.raises(UserError, match="The roberta in .* is a TextTransformer, and config.model.name names a"):
        experiment.build(config, data_dir=data_dir).initial_weights()


def test_sound_is_heard_as_these_weights_are_used_to(data_dir, tmp_path):
    folder = tmp_path / "weights"
    published("wav2vec2", data_dir, folder)
    built = experiment.build(beginning("wav2vec2", folder), data_dir=data_dir)
    for name, value, message in (
        ("do_normalize", not built.method.view.standardized, "set config.views.standardize to"),
        ("sampling_rate", 11_025, "set config.data.sample_rate to 11025"),
    ):
        files = (folder / "preprocessor_config.json").read_text()
        changed(folder, "preprocessor_config.json", **{name: value})
        with pytest.raises(UserError, match=message):
            built.initial_weights()
        (folder / "preprocessor_config.json").write_text(files)


LESS = dict(tasks=(), during=(), diagnostics=False)


def trained_for_a_moment(method, data_dir, folder):
    """A run of two steps, and its config."""
    config = tiny.config(method, steps=2, schedule=dict(warmup_steps=1), evaluate=LESS)
    assert experiment.run(config, folder, data_dir=data_dir) == 0
    return config


def further(method, config, folder):
    """The config of a method that begins with what a run of `config` has learnt."""
    same = {part: ml_collections.ConfigDict(config[part]) for part in ("model", "views", "data")}
    return tiny.config(method, **same) | {"init_from": str(folder)}


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize(
    ("method", "evaluated"), [("mae", "backbone"), ("i_jepa", "target_backbone"), ("capi", "target_backbone")]
)
def test_a_run_begins_with_the_network_that_another_is_evaluated_by(method, evaluated, data_dir, tmp_path):
    config = trained_for_a_moment(method, data_dir, tmp_path / "run")
    learnt = trained.load(tmp_path / "run", data_dir=data_dir).method
    wanted = jax.tree.leaves(nnx.state(getattr(learnt, evaluated)))
    for name in ("supervised", "attentive_probe"):
        ours = first_method(further(name, config, tmp_path / "run"), data_dir)
        found = jax.tree.leaves(nnx.state(ours.backbone))
        assert all(np.array_equal(*pair) for pair in zip(found, wanted, strict=True))
        images = {"image": np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)}
        if name == "supervised":
            np.testing.assert_array_equal(ours.embed(images), learnt.embed(images))
    untrained = jax.tree.leaves(nnx.state(getattr(first_method(config, data_dir), evaluated)))
    assert not all(np.array_equal(*pair) for pair in zip(untrained, wanted, strict=True))


@pytest.mark.filterwarnings("ignore")
def test_a_run_of_a_resnet_hands_on_its_statistics(data_dir, tmp_path):
    config = trained_for_a_moment("simclr", data_dir, tmp_path / "run")
    learnt = trained.load(tmp_path / "run", data_dir=data_dir).method
    ours = first_method(further("supervised", config, tmp_path / "run"), data_dir)
    for kind in (nnx.Param, nnx.BatchStat):
        assert jax.tree.leaves(nnx.state(ours.backbone, kind))
        assert all(jax.tree.leaves(same(nnx.state(ours.backbone, kind), nnx.state(learnt.backbone, kind))))


def test_runs_that_do_not_fit(data_dir, tmp_path):
    config = tiny.config("mae")
    (tmp_path / "config.json").write_text(json.dumps(config))
    begins = further("supervised", config, tmp_path)
    resnet = tiny.config("simclr")["model"]
    for changes, message in (
        (
            {"model": config["model"] | {"depth": 1}},
            "depth 2, and here it is 1. Set config.model.depth to 2.",
        ),
        ({"model": config["model"] | {"pooling": "cls"}}, "config.model.pooling 'mean', and here it is 'cls'"),
        ({"views": config["views"] | {"mean": (0.5,)}}, r"config.views.mean \(0.3,\), and here it is \(0.5,\)"),
        ({"model": resnet}, "is a vit, and config.model.name is 'resnet'"),
        ({"model": config["model"] | {"drop_path": 0.1}}, "has no checkpoint that can be read"),
    ):
        with pytest.raises(UserError, match=message):
            experiment.build(begins | changes, data_dir=data_dir).initial_weights()


def test_a_teacher_of_pictures_begins_with_them_too(data_dir, tmp_path):
    theirs = published("data2vec_vision", data_dir, tmp_path / "weights")
    ours = first_method(beginning("data2vec_vision", tmp_path / "weights"), data_dir)
    for network in (ours.backbone, ours.target_backbone):
        arrays = jax.tree.leaves(nnx.state(network))
        assert all(map(np.array_equal, arrays, jax.tree.leaves(nnx.state(theirs.backbone))))
    assert not np.array_equal(ours.mask_token, theirs.mask_token)


def test_pictures_are_normalised_as_these_weights_are_used_to(data_dir, tmp_path):
    folder = tmp_path / "weights"
    published("mae", data_dir, folder)
    built = experiment.build(beginning("mae", folder), data_dir=data_dir)
    for settings_, message in (
        ({"image_mean": [0.5]}, r"has image_mean \(0.5,\): set config.views.mean to \(0.5,\)"),
        ({"image_mean": [0.3, 0.3, 0.3]}, "set config.views.mean to"),
        ({"image_mean": [0.3], "do_normalize": False}, r"set config.views.mean to \(0.0,\)"),
        ({"do_normalize": True, "image_std": [0.2]}, r"set config.views.std to \(0.2,\)"),
    ):
        changed(folder, "preprocessor_config.json", **settings_)
        with pytest.raises(UserError, match=message):
            built.initial_weights()
    (folder / "preprocessor_config.json").unlink()
    built.initial_weights()


def test_other_forms_of_a_vit_do_not_fit(data_dir, tmp_path):
    folder = tmp_path / "weights"
    published("mae", data_dir, folder)
    config = beginning("mae", folder)
    for changes, message in (
        (dict(pooling="mean"), "ViTMAE of transformers has a class token"),
        (dict(heads=2), "num_attention_heads 3 is 2 here"),
        (dict(patch_size=4), "patch_size 2 is 4 here"),
        (dict(layer_scale=0.1), "has no config.model.layer_scale, here it is 0.1"),
    ):
        with pytest.raises(UserError, match=message):
            experiment.build(config | {"model": config["model"] | changes}, data_dir=data_dir).initial_weights()
    built = experiment.build(config, data_dir=data_dir)
    changed(folder, "config.json", layer_norm_eps=1e-12)
    built.initial_weights()
    changed(folder, "config.json", layer_norm_eps=1e-5)
    with pytest.raises(UserError, match="layer_norm_eps 1e-05 is 1e-06 here"):
        built.initial_weights()
