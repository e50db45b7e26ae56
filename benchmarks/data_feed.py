"""How fast data is fed: a cached set, and a set that is decoded as it streams.

    python benchmarks/data_feed.py [--records=4000] [--batch_size=256]

Prints a table. 'per core' is examples per second of processor time, so it holds on a busy machine as well.
The streaming rows read the same 32x32 PNG records in the same order; '__getitems__' is `tfds.data_source` alone.
"""

import argparse
import contextlib
import functools
import io
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ssl_jax import data  # noqa: E402
from ssl_jax.data import order  # noqa: E402
from ssl_jax.data.builders import png  # noqa: E402

_REPEATS = 5
_CACHED_RECORDS = 100_000


class FeedBenchmark(tfds.core.GeneratorBasedBuilder):
    """Made-up 32x32 pictures, about 3 KB each when decoded and when encoded."""

    VERSION = tfds.core.Version("1.0.0")
    RECORDS = 4000
    name = "feed_benchmark"

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(32, 32, 3))
        features = tfds.features.FeaturesDict({"image": image, "label": tfds.features.ClassLabel(num_classes=10)})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict]]:
        rng = np.random.default_rng(0)
        for number in range(self.RECORDS):
            image = rng.integers(256, size=(32, 32, 3), dtype=np.uint8)
            yield number, {"image": png.encode(image), "label": number % 10}


class _Cached:
    """What `data.batches` needs of a data set, around a cache of made-up pictures."""

    workers, prefetch = 0, 2

    def __init__(self, folder: Path):
        rng = np.random.default_rng(0)
        np.save(folder / "image.npy", rng.integers(256, size=(_CACHED_RECORDS, 32, 32, 3), dtype=np.uint8))
        np.save(folder / "label.npy", np.zeros(_CACHED_RECORDS, np.int32))
        self.train = data.CachedImages(folder, data.Spec(shapes={"image": (32, 32, 3), "label": ()}))


def rate(read: Callable[[], int]) -> tuple[float, float]:
    """Examples per second of wall time and of processor time (of this process), the best of some repeats."""
    wall, processor = [], []
    for _ in range(_REPEATS):
        start_wall, start_processor = time.perf_counter(), time.process_time()
        count = read()
        wall.append(count / (time.perf_counter() - start_wall))
        processor.append(count / (time.process_time() - start_processor))
    return max(wall), max(processor)


def _feed(dataset, batch_size: int, steps: int) -> int:
    for _ in data.batches(dataset, batch_size=batch_size, seed=0, start=0, stop=steps):
        pass
    return batch_size * steps


def _alone(source, batch_size: int, steps: int) -> int:
    """The same records in the same order, as TFDS hands them out."""
    rows = order.Order(len(source), batch_size, seed=0, first_row=0, end_row=batch_size)
    for step in range(steps):
        source.__getitems__(rows.records(step).tolist())
    return batch_size * steps


def _after_start(dataset, batch_size: int, steps: int) -> float:
    """Examples per second of wall time once all workers run."""
    warm_up = 4 * (dataset.workers or 1)
    for step, _ in data.batches(dataset, batch_size=batch_size, seed=0, start=0, stop=warm_up + steps):
        if step == warm_up - 1:
            start = time.perf_counter()
    return batch_size * steps / (time.perf_counter() - start)


def cached_rows(folder: Path) -> Iterator[tuple[str, float, float]]:
    """(what, examples a second, examples a second of processor time) for a cached set."""
    dataset = _Cached(folder)
    for batch_size in (256, 1024, 4096):
        steps = _CACHED_RECORDS // batch_size
        yield f"cached, batch {batch_size}", *rate(functools.partial(_feed, dataset, batch_size, steps))


def streaming_rows(folder: Path, batch_size: int, records: int) -> Iterator[tuple[str, float, float]]:
    """The same for a set that is decoded as it streams, and for its data source alone."""
    FeedBenchmark.RECORDS = records
    builder = FeedBenchmark(data_dir=str(folder), file_format="array_record")
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    source, steps = builder.as_data_source("train"), records // batch_size
    yield "__getitems__ alone", *rate(lambda: _alone(source, batch_size, steps))
    streamed = data.ImageData("feed_benchmark", data_dir=str(folder), cache="never")
    yield "streamed, no workers", *rate(lambda: _feed(streamed, batch_size, steps))


def worker_rows(folder: Path, batch_size: int, records: int) -> Iterator[tuple[str, float]]:
    """(what, examples a second) by number of worker processes, their start not counted."""
    for workers in range(1, (os.cpu_count() or 1) + 1):
        dataset = data.ImageData("feed_benchmark", data_dir=str(folder), cache="never", workers=workers)
        yield f"streamed, {workers} workers", _after_start(dataset, batch_size, 10 * (records // batch_size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--batch_size", type=int, default=256)
    options = parser.parse_args()
    tfds.disable_progress_bar()
    logging.getLogger("absl").setLevel(logging.ERROR)
    print(f"{'':24}{'examples/s':>14}{'per core':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for what, wall, processor in cached_rows(Path(folder)):
            print(f"{what:24}{wall:14,.0f}{processor:14,.0f}", flush=True)
        streaming = list(streaming_rows(Path(folder), options.batch_size, options.records))
        for what, wall, processor in streaming:
            print(f"{what:24}{wall:14,.0f}{processor:14,.0f}", flush=True)
        for what, wall in worker_rows(Path(folder), options.batch_size, options.records):
            print(f"{what:24}{wall:14,.0f}", flush=True)
    (_, _, alone), (_, _, streamed) = streaming
    print(f"streaming costs {alone / streamed - 1:+.1%} of processor time over __getitems__ alone (at most +15%)")


if __name__ == "__main__":
    main()
