"""What a run says when a device's memory is full."""

import contextlib
from collections.abc import Iterator

import jax

from ssl_jax.errors import RunError


@contextlib.contextmanager
def full_memory_in_one_line() -> Iterator[None]:
    """Turns XLA's message about memory, while a step is compiled or runs, into a RunError of one line."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        reason = str(error).splitlines()[0][:200]
        raise RunError(f"Out of memory: {reason} Lower config.batch_size, or take a smaller model.") from error
