"""docs/spoken.md says what was found of spoken words, and how it is found."""

import numpy as np
import pytest

from benchmarks import method_tables, spoken

FOUND = spoken.read()


def recorded() -> tuple[np.ndarray, np.ndarray]:
    """Labels and languages of all words in all languages."""
    words = len(spoken.asterisk_sounds.WORDS)
    return np.tile(np.arange(words), 5), np.repeat(np.arange(5), words)


def test_what_is_alike_in_all_languages_is_told_and_what_is_not_is_not():
    labels, languages = recorded()
    alike = np.eye(labels.max() + 1)[labels]
    found = spoken._across_languages(alike, labels, languages)
    assert found == dict.fromkeys(found, 1.0) and len(found) == 6
    apart = np.random.default_rng(0).normal(size=(len(labels), 16))
    found = spoken._across_languages(apart, labels, languages)
    assert all(found[f"{name}_knn"] < 3 / len(words) + 0.05 for name, words in spoken.SETS.items())


def test_the_language_that_is_asked_is_not_learnt_from():
    """Features that tell the word in one language alone tell nothing of it elsewhere."""
    labels, languages = recorded()
    own = np.eye(5 * (labels.max() + 1))[languages * (labels.max() + 1) + labels]
    assert spoken._across_languages(own, labels, languages)["words_linear"] < 0.05


def test_page_is_made_of_the_results():
    assert FOUND and spoken.PAGE.read_text() == spoken.page(FOUND)


@pytest.mark.parametrize("method", sorted({key.split("/")[0] for key in FOUND}))
def test_three_seeds_of_each_method_are_there(method):
    assert {key.split("/")[1] for key in FOUND if key.startswith(f"{method}/")} == {"seed0", "seed1", "seed2"}
    assert method in method_tables.methods_of("asterisk")
