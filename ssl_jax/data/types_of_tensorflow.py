"""TFDS's builders where TensorFlow is not installed."""

import contextlib
import importlib.util
import threading
import types
from collections.abc import Iterator

import numpy as np

_NUMBERS = ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
_NUMBERS += ("float16", "float32", "float64")
_LOCK = threading.Lock()
_users = 0  # that are inside at the moment, in all threads


@contextlib.contextmanager
def stood_in_for() -> Iterator[None]:
    """Lets builders describe their features by types of TensorFlow where it is not installed: NumPy's stand in.

    `tfds.features.Audio` and `Video` ask for one by its name; of sound it is used only where that is decoded anew each
    time it is read (`lazy_decode`). Some builders, as that of laion400m, call their numbers `tf.int32`. Records are
    read without either.
    """
    if importlib.util.find_spec("tensorflow") is not None:
        yield
        return
    from tensorflow_datasets.core.utils import lazy_imports_utils

    # TFDS's modules share this object, which imports TensorFlow when it is asked for a name that it has not.
    tensorflow = vars(lazy_imports_utils.tensorflow)
    names = {name: getattr(np, name) for name in _NUMBERS} | {"dtypes": types.SimpleNamespace(as_dtype=np.dtype)}
    global _users
    with _LOCK:
        _users += 1
        tensorflow.update(names)
    try:
        yield
    finally:
        with _LOCK:
            _users -= 1
            if not _users:
                for name in names:
                    del tensorflow[name]
