"""PNG bytes of arrays: TFDS takes pictures as bytes without TensorFlow, as arrays only with it."""

import io

import numpy as np
from PIL import Image


def encode(image: np.ndarray) -> bytes:
    """The PNG file (bytes) of a uint8 picture [H, W], [H, W, 1] or [H, W, 3]."""
    buffer = io.BytesIO()
    squeezed = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    Image.fromarray(squeezed).save(buffer, format="PNG")
    return buffer.getvalue()
