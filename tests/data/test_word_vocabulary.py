import pytest

from ssl_jax.data import vocabulary, words
from ssl_jax.errors import UserError

_TEXTS = ["The cat's mat -- 3 mats; don't!", "the CAT'S mat, the father’s", "B b a A"]


def test_the_most_frequent_words_in_order():
    tokenizer = words.train(lambda: _TEXTS, 11)
    ordered = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    assert ordered == [*vocabulary.SPECIAL, "the", "a", "b", "cat's", "mat", "3"]


def test_rare_words_are_unknown_and_signs_are_not_there():
    tokenizer = words.train(lambda: _TEXTS, 11)
    encoded = tokenizer.encode("The cat's (zebra) -- MAT, 'b'", add_special_tokens=False)
    assert encoded.tokens == ["the", "cat's", "[UNK]", "mat", "b"]
    assert vocabulary.of(tokenizer).special_ids == (0, 1, 2, 3, 4)
    assert vocabulary.word_starts(tokenizer).all()


def test_no_word():
    with pytest.raises(UserError, match="the training split has no words"):
        words.train(lambda: ["-- ; !"], 100)
