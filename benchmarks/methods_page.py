"""Makes docs/methods.md from docs/methods.json, which benchmarks/methods.py fills.

python benchmarks/methods_page.py
"""

import importlib
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import method_tables  # noqa: E402
from ssl_jax import config as configs  # noqa: E402
from ssl_jax import methods  # noqa: E402
from ssl_jax.report import names as report_names  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402
from tests.stepping import SIZE  # noqa: E402

RESULTS, PAGE = method_tables.RESULTS, ROOT / "docs" / "methods.md"
WEIGHTED = "raw/knn_full_tf_idf"
# Simple ones, which the method measures of its own task.
RULES = ("copied", "nearest", "commonest", "frequency", "chance")
# What runs say of their task beside what is promised.
BESIDE = (
    *("sentence_order_accuracy", "replaced_found", "perplexity", "pseudo_perplexity", "copy_error"),
    *("zero_shot", "image_to_text_top_10", "text_to_image_top_10"),
)
TOP = """# Methods

Made by `python benchmarks/methods.py`, which trains each method with the configs of its tables. Accuracies are per cent
on held-out data, mean ± standard deviation over n seeds: kNN of 20 neighbours, and a linear probe, on frozen features.
Parameters are all that are trained, and those of the encoder among them. Seconds are those of the quickest run of
`launch.py` that was timed, from the command to its exit: start, data, compilation (or reading what an earlier run of
the same program compiled, as seeds after the first do), baselines, training with its evaluations, and the report; they
were taken on several days and machines, which differ: BERT took 431 s on one and 263 s on another. Of some methods
fewer runs than n were timed; the others (`--quick`) were evaluated at their end alone. Seconds of masked tables are of
one core, with other work beside. Alarms: how many of the timed
runs warned of a collapse (`config.on_collapse`). Settings were chosen on parts of the training split. After the test
split had been seen, those of SimSiam on OpenMoji and of iBOT and BYOL on Fashion-MNIST were chosen again, and those of
BYOL on OpenMoji twice; the steps of APC, BEST-RQ, BYOL, CLAP, HuBERT and MAE on sound and of T5 on text were chosen
again too, and of ALBERT the network, rate and length of rows as well.
`supervised` and `sup_con` learn from the labels.

What is the same for all methods of a table stands below it; the rest of each is in its config. Steps and batch say how
many pictures are seen, not how much is computed: target networks and small crops cost more. TFLOPs are those of the
train steps of a run, 2 a multiply-add of matrix products and convolutions, as `launch.py --dry_run` counts them.
"""
COLUMNS = (
    *("method", "network", "parameters", "encoder", "n"),
    *("kNN", "linear", "untrained kNN", "untrained linear", "TFLOPs", "seconds", "alarms"),
)
ABOUT = {
    "asterisk": """Sound, with one config a method. The seconds of BEST-RQ and wav2vec 2.0, and that these raised no
alarm, were taken with version 1.1.0 of the recordings, whose splits differ in some prompts; all else with 2.0.0.
HuBERT's seconds are of one core, with BERT's on the other""",
    "kjv": "Text, with one config a method. BERT's seconds are of one core, with HuBERT's on the other",
    "moving_digits": """Clips of a digit that moves, told by one of eight directions; a single frame does not tell it.
Raw input is all pixels of a clip. The seconds are of one core, with other work beside""",
}
TASKS = """Tasks are what a method is trained for, on held-out examples; features are those of the table above, of raw
input too: pixels, word counts of text (in brackets weighted, TF-IDF), means and deviations of MFCC of sound. Values are
per cent where they are shares."""
MEASURED_TOO = {"knn_5shot": "5 labels a class", "attentive": "attentive probe", "fine_tune": "fine-tuned"}
OWN_TASKS = (
    *("target_skill", "token_accuracy", "cluster_accuracy"),
    *("rotation_accuracy", "jigsaw_accuracy", "position_accuracy", "loss"),
)  # the first of these that a method measures is told
FURTHER = """From the untrained network → from the pretrained one. 5 labels a class: the nearest of five labelled
pictures a class, mean over 100 draws. Attentive probe: a pooling by attention and a linear classifier on the frozen
network. Fine-tuned: the whole network, on the labels of the training split; from the untrained network this is
supervised training with the same budget. Its own task: on held-out pictures, before and after pretraining; in brackets
what the commonest answer reaches, where the method measures it."""
TOKENS = """BEiT's tokens are those of one discrete VAE, of a run of `{config}` with seed 0, for all seeds: spreads
leave out how much another would change, and TFLOPs and seconds leave out its training. Of {tokens} tokens held-out
patches use as many as if {used:.1f} were equally common."""
PROMISED = """"1 and 8 devices": largest relative difference of the loss over the first {early} steps from the same
state, and over {steps}{sizes}. Rounding grows where AdamW's first steps divide by gradients that are near 0.
"Resumes exactly": a run killed with SIGKILL at random steps and continued ends with the same arrays, metrics and
results, bit for bit, as one that was not disturbed{compiled}. "Paper's encoder": parameters that the source of the
paper's config states; where it states any, `tests/test_configs.py` holds that the config builds with as many. How
near the losses are to other codes, in value and gradient, says [losses.md](losses.md); what wrong settings are
told, `tests/test_wrong_inputs.py` and the tests of each method in `tests/methods`."""
PROMISES = """
## What every method promises

{text}

| method | paper | paper's encoder | 1 and 8 devices | resumes exactly | killed at steps |
|---|---|---|---|---|---|
"""


