"""docs/pods.md and docs/topologies.md say what was measured, and it is what the README promises."""

import pytest

from benchmarks import pods, topologies
from ssl_jax import config as configs
from ssl_jax.experiment import resolve
from tests.test_configs import PAPERS

PLANS, LOSSES = pods.kept(), topologies.kept()
LINES = [(name, topology) for name, topologies in pods.SLICES.items() for topology in topologies]


def test_pages_are_made_of_the_results():
    assert pods.PAGE.read_text() == pods.page(PLANS)
    assert topologies.PAGE.read_text() == topologies.page(LOSSES)


def test_every_papers_config_has_a_pod():
    assert set(pods.SLICES) == {path.stem for path in PAPERS}
    assert PLANS.keys() == {f"{name} {topology}" for name, topology in LINES}


@pytest.mark.parametrize(("name", "topology"), LINES)
def test_papers_config_fits(name, topology):
    found = PLANS[f"{name} {topology}"]
    # Of 16 GiB the compiler leaves 0.25 GiB to the runtime.
    assert found["fits"] and 0 < found["memory"]["whole"] <= 0.95 * found["has"]
    config = resolve.resolved(configs.plain(configs.load(str(pods.ROOT / "configs" / f"{name}.py"))))
    assert (found["batch"], found["steps"]) == (config["batch_size"], config["steps"])


@pytest.mark.parametrize("key", LOSSES)
def test_runs_differ_by_rounding(key):
    title, label, _ = key.split(" | ")
    first = "bfloat16" if label.startswith("bfloat16") else "replicated"
    early, whole = topologies.differences(LOSSES[key], LOSSES[f"{title} | {first} | 1 device"])
    assert early < (1e-2 if first == "bfloat16" else 1e-4)
    assert whole < 0.02
