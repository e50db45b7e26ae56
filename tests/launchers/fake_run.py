"""Stands for launch.py where many runs are started: the same folder, states and exit statuses, no training.

Each step writes `eval/score`, which grows to -(x - 0.3)**2, and its negative, `eval/loss`; the end is
`pretrained/score`. Overrides: x, steps, seconds (of a step), fails_above and nan_above (of x), deaf (seconds before it
listens to signals, and after it does).
"""

import ast
import json
import os
import pathlib
import signal
import sys
import time

import filelock


def main() -> int:
    given = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
    config = {"x": 0.0, "steps": 10, "seconds": 0.01, "fails_above": 1.0, "nan_above": 1.0, "deaf": 0.0}
    config |= {leaf[7:]: ast.literal_eval(text) for leaf, text in given.items() if leaf.startswith("config.")}
    folder = pathlib.Path(given["workdir"])
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0.5, poll_interval=0.02)
    except filelock.Timeout:
        print(f"Error: Another process runs in {folder}")
        return 2
    note(folder, "began")
    status = 0 if (folder / "results.json").exists() else run(folder, config)
    note(folder, f"ended {status}")
    return status


def run(folder: pathlib.Path, config: dict) -> int:
    stop = []
    time.sleep(config["deaf"])
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    write(folder / "config.json", {"steps": config["steps"]})
    write(folder / "baselines.json", {"raw/score": -1.0, "untrained/score": -1.0})
    path, value = folder / "metrics.jsonl", -((config["x"] - 0.3) ** 2)
    done = len(path.read_text().splitlines()) if path.exists() else 0
    for step in range(done + 1, config["steps"] + 1):
        if step == 3 and config["x"] > config["fails_above"]:
            print("Failed: it is broken.")
            return 1
        time.sleep(config["seconds"])
        score = value - (1 - step / config["steps"])
        with path.open("a") as metrics:
            metrics.write(json.dumps({"step": step, "eval/score": score, "eval/loss": -score}) + "\n")
        note(folder, f"step {step}")
        if stop:
            return 75
    result = float("nan") if config["x"] > config["nan_above"] else value
    write(folder / "results.json", {"raw/score": -1.0, "pretrained/score": result})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(config["deaf"])
    return 0


def write(path: pathlib.Path, content: dict) -> None:
    path.with_suffix(".tmp").write_text(json.dumps(content))
    path.with_suffix(".tmp").rename(path)


def note(folder: pathlib.Path, what: str) -> None:
    """What this run did, when, and in which process; for the tests."""
    with (folder / "notes.txt").open("a") as file:
        file.write(f"{what},{time.monotonic()},{os.getpid()}\n")


if __name__ == "__main__":
    sys.exit(main())
