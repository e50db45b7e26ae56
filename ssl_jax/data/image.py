"""Pictures and clips with labels, from any TFDS set that has an image or a video."""

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ssl_jax.data import catalogue, files, order, pictures, progress, spelling
from ssl_jax.data.records import Records
from ssl_jax.data.spec import Spec
from ssl_jax.data.spelling import Spelling
from ssl_jax.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_CACHE_LIMIT = 4 * 2**30  # bytes of decoded pictures that 'auto' still caches
_CACHE_FORMAT = 1  # raise when what is written changes
_LARGE = 160 * 160  # pixels from which a second thread gains more than it loses (measured: 128 no, 224 yes)
_CHUNK = 1024  # records decoded at a time while a cache is built
_START = 0  # what is drawn from a key


class ImageData:
    """Pictures and labels of a TFDS set, or clips and labels.

    Examples are dicts: `image` uint8 [height, width, channels], or of clips [frames, height, width, channels], `label`
    int32 (-1 where the set has no labels); where pictures of different shapes were put on one canvas, `size` int32 [2],
    the original height and width; and, with `text_keys`, `tokens` int32 [texts, text_length], what is said of the
    picture: [CLS] words [SEP] [PAD]... An empty text has no words.
    """

    def __init__(
        self,
        name: str,
        *,
        data_dir: str | None = None,
        train_split: str = "train",
        eval_train_split: str | None = None,
        eval_split: str = "test",
        image_key: str = "image",
        frames: int | None = None,
        stride: int = 1,
        label_key: str | None = "label",
        text_keys: tuple[str, ...] = (),
        text_length: int = 16,
        vocab_size: int = 4096,
        image_size: int | None = None,
        cache: Literal["auto", "always", "never"] = "auto",
        workers: int = 0,
        prefetch: int = 2,
        mock: int = 0,
    ):
        """Nothing is read or prepared before it is asked for.

        Args:
          name: TFDS name: 'digits', 'openmoji', 'imagenet2012', 'cifar10:3.0.2', ...
          data_dir: where prepared sets are; None is TFDS's own place.
          train_split: split for training.
          eval_train_split: labelled split that evaluations learn from; None: the same as for training.
          eval_split: split that evaluations are tested on.
          image_key: feature that holds the picture, or the video.
          frames: of a clip, which is cut out of its video at a random place, or for evaluations from the middle; a
            shorter video ends with its last frame repeated. None: whole videos, where all have as many frames.
          stride: with `frames`, every so many-th frame of the video is taken.
          label_key: feature that holds the class; None: there are no labels.
          text_keys: features that hold what is said of the picture, as in several languages; (): none is read.
          text_length: tokens of a text, [CLS] and [SEP] included.
          vocab_size: tokens of the WordPiece vocabulary that is learnt from these texts of the training split, of
            200,000 pictures at most, spread evenly.
          image_size: side in pixels of the square canvas all pictures are resized to; None leaves them as they are,
            where all have one shape.
          cache: whether to decode the set once, to a memory-mapped file: 'auto' does when it takes at most 4 GiB; clips
            that are cut out of videos are never cached.
          workers: processes that read and decode batches; 0: threads of this process.
          prefetch: batches made in advance (by each worker).
          mock: number of made-up examples a split, for trying a configuration without its data; 0: the real ones.

        Raises:
          ValueError: a setting of feeding, of frames or of texts is below what it may be, a `cache` does not exist or
            is 'always' for clips, a `stride` above 1 comes without `frames`, `image_size` is not positive, or
            `text_keys` names a feature twice.
        """
        check_feeding(workers=workers, prefetch=prefetch, mock=mock)
        if cache not in ("auto", "always", "never"):
            raise ValueError(f"cache {cache!r} is not 'auto', 'always' or 'never'")
        if image_size is not None and image_size < 1:
            raise ValueError(f"image_size {image_size} is not positive")
        _check_frames(frames, stride, cache)
        spelling.check(text_length=text_length, vocab_size=vocab_size)
        if len(set(text_keys)) < len(text_keys):
            raise ValueError(f"text_keys {tuple(text_keys)} names a feature twice")
        self.text_keys, self.text_length, self.vocab_size = tuple(text_keys), text_length, vocab_size
        self.name, self.data_dir = name, data_dir
        self.splits = (train_split, eval_train_split or train_split, eval_split)
        self.image_key, self.label_key, self.image_size = image_key, label_key, image_size
        self.frames, self.stride = frames, stride
        self.cache, self.workers, self.prefetch, self.mock = cache, workers, prefetch, mock

    @functools.cached_property
    def spec(self) -> Spec:
        """Shapes and classes of the examples.

        Raises:
          UserError: the set does not exist or is not prepared, has no such features, or pictures of different shapes.
        """
        shape = self._image_shape()
        sized = None in self._feature(self.image_key).shape[-3:-1]
        classes = 0 if self.label_key is None else self._feature(self.label_key).num_classes
        names = () if not classes else tuple(self._feature(self.label_key).names)
        shapes = {"image": shape, "label": ()} | ({"size": (2,)} if sized else {})
        if not self.text_keys:
            return Spec(shapes=shapes, num_classes=classes, class_names=names)
        shapes["tokens"] = (len(self.text_keys), self.text_length)
        special = self.spelling.special_tokens(at_least=self.vocab_size if self.mock else 0)
        return Spec(shapes=shapes, num_classes=classes, class_names=names, **special)

    @functools.cached_property
    def spelling(self) -> Spelling:
        """How texts become tokens; learnt from the training split the first time."""
        texts = Records(self.name, self.data_dir, self.splits[0], self.text_keys, self.mock)
        return spelling.learnt(texts, vocab_size=self.vocab_size, length=self.text_length, root=self._cache_dir)

    @property
    def tokenizer(self) -> "tokenizers.Tokenizer":
        """The `tokenizers.Tokenizer` of the texts."""
        return self.spelling.tokenizer

    @property
    def _cache_dir(self) -> Path:
        return files.cache_dir(catalogue.resolve(self.data_dir))

    @functools.cached_property
    def train(self) -> "ImageSource | CachedImages":
        """The training split."""
        return self._open(self.splits[0])

    @functools.cached_property
    def eval_train(self) -> "ImageSource | CachedImages":
        """The labelled split that evaluations learn from."""
        return self.train if self.splits[1] == self.splits[0] else self._open(self.splits[1])

    @functools.cached_property
    def eval(self) -> "ImageSource | CachedImages":
        """The split that evaluations are tested on."""
        return self._open(self.splits[2])

    def _open(self, split: str) -> "ImageSource | CachedImages":
        texts = (self.text_keys, self.spelling if self.text_keys else None)
        keys = (self.image_key, self.label_key, self.image_size, self.spec, *texts)
        source = ImageSource(self._records(split), *keys, stride=None if self.frames is None else self.stride)
        size = len(source) * int(np.prod(self.spec.shapes["image"]))
        wanted = size <= _CACHE_LIMIT and not self.mock if self.cache == "auto" else self.cache == "always"
        return cached(source, self._cache_dir) if wanted and not source.draws else source

    def _records(self, split: str) -> Records:
        keys = (self.image_key,) if self.label_key is None else (self.image_key, self.label_key)
        return Records(self.name, self.data_dir, split, (*keys, *self.text_keys), self.mock)

    def _feature(self, key: str):
        return self._info.feature(key)

    @functools.cached_property
    def _info(self) -> Records:
        info = self._records(self.splits[0])
        _check_features(info, self.image_key, self.label_key)
        for number, key in enumerate(self.text_keys):
            spelling.check_feature(info, key, f"text_keys[{number}]")
        return info

    def _image_shape(self) -> tuple[int, ...]:
        *length, height, width, channels = self._feature(self.image_key).shape
        time, channels = self._time(*length), channels or 3
        if self.image_size is not None:
            return *time, self.image_size, self.image_size, channels
        if height is None or width is None:
            raise UserError(
                f"config.data.image_size: the pictures of {self.name!r} differ in shape; set the side in pixels of"
                " the canvas to decode them to, e.g. 256."
            )
        return *time, height, width, channels

    def _time(self, *length: int | None) -> tuple[int, ...]:
        """The frames of a clip, of videos of that length, None where it differs; () of pictures, which have none."""
        what = f"feature {self.image_key!r} of {self.name!r}"
        if not length:
            if self.frames is not None:
                raise UserError(f"config.data.frames: {what} is a picture, and has no frames; set None.")
            return ()
        if self.frames is None and length[0] is None:
            raise UserError(f"config.data.frames: videos differ in length in {what}; set how many to take, e.g. 16.")
        span = 1 if self.frames is None else (self.frames - 1) * self.stride + 1
        if length[0] is not None and span > length[0]:
            taken = f"{self.frames} frames, each {self.stride} after the last, take {span}"
            raise UserError(f"config.data.frames: {taken}, and {what} has {length[0]}; lower frames or stride.")
        return (length[0] if self.frames is None else self.frames,)


