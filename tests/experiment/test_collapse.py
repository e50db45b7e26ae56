"""A run that collapses says so, warns or stops, and does not forget it; one that does not is left alone."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from ssl_jax import report
from ssl_jax.errors import RunError, UserError
from ssl_jax.experiment import collapse, run
from ssl_jax.experiment.collapse import Finding, Watch
from ssl_jax.methods import METHODS
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.models import targets
from ssl_jax.train import mesh as meshes
from ssl_jax.train.workdir import Workdir
from tests import tiny

pytestmark = pytest.mark.filterwarnings("ignore:.*sharding.*")

# Methods broken on purpose: tiny config, common overrides, those that break it, the verdict to expect at the end.
# `HEALTHY` has three of these runs with nothing broken: of prototypes, with and without a target, and of projections.
_STRONG = dict(
    steps=400,
    batch_size=128,
    model=dict(stage_sizes=(1, 1), base_width=16),
    optimizer=dict(name="sgd", learning_rate=0.1, weight_decay=1e-2),
    evaluate=dict(every=100, tasks=("knn_full",)),
    checkpoint=dict(every=400),
)
_LONGER = dict(_STRONG, steps=600)  # without a predictor BYOL takes more to collapse to a point
_ADAM = dict(_STRONG, optimizer=dict(learning_rate=2e-3), model={})
_ADAM["views"] = dict(local_crops=0, crop_scale=(0.5, 1.0), flip=0.0)
_WIDE = dict(projector_hidden=64, projector_out=32)
_SIMSIAM = dict(_WIDE, predictor_hidden=16)
_SWAV = dict(_WIDE, prototypes=32, queue_size=0, queue_start=0)
_DIGITS = {part: ConfigDict(tiny.config("byol")[part]) for part in ("views", "model")}
_DIGITS["model"].update(_STRONG["model"])
_DIGITS["optimizer"] = dict(learning_rate=2e-3)
_DINO = dict(prototypes=64, head_hidden=32, head_bottleneck=32, head_batch_norm=True, momentum=0.99)
_BLUNT = dict(centering="none", teacher_temperature=1.0, warmup_teacher_temperature=1.0)
_SHARP = dict(teacher_temperature=0.04, warmup_teacher_temperature=0.04)
BROKEN = {
    "dino without centring and sharpening": (
        "dino",
        {**_STRONG, **_DIGITS},
        dict(method=_DINO | _BLUNT),
        "prototype collapse",
    ),
    "byol without predictor": ("byol", _LONGER, dict(method=dict(predictor=False, **_WIDE)), "complete collapse"),
    "simsiam without stop-gradient": (
        "simsiam",
        _STRONG,
        dict(method=dict(stop_gradient=False, **_SIMSIAM)),
        "dimensional collapse",
    ),
    "swav without sinkhorn": ("swav", _ADAM, dict(method=dict(sinkhorn_iterations=0, **_SWAV)), "prototype collapse"),
    "vicreg without variance": (
        "vicreg",
        _STRONG,
        dict(method=dict(variance_weight=0.0, **_WIDE)),
        "complete collapse",
    ),
}
HEALTHY = {
    "dino": ("dino", {**_STRONG, **_DIGITS}, dict(method=_DINO | _SHARP)),
    "byol": ("byol", _LONGER, dict(method=_WIDE)),
    "swav": ("swav", _ADAM, dict(method=_SWAV)),
}


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """What is judged does not depend on devices, and on two cores eight take most of their time to keep in step."""
    monkeypatch.setattr(meshes, "make_mesh", functools.partial(meshes.make_mesh, jax.devices()[:1]))


class Fading(SimCLR):
    """What it gives are pixels; from step `first` until before `last` one of the three is the same for all inputs."""

    collapse_causes = "this test"

    def __init__(self, backbone, view, *, what: str = "features", first: int = 0, last: int = 100, rngs):
        super().__init__(backbone, view, projector_hidden=16, projector_out=8, rngs=rngs)
        self.what, self.first, self.last, self.done = what, first, last, targets.step_count()

    def follow(self, step):
        self.done[...] = step + 1

    def embed(self, inputs):
        return self._fade("features", self._pixels(inputs))

    def project(self, inputs):
        return self._fade("projections", self._pixels(inputs))

    def assign(self, inputs):
        return self._fade("prototypes", jax.nn.softmax(10 * self._pixels(inputs)))

    def _pixels(self, inputs):
        return jax.vmap(self.view.evaluate)(inputs).reshape(len(inputs["image"]), -1)

    def _fade(self, what, rows):
        fades = (self.done[...] >= self.first) & (self.done[...] < self.last)
        return jnp.where(fades & (what == self.what), jnp.ones_like(rows) / rows.shape[-1], rows)


TABLE = METHODS | {"fading": Fading}


def config(steps=8, **settings):
    leaves = dict(steps=steps, log_every=4, checkpoint=dict(every=2, keep=9), schedule=dict(warmup_steps=1))
    evaluate = dict(every=2, tasks=(), during=(), map_limit=0, collapse_patience=settings.pop("patience", 4))
    top = {"on_collapse": settings.pop("on_collapse")} if "on_collapse" in settings else {}
    made = tiny.config("simclr", evaluate=evaluate, **leaves)
    return made | top | {"method": {"name": "fading", **settings}}


def findings(workdir):
    return [
        (each["step"], each["verdict"]) for each in json.loads((workdir / "diagnosis.json").read_text())["evaluations"]
    ]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Collapse")]


def test_a_warning_comes_once_and_says_what_was_seen_and_why(tmp_path, data_dir, caplog, capsys):
    assert run(config(first=3), tmp_path, data_dir=data_dir, method_table=TABLE) == 0
    assert findings(tmp_path) == [(2, "healthy"), *((step, "complete collapse") for step in (4, 6, 8))]
    (line,) = warnings(caplog)
    assert line.startswith(
        "Collapse, from step 4 to step 8. Features: complete collapse. All embeddings point the same"
    )
    assert "Projections: healthy." in line and line.endswith("Usual causes with fading: this test.")
    out = capsys.readouterr().out
    assert "step 8/8" in out and ", complete collapse\n" in out, "the progress says it"
    assert "Diagnosis: Features: complete collapse." in out and "this test" in out, "so do the last words"
    page = (tmp_path / "report.html").read_text()
    assert "Collapsed at step 8. Features: complete collapse." in page and "this test" in page
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    spread = {line["step"]: line["eval/spread"] for line in lines if "eval/spread" in line}
    assert spread[2] > 0.01 > spread[4] == spread[8]
    assert {f"eval/{name}" for name in collapse.figure_names(Fading)} <= set().union(*lines)
    assert not (tmp_path / "figures" / "embedding_map.png").exists(), "map_limit is 0"


def test_a_healthy_run_is_left_alone_whatever_the_untrained_network_is(tmp_path, data_dir, caplog, capsys):
    assert run(config(last=2, patience=0), tmp_path, data_dir=data_dir, method_table=TABLE) == 0
    assert {verdict for _, verdict in findings(tmp_path)} == {"healthy"} and not warnings(caplog)
    assert "Diagnosis: Features: healthy. No sign of collapse" in capsys.readouterr().out
    assert "Diagnosis at step 8. Features: healthy." in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("what, verdict", [("projections", "complete collapse"), ("prototypes", "prototype collapse")])
def test_features_may_be_healthy_while_the_objective_has_collapsed(what, verdict, tmp_path, data_dir, caplog):
    settings = config(steps=2, what=what, patience=0)
    assert run(settings, tmp_path, data_dir=data_dir, method_table=TABLE) == 0
    assert findings(tmp_path) == [(2, verdict)]
    (line,) = warnings(caplog)
    assert "Collapse, at step 2. Features: healthy." in line and f"Projections: {verdict}." in line


def test_a_collapse_at_the_very_end_is_reported_without_patience(tmp_path, data_dir, caplog, capsys):
    assert run(config(first=8), tmp_path, data_dir=data_dir, method_table=TABLE) == 0
    assert not warnings(caplog) and "Diagnosis: Features: complete collapse." in capsys.readouterr().out


def test_stop_ends_the_run_and_keeps_the_checkpoints(tmp_path, data_dir):
    settings = config(first=3, on_collapse="stop", patience=2)
    with pytest.raises(RunError) as caught:
        run(settings, tmp_path, data_dir=data_dir, method_table=TABLE)
    line = str(caught.value)
    assert line.startswith("Collapse, from step 4 to step 6. Features: complete collapse.") and "\n" not in line
    assert (
        "Usual causes with fading: this test. The checkpoints are kept" in line and "'warn' in a new --workdir" in line
    )
    assert sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir()) == [2, 4, 6]
    metrics = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(metrics.splitlines()[-1])["step"] == 6 and not (tmp_path / "results.json").exists()
    with pytest.raises(RunError) as again:
        run(settings, tmp_path, data_dir=data_dir, method_table=TABLE)
    assert str(again.value) == line and (tmp_path / "metrics.jsonl").read_text() == metrics, "no step more"
    assert "Collapsed at step 6" in report.write(tmp_path).read_text()


def test_a_run_that_goes_on_knows_how_long_it_has_been_bad(tmp_path, data_dir, monkeypatch):
    settings = config(first=2, on_collapse="stop", patience=6)
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "judge", lambda watch, warn: watch.findings[-1].step < 6 or 1 / 0)
        with pytest.raises(ZeroDivisionError):  # as good as killed, after the checkpoint of step 6
            run(settings, tmp_path, data_dir=data_dir, method_table=TABLE)
    with pytest.raises(RunError, match="Collapse, from step 2 to step 8"):
        run(settings, tmp_path, data_dir=data_dir, method_table=TABLE)


def watch(folder, start=0, **settings):
    settings = dict(patience=20, on_collapse="warn", method_name="m", causes=None) | settings
    return Watch(folder, start, **settings)


@pytest.fixture
def folder(tmp_path):
    held = Workdir(tmp_path)
    yield held
    held.release()


BAD, GOOD = "dimensional collapse", "healthy"


@pytest.mark.parametrize(
    "patience, verdicts, warned",
    [
        (0, [BAD, BAD, GOOD, BAD], [10, 40]),
        (1, [BAD, BAD, BAD], [20]),
        (20, [BAD, BAD, BAD, BAD], [30]),
        (20, [GOOD, BAD, BAD, GOOD, BAD, BAD], []),
        (20, [BAD, BAD, BAD, GOOD, BAD, BAD, BAD, BAD], [30, 70]),
        (21, [BAD, BAD, BAD], []),
        (20, [BAD, "complete collapse", BAD], [30]),
    ],
)
def test_patience(patience, verdicts, warned, folder):
    steps = []
    for index, verdict in enumerate(verdicts):
        again = watch(folder, start=10 * index, patience=patience)  # as if every life of the run were this short
        again.add(Finding(10 * (index + 1), verdict, "text"))
        again.judge(lambda _, index=index: steps.append(10 * (index + 1)))
    assert steps == warned


def test_what_comes_again_is_forgotten(folder):
    first = watch(folder)
    for step, verdict in ((10, BAD), (20, GOOD), (30, BAD)):
        first.add(Finding(step, verdict, "text"))
    assert [found.step for found in watch(folder, start=20).findings] == [10, 20]
    assert watch(folder, start=0).findings == []


def test_a_stop_that_happened_before_the_checkpoint_comes_again(folder):
    first = watch(folder, on_collapse="stop", patience=10)
    for step in (10, 20):
        first.add(Finding(step, BAD, "text"))
    watch(folder, start=10, on_collapse="stop", patience=10)
    with pytest.raises(RunError, match="from step 10 to step 20"):
        watch(folder, start=20, on_collapse="stop", patience=10)


def test_nothing_to_tell(folder):
    nothing = watch(folder)
    nothing.judge(pytest.fail)
    assert nothing.summary() is None


def test_a_verdict_that_nobody_gives_is_damage(folder):
    watch(folder).add(Finding(10, "odd", "text"))
    with pytest.raises(UserError, match="diagnosis.json is damaged"):
        watch(folder, start=10)


def test_what_is_not_finite_ends_the_run():
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    with pytest.raises(RunError, match="Step 3: held-out projections hold NaN or Inf"):
        collapse.examine(3, rows, {"projections": rows * np.inf})


@pytest.mark.parametrize("scale, verdict", [(0.11, "healthy"), (0.09, "complete collapse")])
def test_projections_may_shrink_to_a_point_and_differ_in_direction(scale, verdict):
    rows = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    rows /= rows.std(axis=0)
    figures, found = collapse.examine(1, rows, {"projections": 2 * scale * rows}, held_deviation=2.0)
    assert figures["projection_deviation"] == pytest.approx(2 * scale)
    assert found.verdict == verdict and "Features: healthy." in found.text
    assert ("their deviation is 0.18, the loss should hold it at 2." in found.text) == (verdict != "healthy")


def test_prototypes_without_projections_are_diagnosed_beside_the_features():
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    figures, found = collapse.examine(1, rows, {"prototypes": np.full((50, 6), 1 / 6, np.float32)})
    assert found.verdict == "prototype collapse" and found.text.startswith("Features: prototype collapse.")
    assert figures["prototype_perplexity"] == pytest.approx(6) and "projection_spread" not in figures


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_broken_methods_are_caught(name, tmp_path, data_dir, caplog):
    method, leaves, own, verdict = BROKEN[name]
    assert run(tiny.config(method, **leaves, **own), tmp_path, data_dir=data_dir) == 0
    print(f"{name}: {findings(tmp_path)}")
    assert findings(tmp_path)[-1][1] == verdict
    (line,) = warnings(caplog)
    assert METHODS[method].collapse_causes in line


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_the_same_methods_unbroken_raise_no_alarm(name, tmp_path, data_dir, caplog):
    method, leaves, own = HEALTHY[name]
    assert run(tiny.config(method, **leaves, **own), tmp_path, data_dir=data_dir) == 0
    print(f"{name}: {findings(tmp_path)}")
    # One evaluation may be bad in between, which patience is for.
    assert findings(tmp_path)[-1][1] == "healthy" and not warnings(caplog)
