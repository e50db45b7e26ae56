"""Every config of configs/ holds together; the paper configs run, on made-up data, and have the papers' sizes."""

import json
import os
import pathlib
import runpy
import subprocess
import sys

import jax
import pytest
from flax import nnx

from ssl_jax import config as configs
from ssl_jax.experiment import build, check
from ssl_jax.models import MODELS
from ssl_jax.train.state import parameter_count

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "configs").glob("*.py"))
TABLES = [path for path in FILES if path.stem.startswith("small_")]
VARIANTS = [f"{path}:{name}" for path in TABLES for name in runpy.run_path(str(path))["METHODS"]]
# Millions of parameters of the encoder, lowest and highest, and where the paper says so.
SIZES = {
    "simclr_imagenet_rn50": (23.5, 23.6),  # Chen et al. 2020, table 6: 24 M
    "simclr_v2_imagenet_rn50": (23.5, 23.6),  # Chen et al. 2020 (v2), table 1: 24 M
    "barlow_twins_imagenet_rn50": (23.5, 23.6),  # the same network
    "byol_imagenet_rn50": (23.5, 23.6),  # Grill et al. 2020, table 1: 24 M
    "dino_imagenet_vit_s16": (21.6, 21.7),  # Caron et al. 2021, table 1: 21 M
    "dinov2_imagenet_vit_l16": (303.2, 303.5),  # Dosovitskiy et al. 2021, table 1: ViT-L, 307 M with a classifier
    "ibot_imagenet_vit_s16": (21.6, 21.7),  # the official README: 21 M
    "swav_imagenet_rn50": (23.5, 23.6),  # as BYOL's: a ResNet-50
    "msn_imagenet_vit_s16": (21.5, 22.0),  # Touvron et al. 2021, table 1: DeiT-S, 22 M
    "mae_imagenet_vit_b16": (85.6, 86.0),  # Dosovitskiy et al. 2021, table 1: ViT-B, 86 M
    "moco_v3_imagenet_vit_b16": (85.6, 86.0),  # Dosovitskiy et al. 2021, table 1: ViT-B, 86 M
    "simsiam_imagenet_rn50": (23.5, 23.6),  # the same network
    "vicreg_imagenet_rn50": (23.5, 23.6),  # README of facebookresearch/vicreg: 23 M
}
# Run from start to report: one for each kind of method. The others are built, and their methods run in tests/methods.
SMOKE = ("simclr_imagenet_rn50", "dinov2_imagenet_vit_l16", "moco_v2_cifar10_rn18", "mae_imagenet_vit_b16", "bert_base")
PAPERS = [path for path in FILES if "imagenet" in path.stem or "cifar10" in path.stem or path.stem == "bert_base"]


@pytest.mark.parametrize("spec", [*map(str, FILES), *VARIANTS], ids=lambda spec: spec.rpartition("/")[2])
def test_config_is_valid(spec):
    check(configs.plain(configs.load(spec)))


def test_tables_of_small_configs_hold_the_same_methods():
    methods = [set(runpy.run_path(str(path))["METHODS"]) for path in TABLES]
    assert all(names == methods[0] for names in methods)


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_smoke_variant_is_valid(path):
    check(configs.plain(configs.load(f"{path}:smoke")))


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in PAPERS if path.stem in SMOKE], ids=lambda path: path.stem)
def test_smoke_variant_runs_from_start_to_report(path, tmp_path, data_dir):
    command = [sys.executable, "launch.py", f"--config={path}:smoke", f"--workdir={tmp_path / 'run'}"]
    one_device = os.environ | {"XLA_FLAGS": ""}
    subprocess.run([*command, f"--data_dir={data_dir}"], cwd=ROOT, env=one_device, check=True)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["pretrained/loss"] > 0
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("name", SIZES)
def test_paper_encoder_has_the_papers_size(name, data_dir):
    low, high = SIZES[name]
    path = next(path for path in FILES if path.stem == name)
    config = configs.load(str(path))
    config.data.mock, config.batch_size = 64, len(jax.devices())
    config.evaluate.limit = None
    experiment = build(configs.plain(config), data_dir=data_dir)
    assert low < parameter_count(experiment.method.backbone) / 1e6 < high


def test_bert_base_has_the_papers_size():
    """Devlin et al. 2018, section 3: 110 M."""
    settings = configs.plain(configs.load(str(next(path for path in FILES if path.stem == "bert_base"))))["model"]
    make = lambda: MODELS[settings["name"]](**configs.without(settings, "name"), rngs=nnx.Rngs(0))
    assert 108.5 < parameter_count(nnx.eval_shape(make)) / 1e6 < 110.5


def test_small_configs_promise_a_margin_over_the_untrained_network():
    for path in [path for path in FILES if path not in PAPERS]:
        config = configs.plain(configs.load(str(path)))
        margins = config["expected"]["margins"]
        own = {"masked_accuracy", "next_sentence_accuracy"} if config["method"]["name"] == "bert" else set()
        assert margins and margins.keys() <= {*config["evaluate"]["tasks"], *own}, path
        assert all(0 < margin < 1 for margin in margins.values()), path
