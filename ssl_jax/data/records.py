"""Records of one split, read in bulk: real ones through `tfds.data_source`, or made-up ones for dry runs."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from ssl_jax import errors
from ssl_jax.data import catalogue, mock
from ssl_jax.errors import RunError, UserError


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one split, with only the features `keys`; pictures come as encoded bytes.

    Opened on first use, and picklable: a worker process opens its own.

    Attributes:
      name: TFDS name.
      data_dir: where the prepared set is; None is TFDS's own place.
      split: TFDS split, e.g. 'train' or 'train[:90%]'.
      keys: features to read.
      mock: number of made-up records; 0 reads real ones.
    """

    name: str
    data_dir: str | None
    split: str
    keys: tuple[str, ...]
    mock: int = 0

    def __len__(self) -> int:
        return len(self._source)

    def read(self, indices: np.ndarray) -> list[dict]:
        """The records at `indices` (int64 [n]) as dicts of `keys`.

        Raises:
          UserError: a file is missing, truncated or damaged.
          RunError: something else went wrong.
        """
        with reading(self, np.asarray(indices)):
            return self._source.__getitems__([int(index) for index in indices])

    def split_info(self):
        """What TFDS knows of the split; only of real records.

        Raises:
          UserError: there is no such split.
        """
        splits = self.builder.info.splits
        try:
            info = splits[self.split]
        except (KeyError, ValueError) as error:
            whole = self.split.split("[")[0]
            if whole in splits:
                raise UserError(
                    f"config.data: split {self.split!r} is malformed: write e.g. '{whole}[:90%]'."
                ) from error
            setting = "config.data.train_split, eval_train_split or eval_split"
            raise errors.unknown(setting, self.split, splits) from error
        if not info.num_examples:
            raise UserError(f"config.data: split {self.split!r} of {self.name!r} has no examples.")
        return info

    def in_parts(self, size: int, *, limit: int | None = None) -> Iterator[list[dict]]:
        """All records in their order, or `limit` of them, spread evenly, `size` at a time; raises as `read` does."""
        count = len(self) if limit is None else min(len(self), limit)
        for start in range(0, count, size):
            yield self.read(np.arange(start, min(start + size, count)) * len(self) // count)

    def fingerprint(self) -> dict:
        """What decides the content of these records, for the key of a cache made from them."""
        identity = dataclasses.asdict(self) | {"data_dir": None, "full_name": self.builder.info.full_name}
        if not self.mock:
            with reading(self):
                info = self.split_info()
                identity["files"] = [(path.name, path.stat().length) for path in info.filepaths]
                identity["records"] = (info.num_examples, info.shard_lengths)
        return identity

    @functools.cached_property
    def builder(self):
        """The TFDS builder; prepared, unless the records are made up."""
        return (catalogue.find if self.mock else catalogue.opened)(self.name, self.data_dir)

    @functools.cached_property
    def _source(self) -> Sequence[dict]:
        features = {key: self.feature(key) for key in self.keys}
        if self.mock:
            return mock.MockRecords(features, size=self.mock, split=self.split)
        return _data_source(self, features)

    def feature(self, key: str, setting: str = ""):
        """The TFDS feature called `key`; an error says that `setting` names one that does not exist.

        Raises:
          UserError: there is none of that name.
        """
        features = self.builder.info.features
        if key not in features:
            raise errors.unknown(f"config.data{setting and '.'}{setting} (features of {self.name})", key, features)
        return features[key]

    def __getstate__(self) -> dict:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def _data_source(records: Records, features: dict) -> Sequence[dict]:
    import tensorflow_datasets as tfds

    with reading(records):
        records.split_info()
        raw = records.builder.as_data_source(records.split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)
    return _Parsed(raw, tfds.features.FeaturesDict(features), _undecoded(features))


@dataclasses.dataclass(frozen=True)
class _Parsed:
    """Parses some features of raw records, and leaves alone those that are not asked for."""

    raw: Sequence[bytes]
    features: object
    decoders: dict

    def __len__(self) -> int:
        return len(self.raw)

    def __getitems__(self, indices: list[int]) -> list[dict]:
        parse = functools.partial(self.features.deserialize_example_np, decoders=self.decoders)
        return [parse(record) for record in self.raw.__getitems__(indices)]


def _undecoded(features: dict) -> dict:
    """Leaves pictures encoded: `ssl_jax.data.pictures` decodes them, straight to the size that is wanted."""
    import tensorflow_datasets as tfds

    images = (key for key, feature in features.items() if isinstance(feature, tfds.features.Image))
    return {key: tfds.decode.SkipDecoding() for key in images}


@contextlib.contextmanager
def reading(records: Records, indices: np.ndarray | None = None) -> Iterator[None]:
    """Turns failures to read records into one line.

    Args:
      records: what is read.
      indices: which of them; None: nothing yet, they are opened.

    Raises:
      UserError: a file is missing or damaged; the line names it.
      RunError: something else went wrong.
    """
    try:
        yield
    except (UserError, RunError, MemoryError):
        raise
    except NotImplementedError as error:
        raise UserError(
            f"config.data.name: {records.name!r} in {records.builder.data_dir} was prepared as"
            f" {records.builder.info.file_format}, which needs TensorFlow to read: prepare it again in another place,"
            f" python launch.py prepare {records.name} --data_dir=ANOTHER"
        ) from error
    except Exception as error:
        broken = _broken_file(records, indices)
        if broken is None:
            first_line = str(error).partition("\n")[0][:300]
            raise RunError(
                f"The records of {records.name!r} ({records.split}) could not be read:"
                f" {type(error).__name__}: {first_line}. Run the same command again."
            ) from error
        raise UserError(
            f"{broken} is missing, truncated or unreadable: delete {records.builder.data_path}"
            f" and run: python launch.py prepare {records.name} --data_dir={catalogue.resolve(records.data_dir)}"
        ) from error


def _broken_file(records: Records, indices: np.ndarray | None) -> str | None:
    """The first file that is missing or damaged: of those that hold the records `indices`, or of all."""
    first = 0
    for shard in () if records.mock else records.split_info().file_instructions:
        inside = np.arange(0) if indices is None else indices[(first <= indices) & (indices < first + shard.take)]
        if (indices is None or len(inside)) and _is_broken(shard, inside - first + shard.skip):
            return shard.filename
        first += shard.take
    return None


def _is_broken(shard, positions: np.ndarray) -> bool:
    """Whether a file is missing, or its first, its last or one of the records at `positions` cannot be read."""
    import tensorflow_datasets as tfds
    from array_record.python import array_record_module

    try:
        tfds.core.Path(shard.filename).open("rb").close()
    except FileNotFoundError:
        return True
    except Exception:  # not allowed, too many open files, no connection: says nothing of the file
        return False
    try:
        reader = array_record_module.ArrayRecordReader(shard.filename)
        for position in (0, shard.examples_in_shard - 1, *positions):
            reader.read([int(position)])
    except MemoryError:
        raise
    except Exception:
        return True
    return False
