"""What of two methods' tasks can be told without reading or listening, from lengths.

    python benchmarks/rules.py [--data_dir=DIR]

ALBERT, in which order two segments stand: gradient-boosted trees of scikit-learn are fitted to the tokens of both
segments on the training split. CLAP, which text belongs to a sound: the tokens of a text are fitted to the length of
its recording, for each language by itself (a parabola); then for each sound the texts of its language whose length is
nearest to the fitted one are taken, and for each text the sounds; of several, one at random. Batches are those of
docs/methods.md. Writes docs/rules.json.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssl_jax import config as configs  # noqa: E402
from ssl_jax import data  # noqa: E402
from ssl_jax.data.order import row_keys  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS = ROOT / "docs" / "rules.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    data_dir = parser.parse_args().data_dir
    read = lambda name: configs.plain(configs.load(str(ROOT / "configs" / f"{name}.py")))
    found = ordered(read("albert_kjv"), data_dir) | retrieved(read("clap_asterisk"), data_dir)
    print(found)
    write_atomically(RESULTS, json.dumps(found, indent=1, sort_keys=True) + "\n")


def read() -> dict[str, float]:
    """docs/rules.json."""
    return json.loads(RESULTS.read_text())


def ordered(config: dict, data_dir: str | None) -> dict[str, float]:
    """The share of held-out pairs whose order is told by their lengths; pairs are drawn once."""
    opened = data.described(config["data"], data_dir)
    (lengths, order), (asked, truth) = (_pairs(split, opened.spec) for split in (opened.train, opened.eval))
    told = HistGradientBoostingClassifier(random_state=0).fit(lengths, order).predict(asked)
    return {"sentence_order_accuracy": float(np.mean(told == truth))}


def _pairs(source, spec) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of both segments, int [N, 2], and whether they are swapped, of all examples of a split."""
    rows = np.arange(len(source))
    batch = source.read(rows, row_keys(0, 0, rows))
    real = batch["tokens"] != spec.pad_id
    return np.stack([(real & (batch["segments"] == part)).sum(1) for part in (0, 1)], axis=1), batch["order"]


def retrieved(config: dict, data_dir: str | None) -> dict[str, float]:
    """The shares that are found by language and length, over whole held-out batches."""
    opened = data.described(config["data"], data_dir)
    train, held_out = (_known(split, opened.spec) for split in (opened.train, opened.eval))
    curves = {
        label: np.polyfit(*(train[name][train["label"] == label] for name in ("length", "words")), 2)
        for label in np.unique(train["label"])
    }
    size, shares = config["batch_size"], []
    for start in range(0, len(held_out["label"]) - size + 1, size):
        batch = {name: array[start : start + size] for name, array in held_out.items()}
        guessed = np.array([np.polyval(curves[label], x) for label, x in zip(batch["label"], batch["length"])])
        apart = np.abs(guessed[:, None] - batch["words"][None, :])
        apart[batch["label"][:, None] != batch["label"][None, :]] = np.inf
        same = (batch["tokens"][:, None] == batch["tokens"][None, :]).all(-1)
        shares.append((_right(apart, same), _right(apart.T, same.T)))
    return dict(zip(("sound_to_text", "text_to_sound"), np.mean(shares, axis=0).tolist()))


def _known(source, spec) -> dict[str, np.ndarray]:
    """Of all examples of a split: label, tokens, how many they are, and the length in samples."""
    batch = source.read(np.arange(len(source)))
    words = (~np.isin(batch["tokens"], spec.special_ids)).sum(1)
    return {"label": batch["label"], "tokens": batch["tokens"], "words": words, "length": batch["length"] * 1.0}


def _right(apart: np.ndarray, same: np.ndarray) -> float:
    """The share of rows whose nearest column is right, where one of equally near ones is taken at random."""
    nearest = apart == apart.min(axis=1, keepdims=True)
    return float(((nearest & same).sum(1) / nearest.sum(1)).mean())


if __name__ == "__main__":
    main()
