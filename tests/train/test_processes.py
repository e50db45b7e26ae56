"""One process among several: where it stands. Real ones are in tests/experiment/test_several_processes.py."""

import jax
import numpy as np
import pytest

from ssl_jax.errors import UserError
from ssl_jax.train import processes
from ssl_jax.train.mesh import make_mesh
from ssl_jax.train.processes import Place


@pytest.mark.parametrize("coordinator", ["somewhere", "host:", ":80", "host:port"])
def test_a_coordinator_is_a_host_and_a_port(coordinator):
    with pytest.raises(UserError, match="--coordinator is .*HOST:PORT"):
        Place(coordinator, 2, 0)


@pytest.mark.parametrize("process_id", [-1, 2])
def test_a_process_is_one_of_them(process_id):
    with pytest.raises(UserError, match="--process_id"):
        Place("host:80", 2, process_id)


def test_slurm_is_asked_only_within_a_step_of_several_tasks():
    among = processes._among_slurm_tasks
    assert among({"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_NUM_TASKS": "2"})
    assert not among({"SLURM_STEP_NODELIST": "n1", "SLURM_STEP_NUM_TASKS": "1"})
    assert not among({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"}), "a shell in an allocation waits for nobody"


def test_a_task_that_has_a_node_to_itself_takes_all_of_its_gpus():
    given = processes._slurm_devices
    assert given({"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_GPUS_ON_NODE": "4"}) == [0, 1, 2, 3]
    assert given({"SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_GPUS_ON_NODE": "4"}) is None
    assert given({"SLURM_STEP_TASKS_PER_NODE": "1"}) is None


def test_alone_nobody_is_waited_for():
    assert processes.first() and not processes.several()
    processes.meet("nowhere")
    assert processes.any_of(True) and not processes.any_of(False)
    scores = {"b": 0.1 + 0.2, "a": float("nan")}
    assert list(processes.scores_of_first(scores).items())[0] == ("b", 0.1 + 0.2)
    assert processes.of_first({"x": 1}) == {"x": 1} and processes.all_rows([1]) == [1]


@pytest.mark.parametrize("model", [1, 2])
def test_a_vote_is_the_same_on_all_devices(model, eight_devices):
    vote = processes.Vote(make_mesh(model=model))
    for wanted in (True, False):
        found = vote.cast(wanted)
        assert found.is_fully_replicated and bool(found) == wanted
        assert [bool(np.asarray(shard.data)) for shard in found.addressable_shards] == [wanted] * 8
    assert isinstance(found, jax.Array)
