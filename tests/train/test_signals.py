"""Signals: at once where there is nothing to save, after saving where there is."""

import os
import signal

import pytest

from ssl_jax.train.signals import Stopped, StopSignal


@pytest.fixture
def stop():
    stop = StopSignal()
    yield stop
    stop.restore()


def test_outside_of_training_it_stops_at_once(stop):
    with pytest.raises(Stopped, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)


def test_no_except_clause_for_damaged_files_takes_it(stop):
    with pytest.raises(Stopped):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception:
            pytest.fail("a stop was taken for a failure")


def test_within_training_it_is_a_wish_and_a_second_interrupt_is_not(stop):
    with stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested is signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    StopSignal().restore()
    assert signal.getsignal(signal.SIGTERM) is before
