"""BERT's view, by config name."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import masking

SPEC = types.SimpleNamespace(
    shapes={"tokens": (40,)}, vocab_size=100, pad_id=0, mask_id=4, special_ids=(0, 1, 2, 3, 4),
    word_starts=np.arange(100) % 2 == 0,
)  # fmt: skip


def test_takes_what_the_data_says():
    hidden = masking.VIEWS["bert"](SPEC).train(jax.random.key(0), jnp.arange(40) + 10)
    assert hidden["positions"].shape == (6,) and hidden["weights"].sum() == 6


def test_no_text():
    with pytest.raises(ValueError, match="tokens"):
        masking.VIEWS["bert"](types.SimpleNamespace(shapes={"image": (8, 8, 1)}))


def test_impossible_settings_are_found_at_once():
    with pytest.raises(ValueError, match="max_predictions 41"):
        masking.VIEWS["bert"](SPEC, max_predictions=41)


def test_whole_words_are_those_of_the_vocabulary():
    view = masking.VIEWS["bert"](SPEC, whole_words=True)  # words of two tokens, 10 and 11, 12 and 13, ...
    hidden = view.train(jax.random.key(0), jnp.arange(40) + 10)
    np.testing.assert_array_equal(hidden["positions"].reshape(3, 2) % 2, [[0, 1]] * 3)
    np.testing.assert_array_equal(np.diff(hidden["positions"].reshape(3, 2)), 1)


def test_nothing_to_hide_tokens_with():
    spec = types.SimpleNamespace(**{**vars(SPEC), "mask_id": None})
    with pytest.raises(ValueError, match="config.data.tokenizer"):
        masking.VIEWS["bert"](spec)
