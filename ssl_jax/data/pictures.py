"""Encoded pictures, and videos, to uint8 arrays of one shape."""

import io

import numpy as np
from PIL import Image

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def decode(encoded: bytes, *, channels: int, image_size: int | None) -> tuple[np.ndarray, tuple[int, int]]:
    """Decodes a picture, and resizes it to a square canvas if one is asked for.

    A JPEG is decoded at a fraction of its size where that is still larger than the canvas, which is several times
    quicker. The canvas distorts what is not square; the original size that is returned lets a crop be drawn in the
    geometry of the original.

    Args:
      encoded: a PNG, JPEG, ... file.
      channels: 1, 3 or 4.
      image_size: side of the canvas in pixels; None keeps the picture's own shape.

    Returns:
      The picture, uint8 [height, width, channels], and its original (height, width).

    Raises:
      OSError: the file is damaged.
    """
    with Image.open(io.BytesIO(encoded)) as file:
        size = (file.height, file.width)
        if image_size is not None:
            file.draft(_MODES[channels], (image_size, image_size))
        picture = file if file.mode == _MODES[channels] else file.convert(_MODES[channels])
        if image_size is not None and picture.size != (image_size, image_size):
            picture = picture.resize((image_size, image_size), Image.Resampling.BICUBIC)
        return np.asarray(picture, np.uint8).reshape(picture.height, picture.width, channels), size


def to_canvas(image: np.ndarray, image_size: int | None) -> np.ndarray:
    """A picture, uint8 [height, width, channels], or each of a clip, on the square canvas, if one is asked for."""
    if image_size is None or image.shape[-3:-1] == (image_size, image_size):
        return image
    if image.ndim == 4:
        return np.stack([to_canvas(frame, image_size) for frame in image])
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    resized = picture.resize((image_size, image_size), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.uint8).reshape(image_size, image_size, image.shape[-1])


def cut(video: np.ndarray, frames: int, stride: int, draw: float) -> np.ndarray:
    """A clip of a video.

    Args:
      video: [length, height, width, channels].
      frames: of the clip.
      stride: frames of the video from one of the clip to the next.
      draw: in [0, 1), where the clip begins, of all places where it fits; 0.5 is in the middle.

    Returns:
      [frames, height, width, channels]; where the video is too short its last frame is repeated, as in V-JEPA's code.
    """
    length, span = len(video), (frames - 1) * stride + 1
    start = int(draw * (max(0, length - span) + 1))
    return video[np.minimum(start + stride * np.arange(frames), length - 1)]