def _check_frames(frames: int | None, stride: int, cache: str) -> None:
    if frames is not None and frames < 1:
        raise ValueError(f"frames {frames} is below 1")
    if stride < 1 or (frames is None and stride > 1):
        raise ValueError(f"stride {stride} must be at least 1, and 1 without frames")
    if frames is not None and cache == "always":
        raise ValueError("cache 'always' cannot be where frames are cut out of videos: set 'auto' or 'never'")


def check_feeding(*, workers: int, prefetch: int, mock: int) -> None:
    """Raises ValueError for settings of reading that cannot be."""
    if workers < 0:
        raise ValueError(f"workers {workers} is negative")
    if prefetch < 1:
        raise ValueError(f"prefetch {prefetch} is not at least 1")
    if mock < 0:
        raise ValueError(f"mock {mock} is negative")


def _check_features(info: Records, image_key: str, label_key: str | None) -> None:
    import tensorflow_datasets as tfds

    image = info.feature(image_key, "image_key")
    if len(image.shape) not in (3, 4) or image.np_dtype != np.uint8:
        raise UserError(
            f"config.data.image_key: feature {image_key!r} of {info.name!r} is not a picture or a video, but {image!r}."
        )
    if label_key is not None and not isinstance(info.feature(label_key, "label_key"), tfds.features.ClassLabel):
        raise UserError(
            f"config.data.label_key: feature {label_key!r} of {info.name!r} is no class label; set None to do without."
        )


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """Pictures or clips of one split, decoded as they are read.

    Attributes:
      records: what is read.
      image_key: feature that holds the picture or the video.
      label_key: feature that holds the class, if any.
      image_size: side of the canvas; None: as they come.
      spec: of the examples.
      text_keys: features that hold texts.
      spelling: of the texts, if there are any.
      stride: every so many-th frame of a video makes a clip; None: nothing is cut out.
    """

    records: Records
    image_key: str
    label_key: str | None
    image_size: int | None
    spec: Spec
    text_keys: tuple[str, ...] = ()
    spelling: Spelling | None = None
    stride: int | None = None

    def __len__(self) -> int:
        return len(self.records)

    @property
    def draws(self) -> bool:
        """Whether clips are cut out of videos."""
        return self.stride is not None

    @property
    def threads(self) -> int:
        """2 for large pictures, most of whose decoding is done without Python's lock; small ones would fight for it."""
        return 2 if np.prod(self.spec.shapes["image"][:-1]) >= _LARGE else 1

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The examples at `indices` (int64 [n]) as arrays with leading axis n.

        Args:
          indices: which of them.
          keys: uint64 [n], decide where a clip begins in its video; None: the middle is taken.

        Raises:
          UserError: a file or a picture is damaged.
        """
        draws = np.full(len(indices), 0.5) if keys is None else order.uniform(keys, _START)
        batch = {"image": np.empty((len(indices), *self.spec.shapes["image"]), np.uint8)}
        batch["label"] = np.full(len(indices), -1, np.int32)
        sizes = np.empty((len(indices), 2), np.int32)
        records = self.records.read(indices)
        for row, record in enumerate(records):
            batch["image"][row], sizes[row] = self._decode(record[self.image_key], indices[row], draws[row])
            if self.label_key is not None:
                batch["label"][row] = record[self.label_key]
        if self.text_keys:
            tokens = self.spelling(spelling.of_records(records, self.text_keys))
            batch["tokens"] = tokens.reshape(len(indices), *self.spec.shapes["tokens"])
        return batch | ({"size": sizes} if "size" in self.spec.shapes else {})

    def _decode(self, value: bytes | np.ndarray | list, index: int, draw: float) -> tuple[np.ndarray, tuple[int, int]]:
        if isinstance(value, list):  # the frames of a `Video`
            value = np.stack(value)
        if isinstance(value, np.ndarray):
            if self.stride is not None:
                value = pictures.cut(value, self.spec.shapes["image"][0], self.stride, draw)
            return pictures.to_canvas(value, self.image_size), value.shape[-3:-1]
        try:
            channels = self.spec.shapes["image"][-1]
            return pictures.decode(value, channels=channels, image_size=self.image_size)
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(
                f"Picture {index} of {self.records.name!r} ({self.records.split}) cannot be decoded: damaged, or no"
                f" picture ({type(error).__name__}). Prepare the set again."
            ) from error


@dataclasses.dataclass(frozen=True)
class CachedImages:
    """Pictures or clips of one split, decoded once into `folder` and memory-mapped from there."""

    folder: Path
    spec: Spec
    threads: ClassVar[int] = 1
    draws: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self._arrays["label"])

    def read(self, indices: np.ndarray, keys: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The examples at `indices` (int64 [n]) as arrays with leading axis n; `keys` is not used: nothing is drawn."""
        del keys
        return {name: array[indices] for name, array in self._arrays.items()}

    @functools.cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            return {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in self.spec.shapes}
        except (OSError, ValueError) as error:
            raise UserError(f"{self.folder} is damaged ({error}): delete it, it will be built again.") from error

    def __getstate__(self) -> dict:
        return {"folder": self.folder, "spec": self.spec}


