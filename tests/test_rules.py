"""What lengths tell (benchmarks/rules.py), worked out by hand."""

import types

import numpy as np

from benchmarks import rules


def test_of_equally_near_ones_one_is_taken_at_random():
    apart = np.array([[0.0, 1.0, 0.0, 2.0], [3.0, 1.0, 2.0, np.inf], [2.0, 2.0, 2.0, 2.0]])
    same = np.array([[True, False, False, False], [False, False, True, False], [False, True, True, False]])
    assert rules._right(apart, same) == (1 / 2 + 0 + 2 / 4) / 3


def test_results_are_of_todays_configs():
    assert rules.read().keys() == rules.MEASURED.keys()


class Source:
    """A split of given arrays."""

    def __init__(self, **arrays):
        self.arrays = {name: np.asarray(array) for name, array in arrays.items()}

    def __len__(self):
        return len(next(iter(self.arrays.values())))

    def read(self, rows, keys=None):
        del keys
        return {name: array[rows] for name, array in self.arrays.items()}


SPEC = types.SimpleNamespace(special_ids=(0, 1, 2), vocab_size=9)


def test_of_pairs_lengths_are_known_and_the_words_that_both_show():
    """[CLS] 5 6 [SEP] 5 7 [PAD] and [CLS] 5 [SEP] 6 7 8 [SEP]; what is shared may be left out, a length is not."""
    tokens = np.array([[1, 5, 6, 2, 5, 7, 0], [1, 5, 2, 6, 7, 8, 2]] * 50)
    segments = np.array([[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]] * 50)
    known, asked = rules._pairs(Source(tokens=tokens, segments=segments, next=np.tile([1, 0], 50)), SPEC, "next")
    np.testing.assert_array_equal(known[::2, :2], [[2, 2]] * 50)
    np.testing.assert_array_equal(known[1::2, :3], [[1, 3, 0]] * 50)
    shared = known[::2, 2]
    assert set(shared) == {0, 1} and 0.5 < shared.mean() < 0.95  # 0.85 squared is expected
    assert (known[::2, 3][shared == 0] == 0).all() and len(set(known[::2, 3][shared == 1])) == 1
    np.testing.assert_array_equal(asked, np.tile([1, 0], 50))


def test_language_and_length_find_a_text():
    """Texts of language 0 have a token a second, those of language 1 two; in a batch no two are as long."""
    seconds = np.tile(np.arange(1, 5), 2)
    words = seconds * np.repeat([1, 2], 4)
    tokens = np.where(np.arange(8)[None] < words[:, None], 3 + np.repeat([0, 1], 4)[:, None], 0)
    split = Source(tokens=tokens, label=np.repeat([0, 1], 4), length=8000 * seconds)
    opened = types.SimpleNamespace(train=split, eval=split, spec=SPEC)
    assert rules.retrieved(opened, {"batch_size": 8}) == {"sound_to_text": 1.0, "text_to_sound": 1.0}
    alike = Source(**split.arrays | {"length": np.full(8, 8000)})  # each language by itself: one of four
    opened = types.SimpleNamespace(train=split, eval=alike, spec=SPEC)
    assert rules.retrieved(opened, {"batch_size": 8}) == {"sound_to_text": 0.25, "text_to_sound": 0.25}
