"""Trains every joint-embedding method on small real data, several seeds each, and checks what a method promises.

    python benchmarks/methods.py [--methods simclr byol] [--tables small_openmoji] [--seeds 3] [--data_dir DIR]

For each method of `configs/small_*.py`: one run of `launch.py` a seed on each data set; the largest difference between
1 and 8 devices over the first steps; and a run that is killed with SIGKILL and continued, against an undisturbed one.
What was found goes to docs/methods.json, one entry a job, and what is there already is not done again, so the command
may be stopped and repeated. docs/methods.md is made of it (`benchmarks/methods_page.py`).
"""

import argparse
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax  # noqa: E402
import numpy as np  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: E402

from benchmarks import methods_page  # noqa: E402
from ssl_jax import config as configs  # noqa: E402
from ssl_jax.experiment import build  # noqa: E402
from ssl_jax.train import mesh as meshes  # noqa: E402
from ssl_jax.train.state import parameter_count  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402
from tests.killed import assert_same, finish, last_step, outcome, start, wait_for_step  # noqa: E402
from tests.stepping import Stepper  # noqa: E402

PARALLEL_STEPS, KILL_STEPS, KILLS = 20, 120, 3
Job = tuple[str, Callable[[], dict]]


def score(spec: str, seed: int, workdir: Path, data_dir: str | None) -> dict:
    """One run from its start to its report: its results, its parameters, and seconds from command to exit."""
    command = [sys.executable, str(ROOT / "launch.py"), f"--config={spec}", f"--config.seed={seed}"]
    command += [f"--workdir={workdir}", *([f"--data_dir={data_dir}"] if data_dir else [])]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XLA_FLAGS": ""}, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{spec}, seed {seed}: {done.stderr.strip()}")
    seconds = time.monotonic() - begun
    results = json.loads((workdir / "results.json").read_text())
    method = build(_config(spec), data_dir=data_dir, mesh=meshes.make_mesh(jax.devices()[:1])).method
    sizes = {"parameters": parameter_count(method), "encoder": parameter_count(method.backbone)}
    return {"results": results, "seconds": seconds, **sizes}


def parallel(spec: str, data_dir: str | None) -> dict:
    """Largest relative difference of the loss between 1 and 8 devices, over the first steps, from the same state."""
    curves = [_curve(spec, devices, data_dir) for devices in (jax.devices()[:1], jax.devices())]
    return {"difference": float(np.max(np.abs(curves[0] - curves[1]) / np.abs(curves[0]))), "steps": PARALLEL_STEPS}


def _curve(spec: str, devices: list, data_dir: str | None) -> np.ndarray:
    stepper = Stepper(_config(spec), devices, data_dir)
    return stepper.run(stepper.experiment.initial_state(), 0, PARALLEL_STEPS)[1]


def resume(spec: str, data_dir: str | None) -> dict:
    """Whether a run that is killed at random moments ends as an undisturbed one: arrays, metrics and results."""
    draw, steps_at_kills = random.Random(spec), []
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        finish(start(spec, whole, data_dir, steps=KILL_STEPS))
        for kill in range(1, KILLS + 1):
            process = start(spec, killed, data_dir, steps=KILL_STEPS)
            wait_for_step(process, killed, draw.randint(1, KILL_STEPS * kill // (KILLS + 1)))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                steps_at_kills.append(last_step(killed))
        finish(start(spec, killed, data_dir, steps=KILL_STEPS))
        try:
            assert_same(outcome(whole, KILL_STEPS), outcome(killed, KILL_STEPS))
            same = True
        except AssertionError:
            same = False
    return {"exact": same, "steps_at_kills": steps_at_kills, "steps": KILL_STEPS}


def _config(spec: str) -> dict:
    return configs.plain(configs.load(spec))


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """(key, function) of everything that was asked for."""
    for table in options.tables:
        path = ROOT / "configs" / f"{table}.py"
        for method in runpy.run_path(str(path))["METHODS"]:
            if options.methods and method not in options.methods:
                continue
            spec = f"{path}:{method}"
            for seed in range(options.seeds):
                folder = options.workdir / table / f"{method}_seed{seed}"
                yield f"{table}/{method}/seed{seed}", lambda s=spec, n=seed, f=folder: score(s, n, f, options.data_dir)
            yield f"{table}/{method}/parallel", lambda s=spec: parallel(s, options.data_dir)
            if table == options.tables[0]:
                yield f"{table}/{method}/resume", lambda s=spec: resume(s, options.data_dir)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=None, help="only these; all where it is left out")
    parser.add_argument("--tables", nargs="+", default=sorted(p.stem for p in (ROOT / "configs").glob("small_*.py")))
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...")
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "methods")
    parser.add_argument("--data_dir", default=None, help="where TFDS data lies")
    options = parser.parse_args()
    found = methods_page.read()
    todo = [(key, job) for key, job in jobs(options) if key not in found]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("methods", total=len(todo))
        for key, job in todo:
            progress.update(task, description=key)
            found[key] = job() | {"hardware": methods_page.hardware()}
            write_atomically(methods_page.RESULTS, json.dumps(found, indent=1, sort_keys=True) + "\n")
            progress.advance(task)
    methods_page.write(found)
    print(f"{methods_page.PAGE} is made of {len(found)} results.")


if __name__ == "__main__":
    main()
