"""How losses differ between 1 and 8 devices and 1, 2 and 4 processes, the state split or not, in parts or not.

    python benchmarks/topologies.py [--data_dir=DIR]

Real runs of `launch.py`, 20 steps each. Fills docs/topologies.json and makes docs/topologies.md; runs that are there
are not made again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssl_jax.train import metrics  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS, PAGE = ROOT / "docs" / "topologies.json", ROOT / "docs" / "topologies.md"
EARLY, STEPS = 5, 20
PLACES = {"1 device": (1, 1), "8 devices": (1, 8), "2 processes x 4 devices": (2, 4), "4 processes x 2 devices": (4, 2)}
FSDP = ("sharding.state=fsdp", "sharding.smallest=4096")
BFLOAT = ("model.dtype=bfloat16",)
CONFIGS = {
    "SimCLR, ViT": (
        "configs/small_openmoji.py:simclr",
        {
            "replicated": (),
            "FSDP": FSDP,
            "FSDP, two devices along `model`": (*FSDP, "sharding.model=2"),
            "in 4 parts (`accumulate`)": ("model.accumulate=4",),
            "`remat`, element-wise work alone": ("model.remat=elementwise",),
            "bfloat16": BFLOAT,
            "bfloat16, in 4 parts, FSDP, `remat`": (*BFLOAT, "model.accumulate=4", "model.remat=True", *FSDP),
        },
    ),
    "MoCo v2, ViT, a queue": ("configs/small_openmoji.py:moco_v2", {"replicated": (), "FSDP": FSDP}),
    "SimCLR, ResNet, batch statistics": ("configs/quickstart.py", {"replicated": ()}),
    "BERT": ("configs/bert_kjv.py", {"replicated": ()}),
}
TOP = """# The same run on other devices and processes

Each cell is a run of {steps} steps on CPU devices, by `python benchmarks/topologies.py`: the largest relative
difference of the loss from the table's first line on one device (of bfloat16: from bfloat16 there), over the first
{early} steps / over all {steps}. What is split, recomputed or done in parts changes nothing but rounding. That grows in
leaps: a hidden unit that stands at 0 is on in one run and off in another, which the loss does not feel, but the next
gradient does; and Adam makes updates of full size also for what has no gradient but rounding, such as a bias before
batch normalisation.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    for key in keys():
        if key not in kept():
            title, label, place = key.split(" | ")
            config, lines = CONFIGS[title]
            found = losses(config, lines[label], *PLACES[place], options.data_dir)
            print(key, found[0], found[-1], flush=True)
            write_atomically(RESULTS, json.dumps(kept() | {key: found}, indent=0) + "\n")
    PAGE.write_text(page(kept()))


def keys() -> list[str]:
    """Of all runs; one device has no second axis."""
    return [
        f"{title} | {label} | {place}"
        for title, (_, lines) in CONFIGS.items()
        for label in lines
        for place in PLACES
        if place != "1 device" or "`model`" not in label
    ]


def kept() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def losses(config: str, overrides: tuple, processes: int, devices: int, data_dir: str | None) -> list[float]:
    """Of each step of a run, stopped after them; its evaluations are as few as there can be."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "launch.py", f"--config={config}", f"--workdir={folder}/run"]
        command += [f"--processes={processes}"] if processes > 1 else []
        command += [f"--data_dir={data_dir}"] if data_dir else []
        command += [f"--config.steps={STEPS}", "--config.log_every=1", "--config.evaluate.every=0"]
        command += ["--config.schedule.warmup_steps=5", "--config.checkpoint.best=None"]
        command += ["--config.evaluate.tasks=('knn_full',)"]
        command += [f"--config.{each}" for each in overrides]
        flags = f"--xla_force_host_platform_device_count={devices}"
        environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        lines = metrics.read(Path(folder) / "run")
    found = {line["step"]: line["train/loss"] for line in lines if "train/loss" in line}
    assert sorted(found) == list(range(1, STEPS + 1)), sorted(found)
    return [found[step] for step in sorted(found)]


def page(found: dict) -> str:
    text = TOP.format(early=EARLY, steps=STEPS)
    for title, (config, lines) in CONFIGS.items():
        text += f"## {title}\n\n`{config}`\n\n| | {' | '.join(PLACES)} |\n|---|{'---|' * len(PLACES)}\n"
        for label in lines:
            first = "bfloat16" if label.startswith("bfloat16") else "replicated"
            alone = found[f"{title} | {first} | 1 device"]
            cells = [cell(found.get(f"{title} | {label} | {place}"), alone) for place in PLACES]
            text += f"| {label} | {' | '.join(cells)} |\n"
        text += "\n"
    return text.rstrip() + "\n"


def cell(losses: list[float] | None, alone: list[float]) -> str:
    if losses is None:
        return ""
    early, whole = differences(losses, alone)
    return f"{early:.0e} / {whole:.0e}".replace("0e+00", "0")


def differences(losses: list[float], alone: list[float]) -> tuple[float, float]:
    """The largest relative one over the first steps, and over all."""
    found = [abs(a - b) / abs(b) for a, b in zip(losses, alone, strict=True)]
    return max(found[:EARLY]), max(found)


if __name__ == "__main__":
    main()
