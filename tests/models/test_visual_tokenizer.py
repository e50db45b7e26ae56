"""Pictures to tokens and back: shapes, sizes, and settings that cannot be."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from ssl_jax.models import PixelDecoder, VisualTokenizer


def tokenizer(**settings):
    sizes = dict(vocab_size=7, width=4, blocks=1, factor=4, channels=1)
    return VisualTokenizer(**sizes | settings, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_cell_for_each_square_of_the_picture(factor):
    encoder, images = tokenizer(factor=factor), jnp.ones((2, 8, 12, 1))
    grid = (8 // factor, 12 // factor)
    assert encoder.features == 4 * factor
    assert encoder.logits(images).shape == (2, *grid, 7)
    assert encoder.tokens(images).shape == (2, grid[0] * grid[1])
    assert encoder(images).shape == (2, encoder.features)
    sizes = dict(vocab_size=7, width=4, blocks=1, factor=factor, channels=1, code_width=5, dtype="float32")
    assert PixelDecoder(**sizes, rngs=nnx.Rngs(0))(encoder.logits(images)).shape == (2, 8, 12, 2)


def test_logits_are_float32_in_half_precision():
    encoder, image = tokenizer(dtype="bfloat16"), jnp.ones((1, 8, 8, 1))
    assert jax.eval_shape(encoder.logits, image).dtype == jnp.float32
    assert jax.eval_shape(encoder, image).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(factor=6), "factor 6 is no power of two"),
        (dict(width=6), "width 6 is not divisible by 4"),
        (dict(blocks=0), "blocks 0 is below 1"),
        (dict(vocab_size=1), "vocab_size 1 is below 2"),
        (dict(channels=0), "channels 0 is below 1"),
    ],
)
def test_impossible_sizes(settings, message):
    with pytest.raises(ValueError, match=message):
        tokenizer(**settings)
    sizes = dict(vocab_size=7, width=4, blocks=1, factor=4, channels=1, code_width=5, dtype="float32")
    with pytest.raises(ValueError, match=message):
        PixelDecoder(**sizes | settings, rngs=nnx.Rngs(0))


def test_pictures_that_do_not_fit():
    with pytest.raises(ValueError, match="this tokenizer takes"):
        tokenizer().logits(jnp.ones((1, 8, 8, 3)))
    with pytest.raises(ValueError, match="image width 6 is not divisible by factor 4"):
        tokenizer().logits(jnp.ones((1, 8, 6, 1)))
