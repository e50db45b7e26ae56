"""metrics.jsonl over several lives of a run."""

import jax.numpy as jnp

from ssl_jax.train import metrics


def test_a_later_life_drops_what_it_will_write_again(tmp_path):
    writer = metrics.MetricWriter(tmp_path, 0)
    for step in (2, 4, 6):
        writer.write(step, {"train/loss": float(step)})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "train/lo')  # killed in mid-write
    assert [line["step"] for line in metrics.read(tmp_path)] == [2, 4, 6]
    writer = metrics.MetricWriter(tmp_path, 4)
    writer.write(6, {"train/loss": 60.0})
    writer.close()
    assert metrics.read(tmp_path) == [
        {"step": 2, "train/loss": 2.0},
        {"step": 4, "train/loss": 4.0},
        {"step": 6, "train/loss": 60.0},
    ]


def test_a_run_from_the_start_begins_a_new_file(tmp_path):
    for _ in range(2):
        writer = metrics.MetricWriter(tmp_path, 0)
        writer.write(1, {"train/loss": 1.0})
        writer.close()
    assert len(metrics.read(tmp_path)) == 1


def test_pending_metrics_come_late_and_all():
    pending = metrics.Pending(lag=1)
    assert pending.push(1, {"loss": jnp.float32(1)}) == []
    assert pending.push(2, {"loss": jnp.float32(2)}) == [(1, {"loss": 1.0})]
    assert pending.flush() == [(2, {"loss": 2.0})]
    assert pending.flush() == []
