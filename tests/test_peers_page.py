"""docs/peers.md and docs/peers.json say the same, and who holds."""

import numpy as np
import pytest

from benchmarks import peers, peers_page
from benchmarks.contenders import jobs
from tests.readme import WORDS

FOUND = peers_page.read()


def test_page_is_made_of_the_results():
    assert peers_page.PAGE.read_text() == peers_page.page(FOUND)


def accuracies(method: str = "byol", /, **scores: list[float | None]) -> dict[str, dict]:
    """Results by contender, one run for each of its scores, which were not taken where the loss became NaN."""
    found = {}
    for name, values in scores.items():
        for seed, value in enumerate(values):
            run = {"loss": "nan"} if value is None else dict(knn_full=value, linear=value, loss=1.0)
            found[f"accuracy/small_openmoji/{method}/{name}/seed{seed}"] = run | {"hardware": "this"}
    return found


@pytest.mark.parametrize(
    "ours, lightly, row",
    [
        ([0.9, 0.8, 0.7], [0.5, 0.6, 0.7], "3 | 80.0 ± 10.0 | 60.0 ± 10.0 | yes"),
        ([0.9, None, 0.8], [0.5, 0.6, 0.7], "3 | 85.0 ± 7.1 (1 of 3 runs became NaN) | 60.0 ± 10.0 | NO"),
        ([0.9, None], [0.5, 0.6], "2 | 90.0 (1 of 2 runs became NaN) | 55.0 ± 7.1 | NO"),
        ([None, None], [None, None], "2 | (2 of 2 runs became NaN) | (2 of 2 runs became NaN) | NO"),
        ([0.9, 0.8], [0.6, None], "2 | 85.0 ± 7.1 | 60.0 (1 of 2 runs became NaN) | "),
        ([0.7, 0.7, 0.7], [0.6, None, 0.8], "3 | 70.0 ± 0.0 | 70.0 ± 14.1 (1 of 3 runs became NaN) | yes"),
    ],
)
def test_only_who_ends_every_run_holds(ours, lightly, row):
    text = peers_page.page(accuracies(ours=ours, lightly=lightly))
    assert text.count(f"| byol | {row} |\n") == len(peers_page.MEASURES)


def test_contenders_with_other_numbers_of_seeds_are_told():
    assert "| byol | 3 / 2 | 70.0" in peers_page.page(accuracies(ours=[0.7, 0.7, 0.7], lightly=[0.7, 0.7]))


def test_a_contender_that_lacks_a_method_has_an_empty_cell():
    found = accuracies(ours=[0.8, 0.8], lightly=[0.7, 0.7], other=[0.6, 0.6])
    page = peers_page.page(found | accuracies("simclr", ours=[0.7, 0.7], lightly=[0.8, 0.8]))
    assert "| byol | 2 | 80.0 ± 0.0 | 70.0 ± 0.0 | 60.0 ± 0.0 | yes |" in page
    assert "| simclr | 2 | 70.0 ± 0.0 | 80.0 ± 0.0 |  | NO |" in page


def test_a_peer_whose_only_run_became_nan_decides_nothing():
    page = peers_page.page(accuracies(ours=[0.8, 0.81], lightly=[0.8, 0.81], other=[None]))
    assert "| byol | 2 / 2 / 1 | 80.5 ± 0.7 | 80.5 ± 0.7 | (1 of 1 runs became NaN) | yes |" in page


def test_what_is_said_of_mae_waits_for_its_results():
    scores = dict(knn_full=0.5, linear=0.6, loss=1.0, hardware="this")
    measured = {f"accuracy/masked_openmoji/mae/{name}/seed0": scores for name in ("ours", "lightly")}
    assert peers_page.OF_MASKED not in peers_page.page(accuracies(ours=[0.8]))
    page = peers_page.page(accuracies(ours=[0.8]) | measured)
    assert peers_page.OF_MASKED in page and "### masked_openmoji, linear probe" in page


def test_speeds_are_medians_of_rounds_and_no_ratio_is_rounded_up_to_its_goal():
    entry = {
        "seconds": {"ours": [1.0, 1.0, 2.0], "lightly": [1.499, 1.25, 4.0]},
        "workers": {"ours": None, "lightly": 2},
        "batch_size": 128,
        "hardware": "this",
    }
    page = peers_page.page({"throughput/vit/byol": entry})
    assert "| byol | 1000 | 1499, 2 workers | 1.49 (1.25 to 2.00) | NO: lightly |" in page