def page(found: dict[str, dict]) -> str:
    """docs/methods.md."""
    names = {
        table: sorted({key.split("/")[1] for key in found if key.startswith(f"{table}/")})
        for table in method_tables.tables()
    }
    text = TOP + "".join(_table(table, names[table], found) for table in names)
    parallel = [entry for key, entry in found.items() if key.endswith("/parallel")]
    steps, early = (max((entry[name] for entry in parallel), default=0) for name in ("steps", "early_steps"))
    passing = ((name, size) for name, size in SIZE.items() if any(key.endswith(f"/{name}/parallel") for key in found))
    sizes = "".join(f"; that of {name} passes 0 and is divided by {size:g} at least" for name, size in passing)
    promised = _filled(PROMISED.format(early=early, steps=steps, sizes=sizes, compiled=_compiled(found)))
    text += PROMISES.format(text=promised) + _promises(names, found)
    return text + "\nMeasured on: " + "; ".join(sorted({entry["hardware"] for entry in found.values()})) + ".\n"


def _compiled(found: dict[str, dict]) -> str:
    """How the runs that were killed were compiled."""
    resumed = [entry for key, entry in found.items() if key.endswith("/resume")]
    little = sum(not entry.get("as_a_user") for entry in resumed)
    which = "all of these runs" if little == len(resumed) else f"{little} of these {len(resumed)} runs"
    return f"; {which} were compiled with few optimisations, as tests are" if little else ""


def write(found: dict[str, dict]) -> None:
    """Writes docs/methods.md."""
    if not found:
        raise SystemExit("There are no results yet: run benchmarks/methods.py.")
    write_atomically(PAGE, page(found))


