import numpy as np
import pytest

from ssl_jax import data
from ssl_jax.errors import UserError


def _same(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


@pytest.fixture(scope="module")
def digits(data_dir: str) -> data.ImageData:
    return data.ImageData("digits", data_dir=data_dir)


@pytest.fixture(scope="module")
def verses(data_dir: str) -> data.TextData:
    return data.TextData("kjv", data_dir=data_dir, label_key="book", sequence_length=32, vocab_size=500)


@pytest.fixture(params=["digits", "verses"])
def dataset(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


def test_a_batch_depends_on_seed_and_step_alone(dataset):
    settings = dict(batch_size=64, seed=3)
    straight = dict(data.batches(dataset, start=0, stop=30, **settings))
    assert list(straight) == list(range(30))
    for start in (0, 1, 17, 29):
        for step, batch in data.batches(dataset, start=start, stop=30, **settings):
            _same(batch, straight[step])
    _same(data.batch_at(dataset, step=23, **settings), straight[23])


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_hosts_together_read_the_batch(dataset, hosts: int):
    feeds = [
        data.batches(dataset, batch_size=64, seed=3, start=20, stop=26, host_index=host, host_count=hosts)
        for host in range(hosts)
    ]
    for parts in zip(*feeds, strict=True):
        step = parts[0][0]
        assert all(part[0] == step and len(part[1]["label"]) == 64 // hosts for part in parts)
        joined = {key: np.concatenate([part[1][key] for part in parts]) for key in parts[0][1]}
        _same(joined, data.batch_at(dataset, batch_size=64, seed=3, step=step))
        for host, (_, part) in enumerate(parts):
            _same(part, data.batch_at(dataset, batch_size=64, seed=3, step=step, host_index=host, host_count=hosts))


def test_seeds_and_steps_differ(dataset):
    key = "image" if "image" in dataset.spec.shapes else "tokens"
    batches = [
        data.batch_at(dataset, batch_size=64, seed=seed, step=step)[key] for seed, step in ((0, 0), (0, 1), (1, 0))
    ]
    assert not np.array_equal(batches[0], batches[1])
    assert not np.array_equal(batches[0], batches[2])


def test_an_epoch_shows_every_picture_once(data_dir: str):
    dataset = data.ImageData("digits", data_dir=data_dir, train_split="train[:128]")
    everything = dataset.train.read(np.arange(128))["image"].reshape(128, -1)
    for epoch in range(2):
        start = 4 * epoch
        shown = [
            batch["image"] for _, batch in data.batches(dataset, batch_size=32, seed=0, start=start, stop=start + 4)
        ]
        shown = np.concatenate(shown).reshape(128, -1)
        np.testing.assert_array_equal(shown[np.lexsort(shown.T)], everything[np.lexsort(everything.T)])


def test_worker_processes_change_nothing(data_dir: str, digits: data.ImageData):
    streamed = data.ImageData("digits", data_dir=data_dir, cache="never", workers=2)
    feed = data.batches(streamed, batch_size=64, seed=3, start=5, stop=12)
    steps = []
    for step, batch in feed:
        steps.append(step)
        _same(batch, data.batch_at(digits, batch_size=64, seed=3, step=step))
    assert steps == list(range(5, 12))


def test_workers_make_sentence_pairs_as_well(data_dir: str, verses: data.TextData):
    settings = dict(data_dir=data_dir, label_key="book", sequence_length=32, vocab_size=500)
    dataset = data.TextData("kjv", workers=1, **settings)
    for step, batch in data.batches(dataset, batch_size=16, seed=0, start=2, stop=5):
        _same(batch, data.batch_at(verses, batch_size=16, seed=0, step=step))


def test_steps_far_away_are_reached_at_once(digits: data.ImageData):
    [(step, batch)] = data.batches(digits, batch_size=64, seed=0, start=10**12, stop=10**12 + 1)
    assert step == 10**12
    _same(batch, data.batch_at(digits, batch_size=64, seed=0, step=10**12))


def test_nothing_to_do(digits: data.ImageData):
    assert list(data.batches(digits, batch_size=64, seed=0, start=5, stop=5)) == []


def test_a_batch_larger_than_the_set(digits: data.ImageData):
    with pytest.raises(UserError, match="config.batch_size: 2000 is more than the 1437"):
        next(data.batches(digits, batch_size=2000, seed=0, start=0, stop=1))
    with pytest.raises(UserError, match="config.batch_size: 2000 is more than the 1437"):
        data.batch_at(digits, batch_size=2000, seed=0, step=0)


def test_a_batch_that_cannot_be_split_over_the_hosts(digits: data.ImageData):
    with pytest.raises(UserError, match="config.batch_size: 32 is not divisible by the number of hosts, 3"):
        data.batch_at(digits, batch_size=32, seed=0, step=0, host_count=3)


def test_examples_come_once_and_in_order(dataset):
    batches = list(data.examples(dataset.eval, batch_size=100))
    assert [len(batch["label"]) for batch in batches[:-1]] == [100] * (len(batches) - 1)
    joined = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    _same(joined, dataset.eval.read(np.arange(len(dataset.eval))))


def test_examples_stop_at_the_limit(digits: data.ImageData):
    assert [len(batch["label"]) for batch in data.examples(digits.eval, batch_size=100, limit=250)] == [100, 100, 50]
    assert sum(len(batch["label"]) for batch in data.examples(digits.eval, batch_size=100, limit=10**9)) == 360


def test_examples_with_a_seed_are_pairs_whatever_the_batch_size(verses: data.TextData):
    by_ten = list(data.examples(verses.eval, batch_size=10, limit=40, seed=1))
    at_once = next(data.examples(verses.eval, batch_size=40, limit=40, seed=1))
    _same({key: np.concatenate([batch[key] for batch in by_ten]) for key in at_once}, at_once)
    assert 0 < at_once["next"].mean() < 1
