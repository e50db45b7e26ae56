"""A full memory is one line; other errors stay what they are."""

import jax
import jax.numpy as jnp
import pytest

from ssl_jax.errors import RunError
from ssl_jax.experiment import device_errors


def test_a_full_memory_is_one_line():
    with (
        pytest.raises(RunError, match="^Out of memory: .*Lower config.batch_size") as caught,
        device_errors.in_one_line(),
    ):
        jnp.zeros((2**48,)).block_until_ready()  # more than there are addresses
    assert "\n" not in str(caught.value)


def test_other_errors_pass():
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"), device_errors.in_one_line():
        jax.jit(lambda: 0, compiler_options={"no_such_option": "1"}).lower().compile()
