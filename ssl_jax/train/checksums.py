"""A checksum for each array of a state, computed where the array lies, so that silent damage shows on restoring."""

import jax
import jax.numpy as jnp
from jax import lax

_WORDS = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}


@jax.jit
def checksums(arrays: dict[str, jax.Array]) -> jax.Array:
    """One number for each array, in the order of their names: uint32 [arrays]. Any one changed word changes it."""
    return jnp.stack([_checksum(arrays[name]) for name in sorted(arrays)])


def _checksum(array: jax.Array) -> jax.Array:
    """The sum of all words, each times an odd number of its own (odd numbers have an inverse modulo 2**32)."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    array = array.astype(jnp.uint8) if array.dtype == jnp.bool else array
    words = lax.bitcast_convert_type(array, _WORDS[array.dtype.itemsize]).astype(jnp.uint32)
    place, stride = jnp.zeros(words.shape, jnp.uint32), 1
    for axis in reversed(range(words.ndim)):  # no reshape, which would gather an array that is spread over devices
        place += lax.broadcasted_iota(jnp.uint32, words.shape, axis) * jnp.uint32(stride % 2**32)
        stride *= words.shape[axis]
    return jnp.sum(words * (2 * place + 1), dtype=jnp.uint32)
