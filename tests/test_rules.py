"""What lengths tell (benchmarks/rules.py), worked out by hand."""

import numpy as np

from benchmarks import rules


def test_of_equally_near_ones_one_is_taken_at_random():
    apart = np.array([[0.0, 1.0, 0.0, 2.0], [3.0, 1.0, 2.0, np.inf], [2.0, 2.0, 2.0, 2.0]])
    same = np.array([[True, False, False, False], [False, False, True, False], [False, True, True, False]])
    assert rules._right(apart, same) == (1 / 2 + 0 + 2 / 4) / 3


def test_results_are_of_both_tasks():
    found = rules.read()
    assert found.keys() == {"sentence_order_accuracy", "sound_to_text", "text_to_sound"}
    assert all(0 < share < 1 for share in found.values())
