"""Makes docs/methods.md from docs/methods.json, which benchmarks/methods.py fills.

python benchmarks/methods_page.py
"""

import importlib
import inspect
import json
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssl_jax import methods  # noqa: E402
from ssl_jax.report.machine import environment  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS, PAGE = ROOT / "docs" / "methods.json", ROOT / "docs" / "methods.md"
MEASURES = ("knn_full", "linear")
TOP = """# Methods

Made by `python benchmarks/methods.py`, which trains each method with `configs/small_*.py`: one network and one budget
for all methods of a table. Accuracies are per cent on held-out pictures, mean ± standard deviation over {seeds} seeds:
kNN of 20 neighbours, and a linear probe, on frozen features. Seconds are those of one whole run of `launch.py`, with
its baselines, evaluations and report. Settings were chosen on a part of the training split.
"""
PROMISES = """
## What every method promises

"1 and 8 devices": largest relative difference of the loss over the first {steps} steps from the same state. "Resumes":
a run killed with SIGKILL at random steps and continued ends with the same arrays, metrics and results, bit for bit, as
one that was not disturbed.

| method | paper | 1 and 8 devices | resumes exactly | killed at steps |
|---|---|---|---|---|
"""


def hardware() -> str:
    """What a job ran on, in words."""
    here = environment()
    return f"{here['host']}, Python {here['python']}, jax {here['jax']}"


def read() -> dict[str, dict]:
    """Everything found so far, by job."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def write(found: dict[str, dict]) -> None:
    """Writes docs/methods.md."""
    tables = sorted({key.split("/")[0] for key in found})
    names = {table: sorted({key.split("/")[1] for key in found if key.startswith(f"{table}/")}) for table in tables}
    seeds = 1 + max(int(key.rpartition("seed")[2]) for key in found if "seed" in key)
    page = TOP.format(seeds=seeds)
    for table in tables:
        page += _table(table, names[table], found)
    steps = next((entry["steps"] for key, entry in found.items() if key.endswith("/parallel")), 0)
    page += PROMISES.format(steps=steps) + _promises(tables, names, found)
    page += "\nMeasured on: " + "; ".join(sorted({entry["hardware"] for entry in found.values()})) + ".\n"
    write_atomically(PAGE, page)


def _table(table: str, names: list[str], found: dict) -> str:
    lines = [f"\n## {table}: `launch.py --config=configs/{table}.py:METHOD`\n"]
    lines += [
        "| method | parameters | kNN | linear | untrained kNN | untrained linear | seconds |",
        "|---|" + "---|" * 6,
    ]
    raw = None
    for name in names:
        runs = [entry for key, entry in sorted(found.items()) if key.startswith(f"{table}/{name}/seed")]
        if not runs:
            continue
        cells = [_spread(runs, f"{stage}/{measure}") for stage in ("pretrained", "untrained") for measure in MEASURES]
        size = f"{runs[0]['parameters'] / 1e3:,.0f} k"
        seconds = f"{np.mean([run['seconds'] for run in runs]):.0f}"
        lines.append(f"| {name} | {size} | {' | '.join(cells)} | {seconds} |")
        raw = raw or [f"{100 * runs[0]['results'][f'raw/{measure}']:.1f}" for measure in MEASURES]
    return "\n".join(lines) + f"\n\nRaw pixels: kNN {raw[0]}, linear {raw[1]}.\n"


def _spread(runs: list[dict], key: str) -> str:
    values = 100 * np.array([run["results"][key] for run in runs])
    return f"{values.mean():.1f}" + (f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else "")


def _promises(tables: list[str], names: dict[str, list[str]], found: dict) -> str:
    lines = []
    for name in sorted(set().union(*names.values())):
        of = lambda job, name=name: [found[key] for key in (f"{t}/{name}/{job}" for t in tables) if key in found]
        difference = max((entry["difference"] for entry in of("parallel")), default=None)
        kills = of("resume")
        exact = ("yes" if kills[0]["exact"] else "NO") if kills else ""
        steps = ", ".join(map(str, kills[0]["steps_at_kills"])) if kills else ""
        lines.append(
            f"| {name} | {_paper(name)} | {'' if difference is None else f'{difference:.0e}'} | {exact} | {steps} |"
        )
    return "\n".join(lines) + "\n"


def _paper(name: str) -> str:
    """From the first line of the method's file."""
    module = importlib.import_module(methods.METHODS[name].__module__)
    line = inspect.getdoc(module).split("\n\n")[0].replace("\n", " ").partition(": ")[2].rstrip(".")
    return re.sub(r",? arXiv:(\S+)", r", [\1](https://arxiv.org/abs/\1)", line)


if __name__ == "__main__":
    write(read())
