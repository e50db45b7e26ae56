"""Every config of configs/ holds together; the paper configs run, on made-up data, and have the papers' sizes."""

import json
import os
import pathlib
import runpy
import subprocess
import sys

import jax
import pytest

from benchmarks import method_tables
from ssl_jax import config as configs
from ssl_jax.evaluate import score_names
from ssl_jax.experiment import check
from ssl_jax.experiment.dry_run import assembled, encoder_multiply_adds
from ssl_jax.report.names import METRICS
from ssl_jax.train.loop import SPEED
from ssl_jax.train.optimizers import peak_rate
from ssl_jax.train.state import parameter_count
from ssl_jax.train.step import make_train_step
from tests.killed import compiling_little

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "configs").glob("*.py"))
TABLES = [path for path in FILES if path.stem.startswith(method_tables.KINDS)]
VARIANTS = [f"{path}:{name}" for path in TABLES for name in runpy.run_path(str(path))["METHODS"]]
ANSWERS = [
    f"{spec}-{answer}"
    for spec in VARIANTS
    for answer in method_tables.answers_of(pathlib.Path(spec).name.partition(".")[0])
]
# Run from start to report: two networks of pictures, and text. Of the others the train step is traced, and their
# methods run in tests/methods.
SMOKE = ("simclr_imagenet_rn50", "mae_imagenet_vit_b16", "bert_base")
TEXT_SETS = ("wikipedia", "lm1b", "_c4_")
TEXT = ("bert_base", *(path.stem for path in FILES if any(name in path.stem for name in TEXT_SETS)))
SPEECH = tuple(path.stem for path in FILES if "librispeech" in path.stem)
PAIRED = tuple(path.stem for path in FILES if "laion400m" in path.stem)
SEEN = ("imagenet", "cifar10", "ucf101", *PAIRED)
PICTURES = [path for path in FILES if any(name in path.stem for name in SEEN)]
PAPERS = sorted([*PICTURES, *(path for path in FILES if path.stem in (*TEXT, *SPEECH))])


# Their sources state no size: lightly's and other benchmarks on CIFAR-10, DALL-E's and LeJEPA's papers, and most papers
# of speech; or no multiply-adds.
SIZED_ENCODERS = {"byol_librispeech_cnn", "mae_librispeech_vit_b16"}
SIZED_SPEECH = {"wav2vec2_librispeech_base", "hubert_librispeech_base"}
WITHOUT_SIZE = {path.stem for path in PAPERS if "cifar10" in path.stem} | {"dvae_imagenet", "lejepa_imagenet_vit_h14"}
WITHOUT_SIZE |= {"v_jepa_ucf101_vit_l16"}
WITHOUT_SIZE |= {*SPEECH} - SIZED_SPEECH - SIZED_ENCODERS
WITHOUT_MULTIPLY_ADDS = WITHOUT_SIZE | {"dinov2_imagenet_vit_l16", "i_jepa_imagenet_vit_h14", *TEXT, *SPEECH}
# A source counts those of whole pictures of 224 pixels.
WITHOUT_MULTIPLY_ADDS |= {"jigsaw_imagenet_rn50", "relative_position_imagenet_rn50"}
WITHOUT_MULTIPLY_ADDS |= {"capi_imagenet_vit_l14"}  # stated as operations, 1 % fewer than there are
OWN = [str(path) for path in FILES if path not in PAPERS]
# What these reach has not been measured, so they promise nothing yet.
UNMEASURED = {"dvae_fashion_mnist", "dvae_openmoji", "masked_fashion_mnist", "paired_openmoji"}
papers = pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)


@pytest.mark.parametrize("spec", [*OWN, *VARIANTS, *ANSWERS], ids=lambda spec: spec.rpartition("/")[2])
def test_config_is_valid(spec):
    check(configs.plain(configs.load(spec)))


@pytest.mark.parametrize("table", [table for table in method_tables.tables() if method_tables.answers_of(table)])
def test_networks_are_trained_further_alike_by_whatever_method_they_were_trained(table):
    for answer in method_tables.answers_of(table):
        specs = [f"{method_tables.spec_of(table, method)}-{answer}" for method in method_tables.methods_of(table)]
        found = [configs.without(method_tables.config_of(spec), "model", "expected") for spec in specs]
        assert len(found) > 1 and all(config == found[0] for config in found)


