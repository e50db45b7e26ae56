"""Where examples come from: TFDS sets by name, in an order that depends on (seed, step) alone.

Neither JAX nor TensorFlow is imported here, and tensorflow_datasets and Grain only when data is opened.
"""

from collections.abc import Mapping
from typing import Any

from ssl_jax import config as configs
from ssl_jax.data.audio import AudioData, AudioSource, CachedAudio
from ssl_jax.data.catalogue import VALID, available
from ssl_jax.data.catalogue import prepared as _prepared
from ssl_jax.data.feed import batch_at, batches, examples
from ssl_jax.data.image import CachedImages, ImageData, ImageSource
from ssl_jax.data.order import steps_per_epoch
from ssl_jax.data.spec import Spec
from ssl_jax.data.text import TextData

MODALITIES = {"image": ImageData, "text": TextData, "audio": AudioData}
"""What `config.data.modality` can be."""


def prepare(name: str, data_dir: str | None = None) -> str:
    """Prepares the TFDS set `name` under `data_dir`, if that has not been done; what `launch.py prepare` runs.

    Returns:
      The folder of the prepared set.

    Raises:
      UserError: no such set, or something has to be installed or downloaded by hand; the message says what.
    """
    return str(_prepared(name, data_dir).data_path)


def described(node: Mapping[str, Any], data_dir: str | None) -> Any:
    """The data set that `config.data` describes, of which nothing is read yet.

    Raises:
      UserError: a setting that cannot be.
    """
    chosen = configs.choose(MODALITIES, node, "config.data", by="modality")
    settings = configs.without(node, "modality", "name")
    return configs.construct(chosen, settings, "config.data", node["name"], data_dir=data_dir)


def prepare_all(node: Mapping[str, Any], data_dir: str | None = None, *, processes: int = 1) -> None:
    """Prepares what a run reads whose `config.data` is `node`; what `launch.py prepare --config=FILE` runs.

    The TFDS set, and all that is computed from it: decoded pictures, a tokenizer, tokens packed into sequences. What is
    there is kept, and what is stopped goes on.

    Args:
      node: plain.
      data_dir: where prepared sets are, None for TFDS's own place.
      processes: that tokenize.

    Raises:
      UserError: a setting that cannot be, no such set, or something is to be installed or downloaded by hand.
    """
    dataset = described(node, data_dir)
    if not dataset.mock:
        prepare(dataset.name, data_dir)
    if hasattr(dataset, "prepare"):
        dataset.prepare(processes)
    else:
        for source in (dataset.train, dataset.eval_train, dataset.eval):
            len(source)


__all__ = [
    "MODALITIES",
    "AudioData",
    "AudioSource",
    "CachedAudio",
    "CachedImages",
    "ImageData",
    "ImageSource",
    "Spec",
    "TextData",
    "VALID",
    "available",
    "batch_at",
    "batches",
    "described",
    "examples",
    "prepare",
    "prepare_all",
    "steps_per_epoch",
]
