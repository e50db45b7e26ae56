"""BEiT: its tokens are an earlier run's, and stay so."""

import json
import pathlib
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import losses
from ssl_jax.errors import UserError
from ssl_jax.experiment import preparing, run, trained
from ssl_jax.models import targets
from ssl_jax.models.paths import path_name
from ssl_jax.train import mesh as meshes
from ssl_jax.train.checkpoints import arrays_of
from ssl_jax.train.workdir import Workdir
from tests import probe, tiny
from tests.stepping import Stepper

STEPS = 200


@pytest.fixture(scope="module")
def tokenizer(data_dir, tmp_path_factory):
    """The folder of a tokenizer that is trained, by a run of its own."""
    folder, quiet = tmp_path_factory.mktemp("tokenizer"), dict(during=(), tasks=(), map_limit=0, diagnostics=False)
    settings = dict(model=dict(width=16), method=dict(gumbel_steps=150), checkpoint=dict(every=STEPS))
    assert run(tiny.config("dvae", steps=STEPS, evaluate=quiet, **settings), folder, data_dir=data_dir) == 0
    return folder


@pytest.fixture(scope="module")
def trajectory(data_dir, tokenizer):
    """An experiment with that tokenizer, and its states before the first step and after the last."""
    settings = dict(method=dict(tokenizer=str(tokenizer)), optimizer=dict(learning_rate=1e-2))
    stepper = Stepper(tiny.config("beit", steps=STEPS, **settings), jax.devices()[:1], data_dir)
    experiment = stepper.experiment
    begun = experiment.initial_state()
    state = jax.tree.map(jnp.copy, begun)
    for number in range(STEPS):
        state, _ = stepper.step(state, meshes.put_rows(experiment.batch_at(number), experiment.recipe.mesh))
    return experiment, begun, state


def test_it_learns_to_tell_tokens(trajectory):
    """Of held-out pictures; more than always guessing the commonest would, by four standard errors, untrained less."""
    experiment, *states = trajectory
    held_out = experiment.data.eval.read(np.arange(200))
    views = jax.jit(experiment.module(states[0]).views)(held_out, jax.random.key(5))
    metrics = jax.jit(lambda method, views: method.loss(views, probe.KEY, train=False)[1])
    untrained, learnt = (metrics(experiment.module(state), views) for state in states)
    assert untrained["token_accuracy"] < untrained["token_accuracy_commonest"] < 0.3
    share = float(learnt["token_accuracy_commonest"])
    assert learnt["token_accuracy"] > share + 4 * (share * (1 - share) / views["tokens"].size) ** 0.5
    assert learnt["token_perplexity"] > 3


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_no_weight_of_the_tokenizer_moves(trajectory, tokenizer):
    """They are those of the folder's checkpoint, before the first step and after the last."""
    _, *states = trajectory
    arrays = arrays_of(tokenizer)
    named = {f"tokenizer.{name[16:]}": array for name, array in arrays.items() if name.startswith("params.backbone.")}
    assert len(named) > 10
    for state in states:
        weights = jax.tree_util.tree_leaves_with_path(nnx.filter_state(state.variables, targets.TargetWeight))
        found = {path_name(path): leaf for path, leaf in weights}
        assert found.keys() == named.keys()
        for name, leaf in found.items():
            np.testing.assert_array_equal(leaf, named[name], err_msg=name)


def test_tokens_are_those_of_the_whole_view_where_it_is_hidden(data_dir):
    method, views = probe.made("beit", data_dir)
    pixels = losses.map_pixels(method.view.displayable(views["image"]))
    logits = np.asarray(jax.jit(method.tokenizer.logits)(pixels)).reshape(32, 16, 12)
    expected = [row[hidden] for row, hidden in zip(logits.argmax(-1), np.asarray(views["hidden"]))]
    np.testing.assert_array_equal(views["tokens"], expected)
    assert views["tokens"].dtype == jnp.int32


def test_every_weight_but_the_tokenizers_is_trained(data_dir):
    """Through the drawing of views as well, from which tokens come."""
    method, views = probe.made("beit", data_dir)
    probe.check_gradients(method, views)
    tokens_too = lambda method: method.loss(
        views | {"tokens": jnp.take_along_axis(method.tokens(views["image"]), views["places"], 1)}, probe.KEY
    )[0]
    found = probe.gradients_of(tokens_too, method)
    assert all(not np.any(gradient) for name, gradient in found.items() if name.startswith("tokenizer."))


