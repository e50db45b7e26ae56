"""docs/methods.md, docs/methods.json and what the configs of its runs promise say the same."""

import os
import sys

import numpy as np
import pytest

from benchmarks import method_tables, methods_page, methods_short
from ssl_jax.methods import METHODS
from ssl_jax.report.names import STAGES
from tests.readme import TEXT, WORDS

FOUND = method_tables.read()
MEASURED = sorted({key.split("/")[0] for key in FOUND})
CASES = [(table, method) for table in MEASURED for method in method_tables.methods_of(table)]
NOT_YET = {case for case in CASES if len(method_tables.runs_of(FOUND, *case)) < 3}
CASES = [case for case in CASES if case not in NOT_YET]
FIRST = method_tables.tables()[0]
PICTURES = [table for table in MEASURED if table not in method_tables.APART]
COMPARED = sorted({method for table, method in CASES if table in PICTURES})
JOINT = [table for table in PICTURES if table.startswith("small")]
APART = [case for case in CASES if case[0] in method_tables.APART]


def both(runs: list[dict], measure: str, other: str = "untrained") -> tuple[np.ndarray, np.ndarray]:
    """What the pretrained network reaches with each seed, and another."""
    pretrained, other = (method_tables.over_seeds(runs, f"{stage}/{measure}") for stage in ("pretrained", other))
    return pretrained, other


def test_page_is_made_of_the_results():
    assert methods_page.PAGE.read_text() == methods_page.page(FOUND)


@pytest.mark.parametrize(("table", "method"), CASES)
def test_configs_expect_what_was_measured(table, method):
    """Results are means over three seeds or more; the gain over the untrained network is at least what is promised."""
    runs = method_tables.runs_of(FOUND, table, method)
    expected = method_tables.config_of(method_tables.spec_of(table, method))["expected"]
    for measure in method_tables.measures_of(table, method):
        seen, untrained = (
            method_tables.over_seeds(runs, f"{stage}/{measure}") for stage in ("pretrained", "untrained")
        )
        assert expected["results"][measure] == pytest.approx(seen.mean(), abs=6e-4)
        assert (seen - untrained).mean() >= expected["margins"].get(measure, -1)


@pytest.mark.parametrize(("table", "method"), CASES)
def test_configs_expect_what_networks_reached_that_were_trained_further(table, method):
    runs = method_tables.runs_of(FOUND, table, method)
    for answer in method_tables.answers_of(table):
        expected = method_tables.config_of(f"{method_tables.spec_of(table, method)}-{answer}")["expected"]["results"]
        seen, untrained = both(runs, answer)
        assert expected["accuracy"] == pytest.approx(seen.mean(), abs=6e-4)
        assert (seen - untrained).mean() >= method_tables.gains_of(table, method).get(answer, -1)


@pytest.mark.parametrize(("table", "method"), sorted(NOT_YET))
def test_methods_that_were_not_measured_expect_nothing(table, method):
    expected = method_tables.config_of(method_tables.spec_of(table, method))["expected"]
    assert not expected["results"] and not expected["margins"]


def test_every_method_but_supervised_training_is_of_a_paper():
    assert {name for name in METHODS if methods_page._paper(name) == "—"} == {"supervised"}


@pytest.mark.parametrize("method", COMPARED)
def test_every_method_promises_to_beat_its_untrained_network_somewhere(method):
    holding = [table for table in PICTURES if (table, method) in CASES]
    promised = [gain for table in holding for gain in method_tables.gains_of(table, method).values()]
    assert max(promised, default=0) > 0


@pytest.mark.parametrize(("table", "method"), CASES)
def test_promises_were_kept(table, method):
    # Rounding, which grows: at most 6e-6 over 5 steps (VICReg), 1.1e-2 over 20 (MoCo v3).
    parallel = FOUND[f"{table}/{method}/parallel"]
    assert parallel["early_difference"] < 1e-4 and parallel["difference"] < 0.02
    runs = method_tables.runs_of(FOUND, table, method)
    alarms = [run["alarm"] for run in runs if "alarm" in run]  # of those that were evaluated on their way
    assert alarms and not any(alarms)
    assert {run["verdict"] for run in runs if "verdict" in run} <= {"healthy"}  # of runs since these are kept


