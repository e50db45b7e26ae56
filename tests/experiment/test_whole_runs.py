"""Methods from start to report, as short as a run can be, and taken up again from its folder."""

import json
import math

import pytest

from ssl_jax.experiment import run, trained
from ssl_jax.experiment.build import BEGINNINGS
from tests import tiny

# One of each kind that no other test runs as a whole: with a teacher, a second network, an earlier run's, clusters, a
# queue, other data or other evaluations. A run of any method takes half a minute.
METHODS = ("beit", "clap", "clip", "data2vec", "data2vec_text", "dinov2", "dvae", "electra", "hubert", "nnclr")
METHODS += ("simcse", "t5", "word2vec")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", METHODS)
def test_a_run_ends_with_a_report_and_can_be_loaded(method, data_dir, tmp_path):
    short = dict(steps=2, schedule=dict(warmup_steps=1), evaluate=dict(every=0, during=(), map_limit=0))
    fewer = {name: 1 for name in BEGINNINGS["method"] if name in tiny.config(method)["method"]}
    config = tiny.config(method, method=fewer, **short)
    assert run(config, tmp_path, data_dir=data_dir) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {name.partition("/")[0] for name in results} >= {"raw", "untrained", "pretrained"}
    assert all(math.isfinite(value) for value in results.values())
    assert (tmp_path / "report.html").stat().st_size > 10_000
    loaded = trained.load(tmp_path, data_dir=data_dir)
    assert int(loaded.state.step) == 2