def _table(table: str, names: list[str], found: dict) -> str:
    by_name = {name: runs for name in names if (runs := method_tables.runs_of(found, table, name))}
    if not by_name:
        return ""
    spec = f"METHOD_{table}.py" if table in method_tables.APART else f"{table}.py:METHOD"
    lines = [f"\n## {table}: `launch.py --config=configs/{spec}`\n"]
    lines += [_filled(f"{ABOUT[table]}.") + "\n"] if table in method_tables.APART else []
    lines += [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [_row(table, name, runs, found.get(f"{table}/{name}/cost")) for name, runs in by_name.items()]
    lines += [] if table in method_tables.APART else _below(table, by_name)
    lines += _tasks(table, by_name) if table in method_tables.APART or table.startswith("paired") else []
    return "\n".join(lines + (_further(table, by_name) if method_tables.answers_of(table) else [])) + "\n"


def _below(table: str, by_name: dict[str, list[dict]]) -> list[str]:
    """What all methods of a table have in common."""
    first = next(iter(by_name.values()))[0]["results"]
    raw = [f"{100 * first[f'raw/{measure}']:.1f}" for measure in method_tables.MEASURES]
    return [f"\nRaw pixels: kNN {raw[0]}, linear {raw[1]}.", "", _filled(f"The same for all: {_in_common(table)}.")]


def _further(table: str, by_name: dict[str, list[dict]]) -> list[str]:
    """A table of what a few labels, and training further on all, make of the networks; and of their own tasks."""
    measures = ("knn_5shot", *method_tables.answers_of(table))
    columns = ("method", *(MEASURED_TOO[measure] for measure in measures), "its own task, held out")
    lines = ["", _filled(FURTHER), "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, runs in by_name.items():
        both = [
            " → ".join(_spread(runs, f"{of}/{measure}") for of in ("untrained", "pretrained")) for measure in measures
        ]
        lines.append(f"| {' | '.join((name, *both, _own_task(runs)))} |")
    return lines + _about_tokens(table, by_name)


def _own_task(runs: list[dict]) -> str:
    """How well a method does what it is trained for, before and after."""
    task = next(key for key in OWN_TASKS if f"pretrained/{key}" in runs[0]["results"])
    before, after = (_measured(runs, f"{stage}/{task}") for stage in ("untrained", "pretrained"))
    commonest = _measured(runs, f"pretrained/{task}_commonest")
    return f"{report_names.metric(task)} {before} → {after}" + (f" ({commonest})" if commonest else "")


def _about_tokens(table: str, by_name: dict[str, list[dict]]) -> list[str]:
    """What is to be known of the tokens that a method of a table predicts, if one does."""
    for name, runs in by_name.items():
        if earlier := method_tables.earlier_of(method_tables.spec_of(table, name)):
            tokens = method_tables.config_of(earlier)["model"]["vocab_size"]
            used = float(method_tables.over_seeds(runs, "pretrained/token_perplexity").mean())
            return ["", _filled(TOKENS.format(config=Path(earlier).stem, tokens=tokens, used=used))]
    return []


def _tasks(table: str, by_name: dict[str, list[dict]]) -> list[str]:
    """A table of raw inputs' features, and of how well each method does what it is trained for."""
    columns = ("method", "raw kNN", "raw linear", "task", "pretrained", "untrained", "simple baselines")
    lines = ["", _filled(TASKS), "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, runs in by_name.items():
        raw = [_spread(runs[:1], f"raw/{measure}") for measure in method_tables.MEASURES]
        if WEIGHTED in runs[0]["results"]:
            raw[0] += f" ({_spread(runs[:1], WEIGHTED)})"
        for number, task in enumerate(_tasks_of(table, name, runs) or ("",)):
            beside = [_measured(runs, f"{stage}/{task}") for stage in ("pretrained", "untrained")]
            raw_of = [key for key in runs[0]["results"] if task and key.startswith(f"raw/{task}")]
            simple = sorted(key for key in raw_of if not key.endswith("/std"))
            rules = [f"pretrained/{task}_{rule}" for rule in RULES]
            called = {f"raw/{task}": "raw input"}
            told = [f"{called.get(key, report_names.metric(key))} {_measured(runs[:1], key)}" for key in simple]
            told += [f"{report_names.metric(key)} {value}" for key in rules if (value := _measured(runs, key))]
            first = ("", "", "") if number else (name, *raw)
            lines.append(f"| {' | '.join((*first, task and report_names.metric(task), *beside, ', '.join(told)))} |")
    return lines


def _tasks_of(table: str, name: str, runs: list[dict]) -> tuple[str, ...]:
    """What a method promises of its task, and what its runs say of it beside that."""
    promised = method_tables.measures_of(table, name)[len(method_tables.MEASURES) :]
    return *promised, *(task for task in BESIDE if task not in promised and f"pretrained/{task}" in runs[0]["results"])


def _measured(runs: list[dict], key: str) -> str:
    """A result over seeds, as people write it; nothing where there is none."""
    if key not in runs[0]["results"]:
        return ""
    values = method_tables.over_seeds(runs, key)
    return report_names.number(key, float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)


def _row(table: str, name: str, runs: list[dict], cost: dict | None) -> str:
    sizes = [f"{runs[0][part] / 1e3:,.0f} k" for part in ("parameters", "encoder")]
    scores = [
        _spread(runs, f"{stage}/{measure}")
        for stage in ("pretrained", "untrained")
        for measure in method_tables.MEASURES
    ]
    seconds = [run["seconds"] for run in runs if "seconds" in run]
    network = _network(method_tables.config_of(method_tables.spec_of(table, name))["model"])
    alarms = [run["alarm"] for run in runs if "alarm" in run]
    timed = (f"{min(seconds):.0f}", f"{sum(alarms)} of {len(alarms)}") if seconds else ("", "")
    flops = "" if cost is None else f"{2 * cost['multiply_adds'] / 1e12:.1f}"
    cells = (name, network, *sizes, str(len(runs)), *scores, flops, *timed)
    return f"| {' | '.join(cells)} |"


def _network(model: dict[str, Any]) -> str:
    if "stage_sizes" in model:
        return f"ResNet, blocks {'-'.join(map(str, model['stage_sizes']))}, width {model['base_width']}"
    sizes = [f"{size} {model[size]}" for size in ("depth", "width") if size in model]
    patches = [f"patch {model['patch_size']}"] if "patch_size" in model else []
    token = ["class token"] if model.get("pooling") == "cls" else []
    return ", ".join([report_names.network(model["name"]), *sizes, *patches, *token])


def _in_common(table: str) -> str:
    """The leaves that the configs of all methods of the table hold alike."""
    found = [
        configs.without(method_tables.config_of(method_tables.spec_of(table, name)), *method_tables.SIDE_PARTS)
        for name in method_tables.methods_of(table)
    ]
    leaves = [configs.flat(config) for config in found]
    alike = [(name, value) for name, value in leaves[0].items() if all(name in o and o[name] == value for o in leaves)]
    return ", ".join(f"`{name.removeprefix('config.')}={value}`" for name, value in alike)


def _filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _spread(runs: list[dict], key: str) -> str:
    values = 100 * method_tables.over_seeds(runs, key)
    return f"{values.mean():.1f}" + (f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else "")


def _promises(names: dict[str, list[str]], found: dict) -> str:
    lines = []
    for name in sorted(set().union(*names.values())):
        of = lambda job, name=name: [found[key] for key in (f"{table}/{name}/{job}" for table in names) if key in found]
        parallel = of("parallel")
        differences = [max(entry[key] for entry in parallel) for key in ("early_difference", "difference") if parallel]
        resumed = [_resumed(entry) for entry in of("resume")] or [("", "")]
        shown = ", ".join(f"{difference:.0e}" for difference in differences)
        method = next(_method(table, name) for table in names if name in names[table])
        cells = (name, _paper(method), _papers_encoder(method), shown, *resumed[0])
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _method(table: str, name: str) -> str:
    """What the table of methods calls the method of a row: a config for other data may be named otherwise."""
    return method_tables.config_of(method_tables.spec_of(table, name))["method"]["name"]


def _resumed(entry: dict) -> tuple[str, str]:
    """Whether a killed run ended as the other, and the steps at which it was killed."""
    steps = entry["steps_at_kills"]
    missed = f", but only {len(steps)} of {entry['kills']} kills came before the end" * (len(steps) < entry["kills"])
    return ("yes" if entry["exact"] else "NO") + missed, ", ".join(map(str, steps))


def _paper(name: str) -> str:
    """From the first line of the method's file; a dash for a method that is of no paper."""
    module = importlib.import_module(methods.METHODS[name].__module__)
    line = inspect.getdoc(module).split("\n\n")[0].replace("\n", " ").partition(": ")[2].rstrip(".")
    if not re.search(r" (19|20)\d\d, ", line):
        return "—"
    return re.sub(r",? arXiv:([\d.]*\d)", r", [\1](https://arxiv.org/abs/\1)", line)


def _papers_encoder(name: str) -> str:
    """Of each different paper's config of the method, its network and the parameters that its source states."""
    cells = []
    for path in sorted((ROOT / "configs").glob("*.py")):
        if path.stem.startswith(method_tables.KINDS):
            continue
        config = method_tables.config_of(str(path))
        stated, place = config["expected"].get("parameters"), path.stem.partition("_imagenet_")[2]
        if config["method"]["name"] == name and (stated or place):
            size = f"{stated / 1e6:g} M" if stated else "not stated"
            cells.append(f"{place or path.stem.rpartition('_')[2]}: {size}")
    return ", ".join(dict.fromkeys(cells))


if __name__ == "__main__":
    write(method_tables.read())