def another(folder, **model):
    """A folder with the config of a tokenizer of other sizes, without its weights."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(tiny.config("dvae", model=model)))
    return str(folder)


@pytest.mark.parametrize("factor, side", [(1, 4), (4, 16)])
def test_the_tokenizer_has_a_cell_for_each_patch(factor, side, trajectory, tmp_path):
    """It sees the picture at the size that gives so many, smoothed where that is smaller, as jax.image resizes."""
    method = trajectory[0].module(trajectory[1])
    folder = another(tmp_path / "run", factor=factor)
    other = type(method)(method.backbone, method.view, tokenizer=folder, min_block=2, rngs=nnx.Rngs(1))
    images = jax.vmap(method.view.evaluate)(trajectory[0].data.eval.read(np.arange(64)))
    pixels = jnp.clip(jax.image.resize(method.view.displayable(images), (64, side, side, 1), "cubic"), 0, 1)
    expected = jax.jit(other.tokenizer.tokens)(losses.map_pixels(pixels))
    assert expected.shape == (64, 16)
    assert np.mean(np.asarray(jax.jit(other.tokens)(images)) == np.asarray(expected)) > 0.99


def test_metrics_by_hand(data_dir):
    method, views = probe.made("beit", data_dir)
    _, metrics = jax.jit(lambda method: method.loss(views, probe.KEY))(method)
    tokens = np.asarray(views["tokens"])
    shares = np.bincount(tokens.ravel(), minlength=12) / tokens.size
    np.testing.assert_allclose(metrics["token_accuracy_commonest"], shares.max(), rtol=1e-5)
    used = shares[shares > 0]
    np.testing.assert_allclose(metrics["token_perplexity"], np.exp(-(used * np.log(used)).sum()), rtol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_a_run_is_taken_up_without_the_folder_of_its_tokenizer(data_dir, tmp_path):
    shutil.copytree(tiny.tokenizer_folder(), tmp_path / "first")
    config = tiny.config("beit", steps=2, schedule=dict(warmup_steps=1), evaluate=dict(during=(), tasks=()))
    config["method"] |= dict(tokenizer=str(tmp_path / "first"))
    assert run(config, tmp_path / "second", data_dir=data_dir) == 0
    before = trained.load(tmp_path / "second", data_dir=data_dir).method
    shutil.rmtree(tmp_path / "first")
    after = trained.load(tmp_path / "second", data_dir=data_dir).method
    for one, other in zip(jax.tree.leaves(nnx.state(before)), jax.tree.leaves(nnx.state(after)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_config_of_a_tokenizer_stands_in_for_it_where_data_is_made_up(data_dir, tmp_path):
    config = str(pathlib.Path(__file__).parents[2] / "configs" / "dvae_fashion_mnist.py")
    with pytest.raises(UserError, match="tokenizer is the config .*fashion_mnist.py, and no run.*python launch.py"):
        probe.made("beit", data_dir, tokenizer=config)
    method, views = probe.made("beit", data_dir, parts=dict(data=dict(mock=64)), tokenizer=config)
    assert method.tokenizer.vocab_size == 256 and len(np.unique(views["tokens"])) > 1
    preparing.keep_earlier(types.SimpleNamespace(tokenizer_folder=config), Workdir(tmp_path, writes=True))
    assert json.loads((tmp_path / "tokenizer" / "config.json").read_text())["model"]["name"] == "visual_tokenizer"


def test_what_cannot_be_a_tokenizer_is_refused(data_dir, tmp_path):
    refused = lambda tokenizer: probe.made("beit", data_dir, tokenizer=tokenizer)
    with pytest.raises(UserError, match="config.method.tokenizer is None: train one before .*'dvae', by python launch"):
        refused(None)
    with pytest.raises(UserError, match="config.method.tokenizer '.*nothing' is no folder of a run.*train one before"):
        refused(str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="reads 3 channels, and config.model 1"):
        refused(another(tmp_path / "colours", channels=3))
    folder = another(tmp_path / "empty")
    with pytest.raises(UserError, match="has no checkpoint"):
        refused(folder)
    path = tmp_path / "empty" / "config.json"
    path.write_text(json.dumps(tiny.config("mae")))
    with pytest.raises(UserError, match="is no run of dvae; its config.method is mae"):
        refused(folder)
    path.write_text("{}")
    with pytest.raises(UserError, match="is no run of dvae; its config.method is None"):
        refused(folder)


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(mask_ratio=0.01), "config.method.mask_ratio 0.01 leaves nothing to see or to predict of 16 patches"),
        (dict(min_block=0), "config.method.min_block 0 is below 1"),
    ],
)
def test_impossible_settings(settings, message, data_dir):
    with pytest.raises(UserError, match=message):
        probe.made("beit", data_dir, **settings)
