import numpy as np
import pytest
from scipy import stats

from ssl_jax.data import order
from ssl_jax.errors import UserError


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 10, 17, 1437, 65536, 65537, 99_999])
def test_every_index_once(size: int):
    for key in (0, 1, 2**64 - 1, -7):
        permuted = order.permute(np.arange(size), size, key)
        np.testing.assert_array_equal(np.sort(permuted), np.arange(size))


@pytest.mark.parametrize("size", [2**31 + 11, 2**40 + 12_345, 2**53 + 1, 2**62])
def test_large_sizes_collide_nowhere_and_fill_the_range(size: int):
    positions = np.concatenate([np.arange(100_000), size - 1 - np.arange(100_000)])
    permuted = order.permute(positions, size, key=3)
    assert len(np.unique(permuted)) == len(positions)
    assert permuted.min() >= 0 and permuted.max() < size
    assert stats.kstest(permuted / size, "uniform").pvalue > 1e-3


def test_a_part_is_permuted_as_the_whole():
    whole = order.permute(np.arange(10_000), 10_000, key=5)
    np.testing.assert_array_equal(order.permute(np.array([17, 9_999, 0]), 10_000, key=5), whole[[17, 9_999, 0]])


def test_keys_give_different_permutations():
    first, second = (order.permute(np.arange(10_000), 10_000, key) for key in (0, 1))
    assert (first == second).mean() < 0.01


@pytest.mark.parametrize("size", [4, 50])
def test_all_places_are_equally_likely(size: int):
    draws = 4000
    counts = np.zeros((size, size))
    for key in range(draws):
        counts[np.arange(size), order.permute(np.arange(size), size, key)] += 1
    expected = draws / size
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, (size - 1) ** 2) > 1e-4


def test_all_permutations_of_four_occur():
    seen = {tuple(order.permute(np.arange(4), 4, key)) for key in range(1000)}
    assert len(seen) == 24


def test_neighbours_are_not_kept_together():
    permuted = order.permute(np.arange(100_000), 100_000, key=1)
    assert abs(np.corrcoef(permuted[:-1], permuted[1:])[0, 1]) < 0.02


@pytest.mark.parametrize("positions", [[-1], [10], [3, 12]])
def test_positions_outside_are_refused(positions: list[int]):
    with pytest.raises(ValueError, match=r"positions must lie in \[0, 10\)"):
        order.permute(np.array(positions), 10, key=0)


@pytest.mark.parametrize("size", [0, 2**62 + 1])
def test_impossible_sizes_are_refused(size: int):
    with pytest.raises(ValueError, match="size"):
        order.permute(np.arange(0), size, key=0)


@pytest.mark.parametrize(("size", "batch_size"), [(1437, 256), (100, 10), (9000, 4500), (64, 64)])
def test_an_epoch_is_a_permutation_less_the_remainder(size: int, batch_size: int):
    rows = order.Order(size, batch_size, seed=1, first_row=0, end_row=batch_size)
    steps = order.steps_per_epoch(size, batch_size)
    epochs = [np.concatenate([rows.records(epoch * steps + step) for step in range(steps)]) for epoch in range(3)]
    for records in epochs:
        assert len(np.unique(records)) == steps * batch_size
        assert records.min() >= 0 and records.max() < size
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])


def test_an_epoch_of_a_set_of_a_trillion_does_not_repeat_itself():
    rows = order.Order(2**40 + 1, 4096, seed=0, first_row=0, end_row=4096)
    records = np.concatenate([rows.records(step) for step in (0, 1, 10**8, 2 * 10**8)])
    assert len(np.unique(records)) == 4 * 4096


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_hosts_share_the_rows_of_a_batch(hosts: int):
    whole = order.Order(1437, 64, seed=9, first_row=0, end_row=64)
    parts = [order.Order(1437, 64, 9, *order.host_rows(64, host, hosts)) for host in range(hosts)]
    for step in (0, 21, 22, 1000, 10**9):
        np.testing.assert_array_equal(np.concatenate([part.records(step) for part in parts]), whole.records(step))
        np.testing.assert_array_equal(np.concatenate([part.keys(step) for part in parts]), whole.keys(step))


def test_seeds_and_steps_give_different_keys():
    keys = [order.row_keys(seed, step, np.arange(100)) for seed in range(5) for step in range(20)]
    assert len(np.unique(np.concatenate(keys))) == 5 * 20 * 100


def test_draws_are_uniform_and_independent():
    keys = order.row_keys(0, 0, np.arange(100_000))
    first, second = order.uniform(keys, 0), order.uniform(keys, 1)
    assert stats.kstest(first, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02
    assert 0 <= first.min() and first.max() < 1


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(UserError, match="config.batch_size: 11 is more than the 10 training examples; use at most 10"):
        order.steps_per_epoch(10, 11)


def test_rows_that_cannot_be_shared_are_refused():
    with pytest.raises(UserError, match="config.batch_size: 10 is not divisible by the number of hosts, 4"):
        order.host_rows(10, 0, 4)
    with pytest.raises(ValueError, match="host_index 2"):
        order.host_rows(10, 2, 2)
