"""Records of one split, read in bulk: real ones through `tfds.data_source`, or made-up ones for dry runs."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np

from ssl_jax import errors
from ssl_jax.data import catalogue, mock
from ssl_jax.errors import UserError


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
          UserError: a file is truncated or unreadable.
        """
        with reading(self):
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
        """The TFDS feature called `key`; an error says that `setting` names one that does not exist."""
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
def reading(records: Records) -> Iterator[None]:
    """Turns failures to read records into one line that names the files."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except NotImplementedError as error:
        raise UserError(
            f"config.data.name: {records.name!r} in {records.builder.data_dir} was prepared as"
            f" {records.builder.info.file_format}, which needs TensorFlow to read: prepare it again in another place,"
            f" python launch.py prepare {records.name} --data_dir=ANOTHER"
        ) from error
    except Exception as error:
        raise UserError(
            f"{_broken_file(records)} is missing, truncated or unreadable: delete {records.builder.data_path}"
            f" and run: python launch.py prepare {records.name} --data_dir={catalogue.resolve(records.data_dir)}"
        ) from error


def _broken_file(records: Records) -> str:
    """The first file of a split that cannot be opened or read at its end, or all of them if none stands out."""
    from array_record.python import array_record_module

    paths = [str(path) for path in records.split_info().filepaths]
    for path in paths:
        try:
            reader = array_record_module.ArrayRecordReader(path)
            reader.read([0, reader.num_records() - 1])
        except Exception:
            return path
    return ", ".join(paths[:3])
