"""A sweep or a search of fake runs as a command of its own, to be stopped, killed, and started twice at once.

python -m tests.launchers.drive FOLDER '{"jobs": 2, "runs": [{"x": 0.1}]}', or with "search" and its settings for "runs"
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

from ssl_jax.errors import UserError
from ssl_jax.launchers import slots
from ssl_jax.launchers.local import Local
from ssl_jax.train import runs
from ssl_jax.train.signals import EXIT_STOPPED, StopSignal

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAKE = (sys.executable, str(pathlib.Path(__file__).with_name("fake_run.py")))


def main(folder: pathlib.Path, asked: dict) -> int:
    stop = StopSignal(lambda line: os._exit(EXIT_STOPPED))
    local, common = Local(jobs=asked.get("jobs", 1)), asked.get("common", {})
    sweep = runs.Sweep(FAKE, "fake.py", ())
    if "runs" in asked:
        return local.run(runs.Sweep(FAKE, "fake.py", tuple(runs.expand(folder, asked["runs"], common))), stop)
    from ssl_jax.launchers import search, worker

    settings = {"measure": "pretrained/score", "sampler": "tpe"} | asked["search"]
    made = search.search(settings.pop("sampler"), settings)
    space = search.Space(sweep, folder, common, propose, lambda overrides: None)
    return worker.run(made, space, local.slots, stop)


def propose(trial) -> dict:
    return {"x": trial.suggest_float("x", 0.0, 1.0)}


def start(folder: pathlib.Path, **asked) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.launchers.drive", str(folder), json.dumps(asked)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen) -> tuple[int, str]:
    """The exit status, and what was said."""
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def wait_for(process: subprocess.Popen, what: Callable[[], bool]) -> None:
    """Until it is so; the process must not end before."""
    while not what():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)


def notes(folder: pathlib.Path) -> dict[str, list[tuple[str, float, int]]]:
    """What each run did: the run's name -> (what, when, in which process)."""
    found = {}
    for path in sorted(folder.glob("*/notes.txt")):
        lines = (line.split(",") for line in path.read_text().splitlines())
        found[path.parent.name] = [(what, float(when), int(who)) for what, when, who in lines]
    return found


def steps(folder: pathlib.Path) -> dict[str, list[int]]:
    """The steps that each run made, in the order in which it made them, however often it was started."""
    told = {name: [what for what, *_ in lines] for name, lines in notes(folder).items()}
    return {name: [int(what[5:]) for what in lines if what.startswith("step")] for name, lines in told.items()}


def most_at_once(folder: pathlib.Path) -> int:
    """How many runs there were at the same time at most."""
    lines = sorted((when, what) for each in notes(folder).values() for what, when, _ in each)
    return max(itertools.accumulate((what == "began") - what.startswith("ended") for _, what in lines))


if __name__ == "__main__":
    slots.LOOK_SECONDS = 0.02
    try:
        sys.exit(main(pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])))
    except UserError as error:
        print(f"Error: {error}")
        sys.exit(2)
