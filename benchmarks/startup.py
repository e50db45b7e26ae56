"""How long a run takes from its command to the end of its first step, with prepared data and a warm compilation cache.

    python benchmarks/startup.py [--config=configs/quickstart.py] [--rounds=3] [--processes=2] [--imports]

Runs `launch.py` in a fresh workdir and watches what it leaves there; a file that appears ends a phase. The first step
is over when its metrics are in metrics.jsonl, which the loop writes two steps later. A first run, not counted, prepares
the data and fills the cache. Processor time is shown as well, for it says more where other work keeps the cores busy.
`--imports` adds the packages whose import takes longest.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHASES = {
    "config.json": "import, check, open the data",
    "figures/views.png": "initialise, draw the views",
    "baselines.json": "measure the baselines",
    "metrics.jsonl": "open the checkpoints",
}
FIRST_STEP = "compile or load, first step"
PATIENCE = 600.0


def start(config: str, data_dir: str | None, processes: int, workdir: Path) -> tuple[list[tuple[str, float]], float]:
    """Runs to the first step, then ends the run.

    Returns:
      (phase, seconds from the start to its end), in order; seconds of processor time.
    """
    command = [sys.executable, str(ROOT / "launch.py"), f"--config={config}", f"--workdir={workdir}"]
    command += ["--config.log_every=1"] + ([f"--data_dir={data_dir}"] if data_dir else [])
    command += [f"--processes={processes}"] if processes > 1 else []
    begun, used = time.perf_counter(), _processor_seconds()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        ends = _watch(process, workdir, begun)
    finally:
        if processes > 1:  # they get what the launcher gets; asked twice, it ends them
            process.terminate()
            time.sleep(0.2)
            process.terminate()
        else:
            process.kill()
        process.communicate()
    return ends, _processor_seconds() - used


def _processor_seconds() -> float:
    """Of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _watch(process: subprocess.Popen, workdir: Path, begun: float) -> list[tuple[str, float]]:
    ends, waiting = [], dict(PHASES)
    while (now := time.perf_counter() - begun) < PATIENCE:
        for name in [name for name in waiting if (workdir / name).exists()]:
            ends.append((waiting.pop(name), now))
        if "metrics.jsonl" not in waiting and (workdir / "metrics.jsonl").read_text().count("\n"):
            return [*ends, (FIRST_STEP, now)]
        if process.poll() is not None:
            sys.exit(f"launch.py ended with {process.returncode} before its first step: {process.stderr.read()}")
        time.sleep(0.01)
    sys.exit(f"No first step in {PATIENCE:.0f} s.")


def slow_imports(count: int = 12) -> list[tuple[float, str]]:
    """(seconds, package) of the top-level packages whose own modules take longest to import, slowest first."""
    command = [sys.executable, "-X", "importtime", "-c", "import ssl_jax.experiment"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr.splitlines()
    total: dict[str, float] = {}
    for line in lines:
        if match := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)", line):
            total[match[2]] = total.get(match[2], 0.0) + int(match[1]) / 1e6
    return sorted(((seconds, name) for name, seconds in total.items()), reverse=True)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(ROOT / "configs" / "quickstart.py"))
    parser.add_argument("--data_dir", help="where TFDS data lies (default: TFDS's own)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="on this machine, one run")
    parser.add_argument("--imports", action="store_true", help="show what the imports cost as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / str(number) for number in range(options.rounds + 1)]
        rounds = [start(options.config, options.data_dir, options.processes, path) for path in paths]
    (best, processor), before = min(rounds[1:], key=lambda done: done[0][-1][1]), 0.0
    print(f"{'seconds':34}{'phase':>8}{'total':>8}")
    for phase, end in best:
        print(f"{phase:34}{end - before:8.2f}{end:8.2f}")
        before = end
    goal = {1: " (goal: under 10 s)", 2: " (goal: under 20 s)"}.get(options.processes, "")
    print(f"First step, warm cache: after {before:.1f} s{goal}, {processor:.1f} s of processor time.")
    print(f"First step, first run:  after {rounds[0][0][-1][1]:.1f} s.")
    for seconds, package in slow_imports() if options.imports else []:
        print(f"import of {package:24}{seconds:8.2f}")


if __name__ == "__main__":
    main()
