"""HuBERT's clusters: of cepstra, and of an earlier run's features."""

import json
import shutil

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.experiment import build, run, trained
from ssl_jax.methods.hubert import Centroids
from ssl_jax.train import mesh as meshes
from ssl_jax.train.checkpoints import Checkpoints
from tests import sounds, tiny

ONE_DEVICE = jax.devices()[:1]


def experiment(data_dir, devices=ONE_DEVICE, model=(), **settings):
    config = tiny.config("hubert", method=settings, model=dict(model))
    return build(config, data_dir=data_dir, mesh=meshes.make_mesh(devices))


def centroids(state):
    return np.asarray(jax.tree.leaves(nnx.filter_state(state.variables, Centroids))[0])


def test_clusters_are_the_same_on_one_device_and_on_eight(data_dir, eight_devices):
    one, eight = (centroids(experiment(data_dir, devices).initial_state()) for devices in (ONE_DEVICE, eight_devices))
    assert one.shape == (8, 39) and np.abs(one).max() > 0
    np.testing.assert_array_equal(one, eight)


def test_labels_are_the_nearest_centroids_of_real_frames(data_dir):
    built = experiment(data_dir)
    method = built.module(built.initial_state())
    heard = jax.vmap(method.view.evaluate)(sounds.batch())
    features, counts = jax.jit(method.describe)(heard)
    labels = np.asarray(jax.jit(method.labels)(heard))
    assert features.shape == (6, int(method.backbone.frames(sounds.SAMPLES)), 39)
    distance = np.square(np.asarray(features)[:, :, None] - np.asarray(method.centroids[...])[None, None]).sum(-1)
    real = np.arange(features.shape[1])[None] < np.asarray(counts)[:, None]
    np.testing.assert_array_equal(labels[real], distance.argmin(-1)[real])


def test_clusters_are_closer_than_frames_that_are_picked(data_dir):
    built = experiment(data_dir)
    method = built.module(built.initial_state())
    frames = method.frames_of(built.data.train)
    nearest = lambda middles: np.square(frames[:, None] - middles[None]).sum(-1).min(1).mean()
    assert nearest(np.asarray(method.centroids[...])) < 0.9 * nearest(frames[:: len(frames) // 8][:8])


def first_run(folder, data_dir, **model):
    """A run's folder with a checkpoint, and its state."""
    built = experiment(data_dir, model=model)
    state = built.initial_state()
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(configs.plain(built.config)))
    saver = Checkpoints(folder, every=1)
    saver.save(1, state, {})
    saver.close()
    return state


def test_second_iteration_clusters_features_of_the_first(data_dir, tmp_path):
    first = first_run(tmp_path / "first", data_dir)
    built = experiment(data_dir, teacher=str(tmp_path / "first"), layer=2, clusters=6)
    state = built.initial_state()
    method = built.module(state)
    assert centroids(state).shape == (6, 16) and "teacher" not in state.params
    ours, theirs = jax.tree.leaves(nnx.state(method.teacher)), jax.tree.leaves(first.params["backbone"])
    for mine, their in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, their)
    heard = jax.vmap(method.view.evaluate)(sounds.batch())
    features, _ = jax.jit(method.describe)(heard)
    teacher = experiment(data_dir).module(first).backbone
    np.testing.assert_allclose(features, jax.jit(lambda heard: teacher.states(**heard)[1])(heard), atol=1e-5)


@pytest.mark.parametrize("scan", [False, True])
def test_blocks_behind_the_one_that_is_clustered_are_left_out(scan, data_dir, tmp_path):
    first = first_run(tmp_path / "first", data_dir, scan=scan)
    built = experiment(data_dir, teacher=str(tmp_path / "first"), layer=1, clusters=6)
    method = built.module(built.initial_state())
    assert method.teacher.stack.depth == 1
    heard = jax.vmap(method.view.evaluate)(sounds.batch())
    features, _ = jax.jit(method.describe)(heard)
    teacher = experiment(data_dir, model=dict(scan=scan)).module(first).backbone
    np.testing.assert_allclose(features, jax.jit(lambda heard: teacher.states(**heard)[0])(heard), atol=1e-5)


def test_of_too_many_frames_some_of_each_example_are_clustered(data_dir):
    method = sounds.method("hubert", fit_examples=16, fit_frames=100)
    source = experiment(data_dir).data.train
    few, everything = method.frames_of(source), sounds.method("hubert", fit_examples=16).frames_of(source)
    assert len(few) <= 96 < len(everything)
    known = {frame.tobytes() for frame in everything}
    assert all(frame.tobytes() in known for frame in few)


def test_a_second_iteration_is_taken_up_without_the_folder_of_the_first(data_dir, tmp_path):
    first_run(tmp_path / "first", data_dir)
    config = tiny.config("hubert", steps=2, schedule=dict(warmup_steps=1), evaluate=dict(during=(), tasks=()))
    config["method"] |= dict(teacher=str(tmp_path / "first"), layer=2, clusters=6)
    assert run(config, tmp_path / "second", data_dir=data_dir) == 0
    before = trained.load(tmp_path / "second", data_dir=data_dir).method
    shutil.rmtree(tmp_path / "first")
    after = trained.load(tmp_path / "second", data_dir=data_dir).method
    for one, other in zip(jax.tree.leaves(nnx.state(before)), jax.tree.leaves(nnx.state(after)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_a_teacher_is_refused(data_dir, tmp_path):
    with pytest.raises(UserError, match="config.method.teacher '.*nothing' is no folder of a run.*train the first"):
        experiment(data_dir, teacher=str(tmp_path / "nothing"))
    first_run(tmp_path / "first", data_dir)
    with pytest.raises(UserError, match="config.method.layer 3 is above the teacher's 2 blocks"):
        experiment(data_dir, teacher=str(tmp_path / "first"), layer=3)
    path = tmp_path / "first" / "config.json"
    found = json.loads(path.read_text())
    for part, leaves, told in (
        ("views", {"standardize": False}, "trained with config.views.standardize False, and here it is True"),
        ("model", {"name": "frame_gru"}, "is no run of a waveform_transformer; its config.model is frame_gru"),
    ):
        path.write_text(json.dumps(found | {part: found[part] | leaves}))
        with pytest.raises(UserError, match=told):
            experiment(data_dir, teacher=str(tmp_path / "first"))
    path.write_text("{}")
    with pytest.raises(UserError, match="is no run of a waveform_transformer"):
        experiment(data_dir, teacher=str(tmp_path / "first"))


def test_cepstra_need_an_even_number_of_samples_a_frame():
    with pytest.raises(ValueError, match="config.model.conv_strides give 45 samples a frame; take an even number"):
        sounds.method("hubert", model=dict(conv_strides=(5, 3, 3)))


def test_a_teacher_has_frames_of_any_number_of_samples_as_the_network(data_dir, tmp_path):
    odd = dict(conv_strides=(5, 3, 3))
    (tmp_path / "config.json").write_text(json.dumps(configs.plain(tiny.config("hubert", model=odd)), default=list))
    method = sounds.method("hubert", model=odd, teacher=str(tmp_path), layer=1)
    assert method.teacher.hop == method.backbone.hop == 45
    with pytest.raises(ValueError, match="teacher has a frame every 45 samples, and config.model every 160"):
        sounds.method("hubert", teacher=str(tmp_path), layer=1)


def test_more_clusters_than_frames_are_refused(data_dir):
    with pytest.raises(UserError, match="config.method.clusters is 5000, and there are"):
        experiment(data_dir, clusters=5000).initial_state()
