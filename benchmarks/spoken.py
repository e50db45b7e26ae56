"""Whether features of sound tell digits, letters and words in a language that no probe has heard, and who speaks.

    python benchmarks/methods.py --tables asterisk --jobs seeds
    python benchmarks/spoken.py [--methods apc hubert] [--seeds 3] [--workdir runs/methods] [--data_dir DIR]

Reads the runs that the first command has left. Fills docs/spoken.json, one entry a run, and makes docs/spoken.md of it;
what is there already of the same config is not done again.
"""

import argparse
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks import method_tables  # noqa: E402
from benchmarks.joblist import Job, work_off  # noqa: E402
from ssl_jax import data, evaluate  # noqa: E402
from ssl_jax.data.builders import asterisk_sounds  # noqa: E402
from ssl_jax.experiment import probe, trained  # noqa: E402
from ssl_jax.experiment.scores import Scorer  # noqa: E402
from ssl_jax.report.names import STAGES  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS, PAGE = ROOT / "docs" / "spoken.json", ROOT / "docs" / "spoken.md"
MEASURES = {"knn": "knn_full", "linear": "linear"}  # as they are called here, and in a run's results
LANGUAGES = tuple(asterisk_sounds.VOICES)
SETS = {
    "digits": [f"digits/{digit}" for digit in asterisk_sounds.DIGITS],
    "letters": [f"letters/{letter}" for letter in asterisk_sounds.LETTERS],
    "words": list(asterisk_sounds.WORDS),
}
TOP = """# Spoken digits, letters and words

What frozen features of the runs of [methods.md](methods.md) tell beside the language, per cent, mean ± standard
deviation over n seeds. Digits (10 classes), letters (26) and words (129: these, numbers, days, months, spelling words)
are recorded once in each of five languages. A probe learns from four of them and is tested on the fifth; the mean over
the five is shown. So it is told what is alike from one language to the next, which is little of digits and more of
letters and of spelling words, many of which are the same ("bravo"). Speakers, of whom English and Spanish have the same
one, are told on prompts of the test split, from those of the training split. kNN is the nearest neighbour alone for the
first three, 20 neighbours for speakers; linear is a linear probe of at most 100 iterations (of 500 for speakers). "Raw"
are means and deviations of MFCC.

    python benchmarks/methods.py --tables asterisk --jobs seeds
    python benchmarks/spoken.py

"""


def spoken(workdir: Path, data_dir: str | None) -> dict[str, dict[str, float]]:
    """Scores of one run by stage: `digits_knn`, `digits_linear`, ..., `speaker_knn`, `speaker_linear`; shares."""
    everywhere = "+".join(f"words_{language}" for language in LANGUAGES)
    split = dict(label_key="word", eval_train_split=everywhere, eval_split=everywhere)
    plan = dict(during=(), every=0, diagnostics=False, layers=False, limit=None)
    experiment, _, state = trained.load(workdir, data_dir=data_dir, data=split, evaluate=plan)
    scorer, opened = Scorer(experiment), experiment.data
    recordings = _read(opened)
    # Labels of the same recordings by another feature.
    languages = _read(data.described(experiment.config["data"] | {"label_key": "language"}, data_dir))["label"]
    features = {
        "raw": evaluate.raw_features(recordings, sample_rate=opened.spec.sample_rate),
        "untrained": scorer.splits(experiment.unprepared_state())[0][0],
        "pretrained": scorer.splits(state)[0][0],
    }
    found = {stage: _across_languages(features[stage], recordings["label"], languages) for stage in STAGES}
    speakers = probe.evaluate(workdir, "probe", {"label_key": "speaker"}, data_dir=data_dir)
    for stage in STAGES:
        found[stage] |= {f"speaker_{measure}": speakers[f"{stage}/{of}"] for measure, of in MEASURES.items()}
    return found


def _read(opened: data.AudioData) -> dict[str, np.ndarray]:
    """All examples of the split that probes learn from."""
    return opened.eval_train.read(np.arange(len(opened.eval_train)))


def _across_languages(features: np.ndarray, labels: np.ndarray, languages: np.ndarray) -> dict[str, float]:
    found = {}
    for name, words in SETS.items():
        rows = np.isin(labels, [asterisk_sounds.WORDS.index(word) for word in words])
        known = [(features[rows & (languages != held)], labels[rows & (languages != held)]) for held in range(5)]
        asked = [(features[rows & (languages == held)], labels[rows & (languages == held)]) for held in range(5)]
        probes = {
            "knn": functools.partial(evaluate.knn, k=1),
            "linear": functools.partial(evaluate.linear_probe, max_iter=100),
        }
        for measure, fit in probes.items():
            found[f"{name}_{measure}"] = float(np.mean([fit(*known[held], *asked[held]) for held in range(5)]))
    return found


def read() -> dict[str, dict]:
    """What was found with today's configs, by METHOD/SEED."""
    return method_tables.fresh(method_tables.json_of(RESULTS), _digest)


def _digest(key: str) -> str:
    return method_tables.digest(f"asterisk/{key}")


def page(found: dict[str, dict]) -> str:
    """docs/spoken.md."""
    names = [f"{name} {measure}" for name in (*SETS, "speaker") for measure in ("kNN", "linear")]
    lines = [f"| method | n | | {' | '.join(names)} |", "|---" * (len(names) + 3) + "|"]
    keys = [f"{name}_{measure}" for name in (*SETS, "speaker") for measure in MEASURES]
    for method in sorted({key.split("/")[0] for key in found}):
        runs = [found[key] for key in sorted(found) if key.startswith(f"{method}/")]
        for number, stage in enumerate(STAGES):
            cells = [_spread([run[stage][key] for run in runs]) for key in keys]
            first = ("", "") if number else (method, str(len(runs)))
            lines.append(f"| {' | '.join((*first, stage, *cells))} |")
    return TOP + "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    values = 100 * np.array(values)
    spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 and np.ptp(values) else ""
    return f"{values.mean():.1f}{spread}"


def write(found: dict[str, dict]) -> None:
    """Writes docs/spoken.md."""
    write_atomically(PAGE, page(found))


def _jobs(options: argparse.Namespace) -> Iterator[Job]:
    for method in options.methods:
        for seed in range(options.seeds):
            workdir = options.workdir / "asterisk" / f"{method}_seed{seed}"
            if (workdir / "results.json").exists():
                yield f"{method}/seed{seed}", functools.partial(spoken, workdir, options.data_dir)


def main() -> None:
    methods = method_tables.methods_of("asterisk")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workdir", type=Path, default=ROOT / "runs" / "methods")
    parser.add_argument("--data_dir", default=None)
    options = parser.parse_args()
    found = read()
    todo = [(key, job) for key, job in _jobs(options) if key not in found]
    if not todo and not found:
        raise SystemExit(f"There are no runs in {options.workdir}: run benchmarks/methods.py --tables asterisk first.")
    beside = lambda key: {"config": _digest(key), "hardware": method_tables.hardware()}
    work_off("spoken", todo, found, sys.modules[__name__], beside)


if __name__ == "__main__":
    main()
