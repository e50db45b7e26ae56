"""Where examples come from: TFDS sets by name, in an order that depends on (seed, step) alone.

Neither JAX nor TensorFlow is imported here, and tensorflow_datasets and Grain only when data is opened.
"""

from ssl_jax.data.audio import AudioData, AudioSource, CachedAudio
from ssl_jax.data.catalogue import VALID, available
from ssl_jax.data.catalogue import prepared as _prepared
from ssl_jax.data.feed import batch_at, batches, examples
from ssl_jax.data.image import CachedImages, ImageData, ImageSource
from ssl_jax.data.order import steps_per_epoch
from ssl_jax.data.spec import Spec
from ssl_jax.data.text import TextData, TextSource

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
    "TextSource",
    "VALID",
    "available",
    "batch_at",
    "batches",
    "examples",
    "prepare",
    "steps_per_epoch",
]
