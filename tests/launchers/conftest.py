"""What the tests of several engines need."""

from collections.abc import Iterator

import pytest

from ssl_jax.train.signals import StopSignal


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    stop = StopSignal()
    yield stop
    stop.restore()
