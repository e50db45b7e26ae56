"""The table of README that says in short what the methods of text and sound reach, from docs/methods.json.

    python benchmarks/methods_short.py

writes it into README.md, between the comments that name this file.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import method_tables, rules  # noqa: E402
from ssl_jax.report.names import STAGES  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

README = ROOT / "README.md"
BEGIN, END = "<!-- benchmarks/methods_short.py writes this table -->", "<!-- benchmarks/methods_short.py ends -->"
BEFORE, CHANCE = "the word before", "chance"
_MASKED = ("masked_accuracy", "raw/masked_accuracy_both_sides", "the words on both sides")
_UNITS, _FOUND = "pretrained/masked_unit_accuracy", "pretrained/contrastive_accuracy_chance"
TASKS = {
    "kjv/bert": (
        ("hidden words", *_MASKED),
        ("is it the next sentence?", "next_sentence_accuracy", "rules/next_sentence_accuracy", "words they share"),
    ),
    "kjv/roberta": (("hidden words", *_MASKED),),
    "kjv/albert": (
        ("hidden words, up to three in a row", *_MASKED),
        (
            "are they in order?",
            "sentence_order_accuracy",
            "rules/sentence_order_accuracy",
            "lengths",
        ),
    ),
    "kjv/electra": (
        ("hidden words (generator)", *_MASKED),
        ("a replaced word above another", "replaced_auc", 0.5, CHANCE),
    ),
    "kjv/next_token": (("the next word", "next_token_accuracy", "raw/next_token_accuracy_bigram", BEFORE),),
    "kjv/t5": (("words of hidden spans", "span_accuracy", "raw/span_accuracy_bigram", BEFORE),),
    "kjv/data2vec_text": (("error saved on hidden states", "target_skill", 0.0, "their mean"),),
    "kjv/simcse": (
        ("the other pass among {batch_size}", "pair_accuracy", "untrained/pair_accuracy", "untrained"),
        ("a verse beside it among the ten nearest", "neighbour_top_10", "raw/neighbour_top_10_tf_idf", "TF-IDF"),
    ),
    "kjv/word2vec": (
        (
            "near words told from others",
            "context_accuracy",
            "pretrained/context_accuracy_frequency",
            "how frequent they are",
        ),
    ),
    "asterisk/wav2vec2": (("a hidden frame among {negatives} others", "contrastive_accuracy", _FOUND, CHANCE),),
    "asterisk/hubert": (
        ("clusters of hidden frames", "masked_unit_accuracy", f"{_UNITS}_nearest", "the nearest heard"),
    ),
    "asterisk/best_rq": (("codes of hidden frames", "masked_unit_accuracy", f"{_UNITS}_commonest", "the commonest"),),
    "asterisk/data2vec": (("error saved on hidden states", "target_skill", 0.0, "their mean"),),
    "asterisk/cpc": (("a frame to come among {negatives} others", "contrastive_accuracy", _FOUND, CHANCE),),
    "asterisk/apc": (("error saved on frames to come", "copy_skill", 0.0, "the present frame"),),
    "asterisk/byol": (),
    "asterisk/mae": (),
    "asterisk/clap": (
        ("its text among {batch_size}", "sound_to_text", "rules/sound_to_text", "language and length"),
        ("its sound among {batch_size}", "text_to_sound", "rules/text_to_sound", "language and length"),
    ),
}
"""By table and method: tasks, each in words, its measure, and a simple rule: a result (of docs/rules.json after
'rules/') or a share, and its name."""
RULES = rules.read()
HEAD = """| config | its task, held out | reached | by a simple rule | linear probe: raw input | untrained | trained |
|---|---|---|---|---|---|---|
"""


def table(found: dict[str, dict]) -> str:
    """What README holds."""
    return HEAD + "".join(line for key in TASKS for line in _lines(key, found))


def _lines(key: str, found: dict[str, dict]) -> list[str]:
    """Of one method, a line for each of its tasks, or one without."""
    name, method = key.split("/")
    runs = method_tables.runs_of(found, name, method)
    if not runs:
        raise SystemExit(f"There are no results of {key} with today's config: run benchmarks/methods.py.")
    config = method_tables.config_of(method_tables.spec_of(name, method))
    per_cent = lambda result: f"{100 * share(key, runs, result).mean():.1f} %"
    told = [
        (words.format(**config | config["method"]), per_cent(f"pretrained/{measure}"), f"{per_cent(rule)}, {called}")
        for words, measure, rule, called in TASKS[key]
    ] or [("", "", "")]
    probes = [per_cent(f"{stage}/linear") for stage in STAGES]
    ends = [(f"`{method}_{name}`", probes), *[("", [""] * len(STAGES))] * len(told)]
    return [f"| {' | '.join((first, *cells, *last))} |\n" for (first, last), cells in zip(ends, told)]


def share(key: str, runs: list[dict], result: str | float) -> np.ndarray:
    """A result or a share, of each run of a method, table/method."""
    if not isinstance(result, str):
        return np.full(len(runs), result)
    kind, _, name = result.partition("/")
    return np.full(len(runs), RULES[key][name]) if kind == "rules" else method_tables.over_seeds(runs, result)


def written(text: str, found: dict[str, dict]) -> str:
    """The text of README with the table of these results in it."""
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise SystemExit(f"README.md has no lines {BEGIN} and {END}, between which the table goes.")
    return f"{before}{begun}\n\n{table(found)}\n{ended}{after}"


if __name__ == "__main__":
    write_atomically(README, written(README.read_text(), method_tables.read()))