@pytest.mark.parametrize("kind", ["small", "masked"])
def test_tables_of_a_kind_hold_the_same_methods(kind):
    methods = [set(method_tables.methods_of(table)) for table in method_tables.tables() if table.startswith(kind)]
    assert len(methods) > 1 and all(names == methods[0] for names in methods)


@papers
def test_paper_is_built_without_its_data_and_is_as_large_as_it_says(path, tmp_path):
    experiment, made_up = assembled(configs.plain(configs.load(str(path))), data_dir=str(tmp_path))
    assert made_up and experiment.config["data"]["mock"] >= experiment.recipe.batch_size
    method, expected = experiment.method, experiment.config["expected"]
    assert ("parameters" in expected) == (path.stem not in WITHOUT_SIZE)
    assert ("multiply_adds" in expected) == (path.stem not in WITHOUT_MULTIPLY_ADDS)
    apart = ("electra", "word2vec", "data2vec_text")  # generator, vectors of contexts and head are thrown away
    whole = path.stem in (*TEXT, *PAIRED) and experiment.config["method"]["name"] not in apart
    count = parameter_count(method if whole or path.stem in SIZED_SPEECH else method.backbone)
    count += parameter_count(method.replaced_head) if hasattr(method, "replaced_head") else 0
    assert is_stated(count, expected.get("parameters"))
    assert is_stated(encoder_multiply_adds(experiment), expected.get("multiply_adds"))


def read(path, *overrides):
    """The plain config of a file after --config.LEAF=VALUE for each (LEAF, VALUE)."""
    config = configs.load(str(path))
    for leaf, value in overrides:
        configs.override(config, leaf, str(value))
    return configs.plain(config)


def counts(config):
    """The leaves that count steps, without 'config.', but for `log_every`, which follows nothing."""
    names = [name.removeprefix("config.") for name in configs.flat(config)]
    return [name for name in names if name.rpartition(".")[2] in ("steps", "every") or name.endswith("_steps")]


