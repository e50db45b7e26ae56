"""Which methods are tried end to end in the quick part of the suite; the others are so in the whole."""

from collections.abc import Iterable

import pytest

QUICK = ("byol", "bert")


def by_method(names: Iterable[str]) -> list:
    """`names` of methods (or of cases of one) as parameters of a test, slow but for those of `QUICK`."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]
