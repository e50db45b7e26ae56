"""Exports that cannot be; those that can are in tests/fidelity, where transformers loads them."""

import json

import ml_collections
import pytest

from ssl_jax import experiment, interop
from ssl_jax.errors import UserError
from tests import tiny


def write(folder, method):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(tiny.config(method)))
    return folder


def test_no_run_no_checkpoint_no_counterpart(data_dir, tmp_path):
    with pytest.raises(UserError, match="is no run's folder: it has no config.json"):
        experiment.export(tmp_path, tmp_path / "out")
    for method in ("apc", "capi", "dvae", "v_jepa"):
        with pytest.raises(UserError, match=f"no counterpart of what {method} trains. These can be exported: .*bert"):
            experiment.export(write(tmp_path / method, method), tmp_path / "out")
    bert = write(tmp_path / "bert", "bert")
    with pytest.raises(UserError, match="has no checkpoint yet"):
        experiment.export(bert, tmp_path / "out", data_dir=data_dir)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="bert holds something already; give --out a new folder"):
        experiment.export(bert, bert)


# Of pictures: the method, what is set, and what is said of it.
WITHOUT = (
    ("simclr", dict(), "begins with a 7x7 convolution and a maximum: config.model.stem must be 'imagenet'"),
    ("simclr", dict(method=dict(embed_layers=1)), "config.method.embed_layers is 1, and features come from within"),
    ("simmim", dict(), "has relative positions and a class token: set .* config.model.pooling to 'cls'"),
    ("i_jepa", dict(model=dict(layer_scale=0.1)), "DINOv2 of transformers has scaled branches, a class token"),
    ("ibot", dict(model=dict(layer_scale=0.1, mlp_dim=36)), "mlp_dim is a multiple of the width 24, here it is 36"),
)


@pytest.mark.parametrize("method, leaves, message", WITHOUT)
def test_networks_of_pictures_without_counterpart(method, leaves, message, data_dir):
    built = experiment.build(tiny.config(method, **leaves), data_dir=data_dir)
    with pytest.raises(UserError, match=message) as error:
        interop.EXPORTERS[method](built.method, built.data.spec)
    assert "\n" not in str(error.value)


def test_networks_of_clips_have_none_either(data_dir):
    config = tiny.config("v_jepa") | dict(method=dict(name="supervised", label_smoothing=0.1))
    built = experiment.build(config, data_dir=data_dir)
    with pytest.raises(UserError, match="has no ViT of clips as this one: config.model.frames must be None"):
        interop.EXPORTERS["supervised"](built.method, built.data.spec)


def test_spectrograms_are_no_pictures(data_dir):
    of_sound = {name: tiny.config("clap")[name] for name in ("data", "evaluate")}
    heard = dict(views=ml_collections.ConfigDict(dict(name="byol_a")), model=dict(stem="small"))
    built = experiment.build(tiny.config("byol", **of_sound, **heard), data_dir=data_dir)
    with pytest.raises(UserError, match="image processors know no spectrograms"):
        interop.EXPORTERS["byol"](built.method, built.data.spec)
