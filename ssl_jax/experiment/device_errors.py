"""What a run says when a device's memory is full, or when another of its processes is gone."""

import contextlib
from collections.abc import Iterator

import jax

from ssl_jax.errors import RunError
from ssl_jax.train import processes


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Turns XLA's messages, while a step is compiled or runs, into a RunError of one line where there is advice.

    Raises:
      RunError: the devices ran out of memory, or processes lost each other.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).splitlines()[0][:200]
        if "RESOURCE_EXHAUSTED" in str(error):
            advice = "Lower config.batch_size, set config.model.remat, or take a smaller model."
            raise RunError(f"Out of memory: {reason} {advice}") from error
        if not processes.several():
            raise
        advice = "Another process of this run may have ended. Run the same command to go on from the last checkpoint."
        raise RunError(f"The devices of several processes could not work together: {reason} {advice}") from error
