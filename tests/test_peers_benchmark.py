"""benchmarks/peers.py and its contenders: they train the same thing, and say so where they cannot."""

import types

import jax
import numpy as np
import pytest
from flax import nnx

from benchmarks import methods_page, peers_page
from benchmarks.contenders import jobs
from benchmarks.contenders import setup as setups
from benchmarks.contenders.process import Contender, installed
from ssl_jax import augment
from ssl_jax.errors import UserError
from tests import tiny

VIEWS = dict(
    name="simclr", strength=0.5, hue=0.0, saturation=0.0, grayscale=0.0, blur=0.0, interpolation="bilinear", mean=(0.3,)
)
VIT = dict(
    name="vit",
    size="Ti",
    image_size=8,
    patch_size=2,
    channels=1,
    width=24,
    depth=1,
    heads=3,
    mlp_dim=48,
    pooling="mean",
)
RESNET = dict(name="resnet", stage_sizes=(1, 2), base_width=8, stem="small", channels=1)


def config(model: dict = VIT) -> dict:
    """A run on the digits, with what all contenders can do."""
    plain = tiny.config("simclr", steps=12, schedule=dict(warmup_steps=2))
    return plain | {"views": dict(VIEWS), "model": dict(model)}


needs_lightly = pytest.mark.skipif(not installed("lightly"), reason="needs requirements-peers.txt and -nodeps")


@pytest.mark.slow
@needs_lightly
def test_ours_and_lightly_train(data_dir):
    setup, judge, splits = setups.make(config(), data_dir)
    for name, workers in ("ours", None), ("lightly", 0):
        with Contender(name, setup, workers) as contender:
            before = contender.embed(splits[1][0])
            assert np.isfinite(contender.run(4))
            assert contender.time(1, 2) > 0
            features = [(contender.embed(images), labels) for images, labels in splits]
        assert before.shape == (len(splits[1][0]), 24)
        assert np.abs(features[1][0] - before).max() > 1e-3
        assert judge(*features).keys() == {"knn_full", "linear"}


@needs_lightly
@pytest.mark.parametrize("model", [VIT, RESNET], ids=["vit", "resnet"])
def test_network_in_pytorch_has_as_many_parameters(model, data_dir):
    from benchmarks.contenders import torch_networks
    from ssl_jax.experiment import build
    from ssl_jax.train.state import parameter_count

    theirs = torch_networks.backbone(setups.make(config(model), data_dir)[0])
    ours = build(config(model), data_dir=data_dir).method.backbone
    assert theirs.num_features == ours.features
    assert sum(p.numel() for p in theirs.parameters() if p.requires_grad) == parameter_count(ours)


@needs_lightly
def test_vit_in_pytorch_gives_our_features_of_the_same_weights(data_dir):
    from benchmarks.contenders import torch_networks, torch_views
    from ssl_jax.interop import vit
    from ssl_jax.models import ViT

    setup, _, (_, (images, _)) = setups.make(config(), data_dir)
    theirs = torch_networks.backbone(setup).eval()
    ours = ViT(**{name: value for name, value in setup.config["model"].items() if name != "name"}, rngs=nnx.Rngs(0))
    vit.from_timm(ours, {name: value.numpy() for name, value in theirs.state_dict().items()})
    pixels = torch_views.whole(setup, images[:16])
    features = theirs(pixels).detach().numpy()
    np.testing.assert_allclose(ours(pixels.permute(0, 2, 3, 1).numpy()), features, atol=1e-5)
    settings = {name: value for name, value in VIEWS.items() if name != "name"}
    view = augment.VIEWS["simclr"](types.SimpleNamespace(shapes={"image": (8, 8, 1)}), **settings)
    evaluated = jax.vmap(view.evaluate)({"image": images[:16]})
    np.testing.assert_allclose(evaluated, pixels.permute(0, 2, 3, 1), atol=1e-6)


@pytest.mark.parametrize("part, leaves", [("views", dict(solarize=0.2)), ("optimizer", dict(clip_each=1.0))])
@needs_lightly
def test_what_has_no_counterpart_is_refused(part, leaves, data_dir):
    from benchmarks.contenders import torch_networks, torch_optimizers, torch_views

    plain = config()
    plain[part] = plain[part] | leaves
    setup = setups.make(plain, data_dir)[0]
    with pytest.raises(UserError, match=next(iter(leaves))):
        if part == "views":
            torch_views.transform(setup)
        else:
            setup.build(torch_optimizers.OPTIMIZERS, "optimizer", setup, torch_networks.backbone(setup))


def test_page_says_who_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(peers_page, "PAGE", tmp_path / "peers.md")
    found = {
        "throughput/vit/byol": {
            "seconds": {"ours": [0.1, 0.1, 0.2], "lightly": [0.2, 0.3, 0.4]},
            "workers": {"ours": None, "lightly": 2},
            "batch_size": 128,
        }
    }
    for method, ours in ("byol", 0.80), ("simclr", 0.70):
        for seed in range(2):
            for name, value in ("ours", ours), ("lightly", 0.8):
                scores = dict(knn_full=value + 0.01 * seed, linear=0.9)
                found[f"accuracy/small_openmoji/{method}/{name}/seed{seed}"] = scores
    found["accuracy/small_openmoji/byol/stable-pretraining/seed0"] = {"loss": "nan"}
    peers_page.write({key: entry | {"hardware": "this"} for key, entry in found.items()})
    page = peers_page.PAGE.read_text()
    assert "| byol | 100 | 300, 2 workers | 2.00 (2.00 to 3.00) |" in page
    assert "| byol | 80.5 ± 0.7 | 80.5 ± 0.7 | (1 of 1 runs became NaN) | yes |" in page
    assert "| simclr | 70.5 ± 0.7 | 80.5 ± 0.7 |  | NO |" in page


def test_results_of_changed_or_gone_configs_are_left_out(capsys):
    now, changed = "accuracy/small_openmoji/byol/ours/seed0", "throughput/vit/simclr"
    gone = "throughput/no_network/simclr", "accuracy/small_openmoji/no_method/ours/seed0"
    found = {now: {"config": jobs.digest(now)}, changed: {"config": "0"}, **{key: {} for key in gone}}
    assert list(methods_page.fresh(found, jobs.digest)) == [now]
    said = capsys.readouterr().out
    assert all(key in said for key in (changed, *gone)) and now not in said


def test_a_digest_tells_configs_apart():
    keys = "throughput/vit/byol", "throughput/resnet18/byol", "accuracy/small_openmoji/byol", "throughput/vit/simclr"
    assert len({jobs.digest(key) for key in keys}) == 4
    assert jobs.digest("accuracy/small_openmoji/byol/ours/seed0") == jobs.digest(
        "accuracy/small_openmoji/byol/ours/seed1"
    )