@pytest.mark.parametrize("table", sorted({table for table, _ in CASES if table.startswith("masked")}))
def test_runs_of_a_masked_table_multiply_about_as_much(table):
    """But for BEiT, whose tokenizer reads all pictures too."""
    costs = {method: FOUND[f"{table}/{method}/cost"]["multiply_adds"] for of, method in CASES if of == table}
    beit = costs.pop("beit")
    assert max(costs.values()) < 1.1 * min(costs.values()) and beit < 1.4 * min(costs.values())


@pytest.mark.parametrize(("table", "method"), APART)
def test_methods_with_a_config_of_their_own_resume_exactly(table, method):
    assert FOUND[f"{table}/{method}/resume"]["exact"]


@pytest.mark.parametrize(
    "method", ["barlow_twins", "byol", "dino", "dinov2", "ibot", "msn", "simsiam", "swav", "vicreg"]
)
def test_methods_without_negatives_end_healthy_on_openmoji(method):
    assert {run["verdict"] for run in method_tables.runs_of(FOUND, "small_openmoji", method)} == {"healthy"}


@pytest.mark.parametrize("method", COMPARED)
def test_every_method_resumes_exactly(method):
    """In its first table; in the others it is looked at for some."""
    assert FOUND[f"{method_tables.first_table_of(method)}/{method}/resume"]["exact"]
    assert all(entry["exact"] for key, entry in FOUND.items() if key.endswith(f"/{method}/resume"))


@pytest.mark.parametrize("method", method_tables.methods_of(FIRST))
def test_every_method_says_what_makes_it_collapse_and_projects_for_the_diagnosis(method):
    chosen = METHODS[method]
    assert chosen.collapse_causes.strip()
    assert method == "supervised" or callable(chosen.project)


@pytest.mark.parametrize(("option", "known"), [("--methods", "simclr"), ("--tables", FIRST), ("--jobs", "seeds")])
def test_names_that_do_not_exist_are_refused(option, known, monkeypatch, capsys):
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])  # the module sets others
    from benchmarks import methods

    monkeypatch.setattr(sys, "argv", ["methods.py", option, "simlcr"])
    with pytest.raises(SystemExit, match="2"):
        methods._options()
    said = capsys.readouterr().err
    assert f"argument {option}: invalid choice: 'simlcr'" in said and known in said


def gains(measure: str) -> tuple[set[str], set[str], set[str], set[str]]:
    """The methods that gain on OpenMoji's untrained network by more than the spread; by less; not; that lose."""
    more, less, equal, below = set(), set(), set(), set()
    for method in method_tables.methods_of("small_openmoji"):
        runs = method_tables.runs_of(FOUND, "small_openmoji", method)
        seen, untrained = (
            method_tables.over_seeds(runs, f"{stage}/{measure}") for stage in ("pretrained", "untrained")
        )
        gain, spread = seen.mean() - untrained.mean(), np.hypot(seen.std(ddof=1), untrained.std(ddof=1))
        (more if gain > spread else less if gain > 1e-9 else equal if gain > -1e-9 else below).add(method)
    return more, less, equal, below


def test_readme_says_which_methods_gain_on_openmoji():
    more, *others = gains("knn_full")
    count = len(method_tables.methods_of("small_openmoji"))
    assert f"gain on the untrained network with {len(more)} of the {count} by more than the spread" in WORDS
    assert "with DINO by less, with BYOL not at all; SimSiam is below it" in WORDS
    assert others == [{"dino"}, {"byol"}, {"simsiam"}]
    more, less, equal, below = gains("linear")
    assert f"A linear probe gains with {len(more)} by more than the spread, with {len(less)} by less;" in WORDS
    assert "DINOv2, MoCo v2, SimSiam and SupCon are below the untrained network" in WORDS
    assert not equal and below == {"dinov2", "moco_v2", "simsiam", "sup_con"}


