"""docs/peers.md and docs/peers.json say the same, and who holds."""

import pytest

from benchmarks import peers_page


def test_page_is_made_of_the_results():
    assert peers_page.PAGE.read_text() == peers_page.page(peers_page.read())


def accuracies(**scores: list[float | None]) -> dict[str, dict]:
    """Results of BYOL by contender, one run for each of its scores, which were not taken where the loss became NaN."""
    found = {}
    for name, values in scores.items():
        for seed, value in enumerate(values):
            run = {"loss": "nan"} if value is None else dict(knn_full=value, linear=value, loss=1.0)
            found[f"accuracy/small_openmoji/byol/{name}/seed{seed}"] = run | {"hardware": "this"}
    return found


@pytest.mark.parametrize(
    "ours, lightly, row",
    [
        ([0.9, 0.8, 0.7], [0.5, 0.6, 0.7], "80.0 ± 10.0 | 60.0 ± 10.0 | yes"),
        ([0.9, None, 0.8], [0.5, 0.6, 0.7], "85.0 ± 7.1 (1 of 3 runs became NaN) | 60.0 ± 10.0 | NO"),
        ([0.9, None], [0.5, 0.6], "90.0 (1 of 2 runs became NaN) | 55.0 ± 7.1 | NO"),
        ([None, None], [None, None], "(2 of 2 runs became NaN) | (2 of 2 runs became NaN) | NO"),
        ([0.9, 0.8], [0.6, None], "85.0 ± 7.1 | 60.0 (1 of 2 runs became NaN) | "),
        ([0.7, 0.7, 0.7], [0.6, None, 0.8], "70.0 ± 0.0 | 70.0 ± 14.1 (1 of 3 runs became NaN) | yes"),
    ],
)
def test_only_who_ends_every_run_holds(ours, lightly, row):
    text = peers_page.page(accuracies(ours=ours, lightly=lightly))
    assert text.count(f"| byol | {row} |\n") == len(peers_page.MEASURES)


def test_no_page_is_made_of_nothing():
    with pytest.raises(SystemExit, match="run benchmarks/peers.py"):
        peers_page.write({})
