"""Which record stands in which row of which batch: a pure function of (seed, step, row).

A keyed permutation of [0, size) is computed index by index, so it needs no memory: shuffling billions of records
costs the same as shuffling ten. It is a Feistel network on pairs (high, low) of a grid that just holds `size`; the few
indices that land outside [0, size) are sent through again ("generalised Feistel" and "cycle walking": Black and
Rogaway, Ciphers with Arbitrary Finite Domains, CT-RSA 2002).
"""

import dataclasses
import functools
import math

import numpy as np

from ssl_jax.errors import UserError

_ROUNDS = (
    8  # four suffice for pseudo-randomness with ideal round functions (Luby and Rackoff 1988); small sets need more
)
_BLOCK = 8192  # positions that are permuted at once
_MASK = 2**64 - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ODD = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_PURPOSES = {"epoch": 1, "row": 2, "round": 3}  # keeps keys drawn for different purposes apart


def fold(key: int, *values: int) -> int:
    """A new 64-bit key from a key and integers; each different argument gives a different one."""
    for value in values:
        key = _mix(_mix(key & _MASK) ^ (value & _MASK))
    return key


def _mix(x: int) -> int:
    """The 64-bit finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK
    return x ^ (x >> 31)


def _mix_all(x: np.ndarray) -> np.ndarray:
    """`_mix` of each element (uint64 [n])."""
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_FIRST)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_SECOND)
    return x ^ (x >> np.uint64(31))


def permute(positions: np.ndarray, size: int, key: int) -> np.ndarray:
    """Where the permutation number `key` of [0, size) sends `positions`.

    Args:
      positions: int64 [n], each in [0, size).
      size: number of records, up to 2**62.
      key: which permutation; any 64-bit integer.

    Returns:
      int64 [n]; over all positions each index of [0, size) exactly once.

    Raises:
      ValueError: `size` or one of `positions` is out of range.
    """
    if not 0 < size <= 2**62:
        raise ValueError(f"size {size} is not between 1 and 2**62")
    positions = np.asarray(positions, np.int64)
    if positions.size and (positions.min() < 0 or positions.max() >= size):
        raise ValueError(f"positions must lie in [0, {size})")
    keys = [np.uint64(fold(key, _PURPOSES["round"], number)) for number in range(_ROUNDS)]
    out = _feistel(positions.astype(np.uint64), size, keys)
    outside = np.flatnonzero(out >= size)
    while outside.size:
        out[outside] = _feistel(out[outside], size, keys)
        outside = outside[out[outside] >= size]
    return out.astype(np.int64)


def _feistel(x: np.ndarray, size: int, keys: list[np.uint64]) -> np.ndarray:
    """A bijection of the smallest near-square grid that holds `size`: the halves take turns to be shifted by a hash.

    Of the grid's cells fewer than sqrt(size) + 1 are outside [0, size).
    """
    side = math.isqrt(size - 1) + 1
    rows, columns = np.uint64(-(-size // side)), np.uint64(side)
    high, low = x // columns, x % columns
    for number, key in enumerate(keys):
        if number % 2:
            low = (low + _below(high ^ key, columns)) % columns
        else:
            high = (high + _below(low ^ key, rows)) % rows
    return high * columns + low


def _below(x: np.ndarray, bound: np.uint64) -> np.ndarray:
    """A hash of each element in [0, bound), bound <= 2**32. (Upper bits of a product depend on all bits below.)"""
    x = x * _ODD
    x ^= x >> _HALF
    x *= _ODD
    x >>= _HALF
    x *= bound
    x >>= _HALF
    return x


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Batches in one pass over `size` records; the remainder is left out, a different one each epoch.

    Raises:
      UserError: if there are fewer records than one batch takes.
    """
    if batch_size > size:
        raise UserError(
            f"config.batch_size: {batch_size} is more than the {size} training examples; use at most {size}."
        )
    return size // batch_size


@dataclasses.dataclass(frozen=True)
class Order:
    """Says which records stand in rows [first_row, end_row) of each batch.

    Attributes:
      size: number of records.
      batch_size: rows of the global batch.
      seed: each seed gives other permutations, one an epoch.
      first_row: first row wanted.
      end_row: row after the last one wanted.
    """

    size: int
    batch_size: int
    seed: int
    first_row: int
    end_row: int

    def records(self, step: int) -> np.ndarray:
        """The records (int64 [end_row - first_row]) in these rows of batch `step`."""
        epoch, step_in_epoch = divmod(step, steps_per_epoch(self.size, self.batch_size))
        number, place = divmod(step_in_epoch, max(1, _BLOCK // self.batch_size))
        return _block(self, epoch, number)[place]

    def keys(self, step: int) -> np.ndarray:
        """One random key (uint64 [end_row - first_row]) for what is drawn for each of these rows of batch `step`."""
        return row_keys(self.seed, step, np.arange(self.first_row, self.end_row))


@functools.lru_cache(maxsize=8)
def _block(order: Order, epoch: int, number: int) -> np.ndarray:
    """The records of some steps in a row (int64 [steps, rows]): NumPy takes hardly longer than for one step."""
    steps = max(1, _BLOCK // order.batch_size)
    first = np.arange(number * steps, min((number + 1) * steps, steps_per_epoch(order.size, order.batch_size)))
    rows = np.arange(order.first_row, order.end_row)
    positions = (first[:, None] * order.batch_size + rows).reshape(-1)
    permuted = permute(positions, order.size, fold(order.seed, _PURPOSES["epoch"], epoch))
    return permuted.reshape(len(first), len(rows))


def row_keys(seed: int, step: int, rows: np.ndarray) -> np.ndarray:
    """One random key (uint64 [n]) for whatever is drawn for each of `rows` of batch `step`."""
    return _fold_all(np.asarray(rows).astype(np.uint64), fold(seed, _PURPOSES["row"], step))


def uniform(keys: np.ndarray, stream: int) -> np.ndarray:
    """One number in [0, 1) (float64 [n]) a key; `stream` tells apart the draws made from the same key."""
    return (_fold_all(keys, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _fold_all(values: np.ndarray, key: int) -> np.ndarray:
    """A new key (uint64 [n]) from each value and one key."""
    return _mix_all(_mix_all(values) ^ np.uint64(_mix(key)))


def host_rows(batch_size: int, host_index: int, host_count: int) -> tuple[int, int]:
    """The rows of the global batch that a host reads: (first, the one after the last) of a contiguous block.

    Raises:
      UserError: the rows cannot be shared out evenly.
    """
    if batch_size % host_count:
        raise UserError(f"config.batch_size: {batch_size} is not divisible by the number of hosts, {host_count}.")
    if not 0 <= host_index < host_count:
        raise ValueError(f"host_index {host_index} is not in [0, {host_count})")
    share = batch_size // host_count
    return host_index * share, (host_index + 1) * share