@papers
def test_counts_of_steps_and_rates_follow_the_batch_and_nothing_else_does(path):
    paper = read(path)
    half = read(path, ("batch_size", paper["batch_size"] // 2))
    rates = ["optimizer.learning_rate", "schedule.start_factor", "schedule.end_factor"]
    changed = {name.removeprefix("config.") for name in configs.differences(paper, half)}
    assert {"batch_size", "steps", "checkpoint.every", "evaluate.every"} <= changed
    assert changed <= {"batch_size", *counts(paper), *rates}
    before, after = configs.flat(paper), configs.flat(half)
    for name in counts(paper):  # an epoch is cut to whole steps: 48 in the shortest
        assert after[f"config.{name}"] == pytest.approx(2 * before[f"config.{name}"], rel=1 / 48), name


@papers
def test_a_count_that_is_overridden_changes_alone_and_follows_no_more(path):
    paper = read(path)
    half = read(path, ("batch_size", paper["batch_size"] // 2))
    for name in counts(paper):
        assert configs.differences(paper, read(path, (name, 7))).keys() == {f"config.{name}"}
        for order in (1, -1):
            both = [("batch_size", paper["batch_size"] // 2), (name, 7)][::order]
            assert configs.differences(half, read(path, *both)).keys() == {f"config.{name}"}


@pytest.mark.parametrize(
    "name, leaf, rate",
    [
        ("beit_imagenet_vit_b16", "end_factor", 1e-5),
        ("data2vec_vision_imagenet_vit_b16", "end_factor", 1e-5),
        ("dino_cifar10_rn18", "start_factor", 3e-3),
        ("dino_imagenet_vit_s16", "end_factor", 1e-5),
        ("dinov2_imagenet_vit_l16", "end_factor", 1e-6),
        ("dvae_imagenet", "end_factor", 1.25e-6),
        ("ibot_imagenet_vit_s16", "end_factor", 1e-6),
        ("moco_v3_cifar10_rn18", "start_factor", 3e-5),
        ("msn_imagenet_vit_s16", "start_factor", 2e-4),
        ("msn_imagenet_vit_s16", "end_factor", 1e-6),
        ("sup_con_cifar10_rn50", "start_factor", 0.01),
        ("swav_imagenet_rn50", "start_factor", 0.3),
        ("swav_imagenet_rn50", "end_factor", 0.0048),
        ("vicreg_cifar10_rn18", "start_factor", 3e-5),
    ],
)
def test_first_and_last_rates_are_the_official_ones_at_any_batch(name, leaf, rate):
    path = ROOT / "configs" / f"{name}.py"
    for config in (read(path), read(path, ("batch_size", 128))):
        rule = {key: config["optimizer"].get(key) for key in ("learning_rate", "reference_batch_size")}
        assert peak_rate(config["batch_size"], **rule) * config["schedule"][leaf] == pytest.approx(rate)


@pytest.mark.parametrize(
    "name, rate",
    [("dcl_imagenet_rn50", 1.2), ("dinov2_imagenet_vit_l16", 0.004 * 2**0.5), ("simclr_v2_imagenet_rn50", 6.4)],
)
def test_rates_follow_the_root_of_the_batch(name, rate):
    path = ROOT / "configs" / f"{name}.py"
    paper = read(path)
    quarter = read(path, ("batch_size", paper["batch_size"] // 4))
    assert paper["optimizer"]["learning_rate"] == pytest.approx(rate)
    assert quarter["optimizer"]["learning_rate"] == pytest.approx(rate / 2)


def is_stated(count, stated):
    """Whether a number as it is stated, rounded or cut off after its last digit that is not 0, is of `count`."""
    unit = 1 if stated is None else 10 ** (len(str(stated)) - len(str(stated).rstrip("0")))
    return stated is None or stated - unit / 2 <= count < stated + unit


@pytest.mark.parametrize("stated, lowest, highest", [(24_000_000, 23_500_000, 24_999_999), (25, 25, 25)])
def test_a_stated_number_is_rounded_or_cut_off(stated, lowest, highest):
    assert is_stated(lowest, stated) and is_stated(highest, stated)
    assert not is_stated(lowest - 1, stated) and not is_stated(highest + 1, stated)


@pytest.mark.parametrize(
    "path",
    # For each method of those on CIFAR-10 there is a config for ImageNet too.
    [pytest.param(path, id=path.stem) for path in PAPERS if "cifar10" not in path.stem],
)
def test_smoke_variant_traces_a_whole_step(path, data_dir):
    """Views, loss, gradients, update and what follows, without compiling; the state comes back in the same shapes."""
    experiment, _ = assembled(configs.plain(configs.load(f"{path}:smoke")), data_dir=data_dir)
    recipe = experiment.recipe
    step = make_train_step(recipe.graphdef, recipe.optimizer, recipe.schedule, recipe.seed)
    state = experiment.abstract_state()
    after, metrics = jax.eval_shape(step, state, experiment.batch_at(0))
    assert jax.tree.structure(after) == jax.tree.structure(state) and metrics["loss"].shape == ()
    assert {*metrics, SPEED} - {"bad_step"} <= METRICS.keys(), "reports have a name for each"
    for before, leaf in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (before.shape, before.dtype) == (leaf.shape, leaf.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in PAPERS if path.stem in SMOKE], ids=lambda path: path.stem)
def test_smoke_variant_runs_from_start_to_report(path, tmp_path, data_dir):
    command = [sys.executable, "launch.py", f"--config={path}:smoke", f"--workdir={tmp_path / 'run'}"]
    command += [f"--data_dir={data_dir}", "--config.evaluate.map_limit=100"]
    # One of them is compiled as a user's.
    compiled = {"XLA_FLAGS": ""} if path.stem == "mae_imagenet_vit_b16" else compiling_little(1)
    subprocess.run(command, cwd=ROOT, env=os.environ | compiled, check=True)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["pretrained/loss"] > 0
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "figures" / "embedding_map.png").exists()


@pytest.mark.parametrize("spec", [*OWN, *VARIANTS], ids=lambda spec: spec.rpartition("/")[2])
def test_small_config_promises_margins_over_the_untrained_network(spec):
    """A variant of a table may promise none there, but does in another."""
    config = configs.plain(configs.load(spec))
    margins = config["expected"]["margins"]
    assert margins or spec in VARIANTS or pathlib.Path(spec).stem in UNMEASURED
    assert margins.keys() <= {*score_names(config["evaluate"]["tasks"], labelled=True), *METRICS}
    most = lambda measure: 3 if measure.endswith("_skill") else 1  # which may be below 0 before training
    assert all(0 < margin < most(measure) for measure, margin in margins.items())
