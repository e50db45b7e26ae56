"""What of three methods' tasks simple rules tell: lengths, shared words, and the language, which CLAP is not told.

    python benchmarks/rules.py [--data_dir=DIR]

BERT, whether a segment follows another, and ALBERT, in which order two stand: gradient-boosted trees of scikit-learn,
fitted on the training split to the numbers of tokens of both segments, how many different ones they share, and the sum
of the logarithms of how rare these are; of what is shared, 15 % of the tokens are left out at random, as they are
hidden from BERT and ALBERT.
CLAP, which text belongs to a sound: the tokens of a text are fitted to the length of its recording, for each language
by itself (a parabola); then for each sound the texts of its language whose length is nearest to the fitted one are
taken, and for each text the sounds; of several, one at random. Writes docs/rules.json.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import method_tables  # noqa: E402
from ssl_jax import data  # noqa: E402
from ssl_jax.data.order import row_keys  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS = ROOT / "docs" / "rules.json"
HIDDEN = 0.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    data_dir = parser.parse_args().data_dir
    found = {}
    for key, measure in MEASURED.items():
        config = method_tables.config_of(method_tables.spec_of(*key.split("/")))
        opened = data.described(config["data"], data_dir)
        found[key] = measure(opened, config) | {"config": _digest(key)}
        print(key, found[key])
    write_atomically(RESULTS, json.dumps(found, indent=1, sort_keys=True) + "\n")


def read() -> dict[str, dict[str, float]]:
    """docs/rules.json, by table and method; what was found with another config than today's is left out."""
    return method_tables.fresh(method_tables.json_of(RESULTS), _digest)


def _digest(key: str) -> str:
    return method_tables.digest(f"{key}/rules")


def of_pairs(opened, task: str, feature: str) -> dict[str, float]:
    """The share of held-out pairs of segments of which `feature` is told right; pairs are drawn once."""
    (known, labels), (asked, truth) = (_pairs(split, opened.spec, feature) for split in (opened.train, opened.eval))
    told = HistGradientBoostingClassifier(random_state=0).fit(known, labels).predict(asked)
    return {task: float(np.mean(told == truth))}


def _pairs(source, spec, feature: str) -> tuple[np.ndarray, np.ndarray]:
    """Of all examples of a split what is known of both segments, float [N, 4], and what is asked, int [N]."""
    rows = np.arange(len(source))
    batch = source.read(rows, row_keys(0, 0, rows))
    tokens, segments = batch["tokens"], batch["segments"]
    words = ~np.isin(tokens, spec.special_ids)
    seen = words & (np.random.default_rng(0).random(tokens.shape) > HIDDEN)
    frequency = np.bincount(tokens[seen], minlength=spec.vocab_size)
    rarity = np.log((len(rows) + 1) / (frequency + 1))
    known = np.zeros((len(rows), 4))
    for row in rows:
        first, second = (tokens[row][seen[row] & (segments[row] == part)] for part in (0, 1))
        shared = np.intersect1d(first, second)
        lengths = [(words[row] & (segments[row] == part)).sum() for part in (0, 1)]
        known[row] = *lengths, len(shared), rarity[shared].sum()
    return known, batch[feature]


def retrieved(opened, config: dict) -> dict[str, float]:
    """The shares that are found by language and length, over whole held-out batches."""
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


MEASURED = {
    "kjv/bert": lambda opened, _: of_pairs(opened, "next_sentence_accuracy", "next"),
    "kjv/albert": lambda opened, _: of_pairs(opened, "sentence_order_accuracy", "order"),
    "asterisk/clap": retrieved,
}

if __name__ == "__main__":
    main()
