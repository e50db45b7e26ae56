"""Batches for training, and passes over a set for evaluation.

Grain schedules *steps*, and a step reads all its rows at once: what Grain costs is then paid once a batch instead of
once an example. Batch `step` is a pure function of (seed, step), so nothing has to be saved to go on from any step,
on any number of hosts.
"""

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ssl_jax.data import order, workers


class Source(Protocol):
    """The examples of one split, read in bulk.

    Attributes:
      threads: how many at once are worth while for reading.
      draws: whether anything is drawn while reading.
    """

    threads: int
    draws: bool

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The examples at `indices` (int64 [n]), with `keys` (uint64 [n]) for whatever is drawn for each of them.

        Without `keys` nothing is drawn: what comes is the example as it is.
        """


@dataclasses.dataclass(frozen=True)
class ReadStep:
    """Reads some rows of the batch of one step; picklable, for worker processes."""

    source: Source
    order: order.Order

    def __call__(self, step: int) -> dict[str, np.ndarray]:
        keys = self.order.keys(step) if self.source.draws else None
        return self.source.read(self.order.records(step), keys)


def batches(
    dataset,
    *,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    host_index: int = 0,
    host_count: int = 1,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The training batches of steps `start` to `stop` - 1, made in advance.

    An epoch is `len(dataset.train) // batch_size` steps; each has its own permutation of all examples.

    Args:
      dataset: an AudioData, ImageData or TextData.
      batch_size: rows of the global batch.
      seed: decides the order, and all that is drawn.
      start: first step.
      stop: step to end before.
      host_index: which host this is.
      host_count: number of hosts; host i gets the i-th block of batch_size / host_count rows.

    Yields:
      (step, this host's rows of its batch).

    Raises:
      UserError: the batch is larger than the set, or cannot be split over the hosts.
    """
    rows = order.host_rows(batch_size, host_index, host_count)
    read = _read_step(dataset, batch_size, seed, rows)
    if start >= stop:
        return
    steps = iter(_schedule(read, start, stop, processes=dataset.workers, prefetch=dataset.prefetch))
    try:
        for step, batch in zip(range(start, stop), _started(steps, dataset.workers), strict=True):
            # What comes from a worker lies in shared memory, which is only free again when nobody holds the array.
            yield step, {key: np.array(value) for key, value in batch.items()} if dataset.workers else batch
    finally:
        steps.close()
        if dataset.workers:
            gc.collect()  # Grain's iterators hold the last shared arrays in a cycle, called leaked at exit


def _started(steps: Iterator, processes: int) -> Iterator:
    """The same batches; Grain's worker processes are started when the first one is asked for."""
    with workers.starting() if processes else contextlib.nullcontext():
        first = next(steps)
    return itertools.chain((first,), steps)


def _schedule(read: ReadStep, start: int, stop: int, *, processes: int, prefetch: int):
    """The batches of [start, stop) as a Grain dataset."""
    import grain

    threads = min(read.source.threads, prefetch)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    steps = grain.MapDataset.range(start, stop).map(read).to_iter_dataset(options)
    if not processes:
        return steps
    from absl import flags

    if not flags.FLAGS.is_parsed():  # Grain's workers are handed the flags; a notebook never parsed any
        flags.FLAGS.mark_as_parsed()
    options = grain.MultiprocessingOptions(num_workers=processes, per_worker_buffer_size=prefetch)
    return steps.mp_prefetch(options, worker_init_fn=workers.begin)


def batch_at(
    dataset, *, batch_size: int, seed: int, step: int, host_index: int = 0, host_count: int = 1
) -> dict[str, np.ndarray]:
    """This host's rows of the batch of one step, equal to what `batches` gives; read here and now, without Grain.

    Raises:
      UserError: the batch is larger than the set, or cannot be split over the hosts.
    """
    return _read_step(dataset, batch_size, seed, order.host_rows(batch_size, host_index, host_count))(step)


def _read_step(dataset, batch_size: int, seed: int, rows: tuple[int, int]) -> ReadStep:
    size = len(dataset.train)
    order.steps_per_epoch(size, batch_size)  # says now, not in a worker, that a batch is too large
    return ReadStep(dataset.train, order.Order(size, batch_size, seed, *rows))


def examples(
    source: Source, *, batch_size: int, limit: int | None = None, seed: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """All examples of a source, once, in order; the last batch is shorter.

    Args:
      source: `dataset.train`, `dataset.eval_train` or `dataset.eval`.
      batch_size: examples at a time.
      limit: stop after so many examples; None: go to the end.
      seed: for text: draw sentence pairs as in training, the same ones every time; None: each chunk of text as it is.

    Yields:
      Batches as in training.
    """
    size = len(source) if limit is None else min(limit, len(source))
    for start in range(0, size, batch_size):
        indices = np.arange(start, min(start + batch_size, size), dtype=np.int64)
        yield source.read(indices, None if seed is None else order.row_keys(seed, 0, indices))