def test_no_page_is_made_of_nothing():
    with pytest.raises(SystemExit, match="run benchmarks/peers.py"):
        peers_page.write({})


@pytest.mark.parametrize(
    "network, peer, words",
    [
        ("vit", "lightly", "On two CPU cores a step with a ViT takes {} times as long as lightly's"),
        ("vit", "stable-pretraining", "and {} times as long as stable-pretraining's, whose views do less"),
        ("resnet18", "lightly", "with a ResNet-18 it takes {} times as long as lightly's"),
        ("resnet18", "stable-pretraining", "and {} times as long as stable-pretraining's. Accuracy"),
    ],
)
def test_readme_says_how_long_steps_take(network, peer, words):
    """Medians of rounds, of the method with the shortest and with the longest."""
    entries = [entry for key, entry in FOUND.items() if key.startswith(f"throughput/{network}/")]
    found = [1 / np.median(peers_page.ratios(entry, peer)) for entry in entries if peer in entry["seconds"]]
    assert words.format(f"{min(found):.1f} to {max(found):.1f}") in WORDS


def ahead(peer: str, table: str, measure: str) -> set[str]:
    """The methods with which a peer's mean is above ours."""
    mean = lambda method, name: peers_page.over_seeds(FOUND, table, method, name, measure).mean()
    both = set(peers.METHODS[peer]) & set(jobs.TABLES[table])
    return {method for method in both if mean(method, peer) > mean(method, "ours")}


def test_readme_says_how_accuracies_compare():
    emoji, clothes = "small_openmoji", "small_fashion_mnist"
    assert "within the spread over seeds for all six methods, on OpenMoji and on Fashion-MNIST" in WORDS
    joint = {key: entry for key, entry in FOUND.items() if key.split("/")[2] in jobs.JOINT}
    verdicts = peers_page.page(joint).partition("## Accuracy")[2]
    assert verdicts.count("| yes |") == 24 and "| NO |" not in verdicts
    assert "by nearest neighbours for BYOL, DINO and VICReg on OpenMoji, for BYOL alone on Fashion-MNIST" in WORDS
    assert ahead("lightly", emoji, "knn_full") == {"byol", "dino", "vicreg"}
    assert ahead("lightly", clothes, "knn_full") == {"byol"}
    assert "by a linear probe for all but SimSiam on OpenMoji, for BYOL and SimCLR on Fashion-MNIST" in WORDS
    assert ahead("lightly", emoji, "linear") == set(jobs.JOINT) - {"simsiam"}
    assert ahead("lightly", clothes, "linear") == {"byol", "simclr"}
    assert "stable-pretraining's, which has no DINO, is so on OpenMoji alone" in WORDS
    assert "by nearest neighbours for SimSiam, by a linear probe for SimCLR" in WORDS
    assert ahead("stable-pretraining", emoji, "knn_full") == {"simsiam"}
    assert ahead("stable-pretraining", emoji, "linear") == {"simclr"}
    assert not any(ahead("stable-pretraining", clothes, measure) for measure in peers_page.MEASURES)


def test_pages_say_how_the_first_three_seeds_compared():
    text = " ".join(peers_page.ACCURACY.split())
    rows = {
        ("small_openmoji", "dino"): "(kNN {} to lightly's {}, ",
        ("small_openmoji", "vicreg"): "and {} to {})",
        ("small_fashion_mnist", "byol"): "nor BYOL on Fashion-MNIST ({} to {})",
    }
    for (table, method), row in rows.items():
        of = lambda name, table=table, method=method: peers_page.over_seeds(FOUND, table, method, name, "knn_full")[:3]
        shown = (f"{100 * of(name).mean():.1f} ± {100 * of(name).std(ddof=1):.1f}" for name in ("ours", "lightly"))
        assert row.format(*shown) in text
    assert (
        "did not hold by nearest neighbours with the first three: DINO and VICReg on OpenMoji, BYOL on Fashion-MNIST"
        in WORDS
    )