def cached(source: ImageSource, root: Path) -> CachedImages:
    """The same pictures, decoded into a folder under `root`; those of an earlier run are used if they are whole."""
    identity = source.records.fingerprint() | {"size": source.image_size, "format": _CACHE_FORMAT}
    if source.spelling is not None:
        identity |= {"tokenizer": source.spelling.file.parent.name, "text_length": source.spelling.length}
    folder = root / f"{files.slug(source.records.name)}-{files.slug(source.records.split)}-{files.key(identity)}"
    return CachedImages(files.build(folder, functools.partial(_write, source)), source.spec)


def _write(source: ImageSource, folder: Path) -> None:
    """Decodes all of `source` into one .npy file an array; not through a mapping, where a full disk is a SIGBUS."""
    what = f"{source.records.name} ({source.records.split})"
    announced = progress.announced(f"Decoding {len(source):,} pictures of {what} into {folder.parent}")
    with announced, contextlib.ExitStack() as stack:
        out = {name: stack.enter_context((folder / f"{name}.npy").open("wb")) for name in source.spec.shapes}
        for name, shape in source.spec.shapes.items():
            header = {"descr": "|u1" if name == "image" else "<i4", "fortran_order": False}
            np.lib.format.write_array_header_1_0(out[name], header | {"shape": (len(source), *shape)})
        for indices in progress.chunks(len(source), _CHUNK, f"Decoding {what}"):
            for name, values in source.read(indices).items():
                out[name].write(values.data)
