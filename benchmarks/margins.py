"""How far pretraining beats the untrained network, mean of several seeds, against what the config promises.

    python benchmarks/margins.py configs/mae_openmoji.py [--seeds=3] [--workdir=runs/margins]

Trains the config once a seed with `launch.py`, one run after the other, each to its end. `config.expected.margins`
promises, by measure, how much higher (0..1) the pretrained network scores on held-out data than the untrained one, as a
mean over seeds. Runs that are already finished in the workdir count as they are; further arguments are handed to
`launch.py`. Ends with 1 where a promise is not kept.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from launch import name_of  # noqa: E402
from ssl_jax import config as configs  # noqa: E402
from ssl_jax.report import names  # noqa: E402

Results = list[dict[str, float]]


def train(config: str, seed: int, workdir: Path, overrides: list[str]) -> dict[str, float]:
    """The results of one run, from where it stands to its end."""
    command = [sys.executable, str(ROOT / "launch.py"), f"--config={config}", f"--config.seed={seed}"]
    if subprocess.run([*command, f"--workdir={workdir}", *overrides]).returncode:
        sys.exit(f"The run of seed {seed} did not end well; run the same command to go on.")
    return json.loads((workdir / "results.json").read_text())


def over_seeds(results: Results, key: str) -> np.ndarray | None:
    """One value a seed, None where the runs have no such result."""
    return np.array([one[key] for one in results]) if key in results[0] else None


def compare(results: Results, promised: dict[str, float]) -> bool:
    """Prints the table; returns whether every promise is kept."""
    stages = (*names.STAGES, "margin")
    print(f"{'mean ± spread over seeds':32}" + "".join(f"{stage:>16}" for stage in stages) + f"{'promised':>10}")
    missing = promised.keys() - _measures(results)
    for measure in sorted(missing):
        print(f"{names.metric(measure):32}is promised, and was not measured")
    kept = not missing
    for measure in sorted(_measures(results), key=names.metric_order):
        scores = [over_seeds(results, f"{stage}/{measure}") for stage in names.STAGES]
        untrained, pretrained = scores[1], scores[2]
        scores.append(None if untrained is None else pretrained - untrained)
        cells = "".join(f"{_cell(measure, values):>16}" for values in scores)
        wanted = promised.get(measure)
        print(f"{names.metric(measure):32}{cells}" + (f"{100 * wanted:+9.1f} %" if wanted is not None else ""))
        kept = kept and (wanted is None or scores[3].mean() >= wanted)
    return kept


def _measures(results: Results) -> set[str]:
    """What the last evaluation measured."""
    return {key.partition("/")[2] for key in results[0] if key.startswith("pretrained/") and key.count("/") == 1}


def _cell(measure: str, values: np.ndarray | None) -> str:
    if values is None:
        return ""
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return names.number(measure, float(values.mean()), spread)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="FILE[:VARIANT]", help="config file, and which of its variants")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...")
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "margins")
    options, overrides = parser.parse_known_args()
    promised = configs.plain(configs.load(options.config))["expected"].get("margins")
    if not promised:
        sys.exit(f"{options.config} promises nothing: it has no config.expected.margins.")
    folder = options.workdir / name_of(options.config)
    results = [train(options.config, seed, folder / f"seed{seed}", overrides) for seed in range(max(1, options.seeds))]
    return 0 if compare(results, promised) else 1


if __name__ == "__main__":
    sys.exit(main())