def test_readme_says_which_methods_pass_raw_pixels():
    passed = {}
    for table in JOINT:
        runs = {method: method_tables.runs_of(FOUND, table, method) for method in method_tables.methods_of(table)}
        for measure in method_tables.MEASURES:
            gain = {
                method: np.subtract(
                    *(method_tables.over_seeds(ones, f"{of}/{measure}") for of in ("pretrained", "raw"))
                )
                for method, ones in runs.items()
            }
            passed[table, measure] = {method for method in runs if gain[method].mean() > 0}
    assert "The mean over seeds passes raw pixels with supervised training (neighbours)" in WORDS
    assert "(neighbours) and with MoCo v3, NNCLR and VICReg (linear) alone" in WORDS
    assert passed["small_openmoji", "knn_full"] == {"supervised"}
    assert passed["small_openmoji", "linear"] == {"moco_v3", "nnclr", "vicreg"}
    assert "passes that of raw pixels with most methods, nearest neighbours with SupCon's labels alone" in WORDS
    assert passed["small_fashion_mnist", "knn_full"] == {"sup_con"}
    assert len(passed["small_fashion_mnist", "linear"]) > len(method_tables.methods_of("small_fashion_mnist")) / 2


def test_readme_says_what_masked_methods_reach():
    """Neighbours, a linear probe and the fine-tuned network."""
    measured = {method for table, method in CASES if table == "masked_openmoji"}
    assert measured == {*method_tables.methods_of("masked_openmoji")} and "Fashion-MNIST has not been measured" in WORDS
    of = lambda method, stage, measure: shares("masked_openmoji", method, f"{stage}/{measure}")
    told = lambda stage, measure, method="mae": f"{of(method, stage, measure).mean():.1f} %"
    (knn, linear, tuned), (other_knn, other_linear, other_tuned) = (
        [told(stage, measure) for measure in ("knn_full", "linear", "fine_tune")]
        for stage in ("pretrained", "untrained")
    )
    pixels = told("raw", "knn_full")
    assert f"MAE's neighbours tell {knn} (of the untrained network {other_knn}, of pixels {pixels})" in WORDS
    assert f"a linear probe {linear} ({other_linear}), the fine-tuned network {tuned} ({other_tuned})" in WORDS
    gain = lambda method, measure: of(method, "pretrained", measure) - of(method, "untrained", measure)
    always = lambda measure: {method for method in measured if gain(method, measure).min() > 0.01}
    assert "with every seed: by neighbours MAE, MaskFeat, CAPI and SimMIM, fine-tuned MAE, by an attentive" in WORDS
    assert "probe MAE, MaskFeat and data2vec; by a linear probe none" in WORDS
    assert always("knn_full") == {"mae", "mask_feat", "capi", "simmim"} and always("fine_tune") == {"mae"}
    assert always("attentive") == {"mae", "mask_feat", "data2vec_vision"} and always("linear") == set()
    below = {method for method in measured if max(gain(method, m).mean() for m in ("knn_full", "linear")) < 0}
    assert "average with context prediction, I-JEPA, BEiT, data2vec and jigsaw puzzles" in WORDS
    assert below == {"relative_position", "i_jepa", "beit", "data2vec_vision", "jigsaw"}
    assert f"I-JEPA's neighbours most ({told('pretrained', 'knn_full', 'i_jepa')})" in WORDS
    assert min(measured, key=lambda method: gain(method, "knn_full").mean()) == "i_jepa"
    seconds = [FOUND[f"masked_openmoji/{method}/seed0"]["seconds"] for method in measured]
    assert "three to six and a half minutes" in WORDS and 180 < min(seconds) and max(seconds) < 390


def shares(table: str, method: str, key: str) -> np.ndarray:
    """Per cent, over seeds."""
    return 100 * method_tables.over_seeds(method_tables.runs_of(FOUND, table, method), key)


SOUND, TEXTS = method_tables.methods_of("asterisk"), method_tables.methods_of("kjv")
NOT_EACH_SEED = ("apc", "best_rq")  # whose neighbours tell more than the untrained network's on average


def of_sound(method: str, stage: str, measure: str = "linear") -> np.ndarray:
    """Per cent, over seeds."""
    return shares("asterisk", method, f"{stage}/{measure}")


