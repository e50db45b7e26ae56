"""Convolutions for positions refuse sizes that cannot be."""

import pytest
from flax import nnx

from ssl_jax.models.convolutions import ConvPositions, StackedConvPositions

SIZES = dict(kernel=3, groups=2, dtype="float32")


@pytest.mark.parametrize(("positions", "more"), [(ConvPositions, {}), (StackedConvPositions, {"depth": 2})])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(groups=3), "width 8 is not divisible by groups 3"),
        (dict(groups=0), "groups 0 is below 1"),
        (dict(kernel=0), "kernel 0 is below 1"),
    ],
)
def test_impossible_sizes(positions, more, settings, message):
    with pytest.raises(ValueError, match=message):
        positions(8, **SIZES | more | settings, rngs=nnx.Rngs(0))
