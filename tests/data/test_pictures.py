import io

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data import pictures
from ssl_jax.data.builders import png


@pytest.mark.parametrize("shape", [(5, 7, 1), (5, 7, 3)])
def test_png_is_lossless(shape: tuple[int, int, int]):
    image = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    decoded, size = pictures.decode(png.encode(image), channels=shape[-1], image_size=None)
    np.testing.assert_array_equal(decoded, image)
    assert size == (5, 7)


def test_the_canvas_is_square_and_the_size_that_of_the_original():
    image = np.zeros((100, 40, 3), np.uint8)
    image[:, 20:] = 255
    decoded, size = pictures.decode(png.encode(image), channels=3, image_size=16)
    assert decoded.shape == (16, 16, 3) and size == (100, 40)
    assert decoded[:, :6].max() < 10 and decoded[:, 10:].min() > 245
    np.testing.assert_array_equal(pictures.to_canvas(image, 16), decoded)


def test_jpegs_are_decoded_small_and_look_the_same():
    smooth = np.asarray(
        Image.fromarray(np.random.default_rng(0).integers(256, size=(6, 6, 3), dtype=np.uint8)).resize((600, 400))
    )
    buffer = io.BytesIO()
    Image.fromarray(smooth).save(buffer, format="JPEG", quality=95)
    decoded, size = pictures.decode(buffer.getvalue(), channels=3, image_size=64)
    assert size == (400, 600)
    assert np.abs(decoded.astype(int) - pictures.to_canvas(smooth, 64)).mean() < 3


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA"])
def test_other_kinds_of_pictures_become_colour(mode: str):
    buffer = io.BytesIO()
    Image.new(mode, (4, 4)).save(buffer, format="TIFF")
    assert pictures.decode(buffer.getvalue(), channels=3, image_size=None)[0].shape == (4, 4, 3)


def test_a_damaged_picture_raises():
    encoded = png.encode(np.random.default_rng(0).integers(256, size=(50, 50, 3), dtype=np.uint8))
    with pytest.raises(OSError):
        pictures.decode(encoded[:200], channels=3, image_size=None)