def test_readme_holds_the_table_in_short():
    assert methods_short.written(TEXT, FOUND) == TEXT
    assert set(methods_short.TASKS) == {f"{table}/{method}" for table, method in APART if table != "moving_digits"}


def rule_of(task: tuple, key: str) -> tuple[np.ndarray, np.ndarray]:
    """What was reached in a task over seeds, and what its simple rule reaches, per cent."""
    (_, measure, rule, _), runs = task, method_tables.runs_of(FOUND, *key.split("/"))
    return tuple(100 * methods_short.share(key, runs, result) for result in (f"pretrained/{measure}", rule))


def test_readme_says_what_is_done_less_well_than_by_a_simple_rule():
    compared = {(key, task[1]): rule_of(task, key) for key, tasks in methods_short.TASKS.items() for task in tasks}
    below = {key for key, (ours, rule) in compared.items() if ours.mean() <= rule.mean()}
    unsure = {key for key, (ours, rule) in compared.items() if (ours <= rule).any()} - below
    assert unsure == {("asterisk/clap", "text_to_sound")}
    assert "sounds for its texts not with each seed" in WORDS
    words = {(f"kjv/{method}", "masked_accuracy") for method in ("roberta", "albert", "electra")}
    assert below == {("kjv/simcse", "neighbour_top_10"), *words}
    assert "SimCSE's cosines find neighbouring verses less often than TF-IDF" in WORDS
    assert "guesses more of them than RoBERTa, ALBERT and ELECTRA's generator; BERT" in WORDS
    counted = {
        measure for _, measure, rule, _ in sum(methods_short.TASKS.values(), ()) if f"raw/{measure}_" in str(rule)
    }
    guessed = {METHODS[method].guesses for method in TEXTS if hasattr(METHODS[method], "guesses")}
    assert counted == guessed | {"neighbour_top_10"}
    for method in ("hubert", "best_rq"):
        ((_, measure, rule, _),) = methods_short.TASKS[f"asterisk/{method}"]
        rules = {
            name: of_sound(method, "pretrained", f"{measure}_{name}") for name in ("copied", "nearest", "commonest")
        }
        better = max(rules, key=lambda name, rules=rules: rules[name].mean())
        assert rule.endswith(better) and (of_sound(method, "pretrained", measure) > rules[better]).all()


def test_readme_says_what_methods_of_text_do_not_learn_and_what_counted_words_tell():
    assert shares("kjv", "electra", "pretrained/replaced_found").max() < 0.1
    linear = {m: [shares("kjv", m, f"{stage}/linear").mean() for stage in STAGES] for m in TEXTS}
    assert all(raw > trained > untrained for raw, untrained, trained in linear.values())
    assert "none tells books as well as counted words do" in WORDS


def test_readme_says_which_probes_of_sound_pass_raw_input():
    mean = lambda *of: of_sound(*of).mean()
    assert {m for m in SOUND if (of_sound(m, "pretrained") <= of_sound(m, "untrained")).any()} == {"best_rq"}
    for stage in ("pretrained", "untrained"):
        trained = {"hubert"} if stage == "pretrained" else set()
        assert {method for method in SOUND if mean(method, stage) > mean(method, "raw")} == {"apc", *trained}
    assert "passes raw input with HuBERT, and with APC, whose untrained network does already" in WORDS


def test_readme_says_where_nearest_neighbours_tell_sound_less_well():
    change = {m: of_sound(m, "pretrained", "knn_full") - of_sound(m, "untrained", "knn_full") for m in SOUND}
    assert {method for method, gain in change.items() if gain.mean() < 0} == {"byol"}
    untrained, trained = (of_sound("byol", stage, "knn_full").mean() for stage in ("untrained", "pretrained"))
    assert f"with BYOL-A, where they fall from {untrained:.1f} % to {trained:.1f} %" in WORDS
    unsure = {method for method, gain in change.items() if gain.mean() > 0 >= gain.min()}
    assert unsure == set(NOT_EACH_SEED) and "Nearest neighbours gain with each seed but with APC and BEST-RQ" in WORDS
