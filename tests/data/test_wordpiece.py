from pathlib import Path

import pytest
from tokenizers import Tokenizer

from ssl_jax.data import vocabulary, wordpiece
from ssl_jax.errors import UserError

_TEXTS = ["The cat sat on the mat, and the Cat ate.", "Cats and mats: the theory of thé.", "nothing else matters"] * 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return wordpiece.train(lambda: _TEXTS, 80)


def test_spells_what_it_was_trained_on(tokenizer: Tokenizer):
    encoded = tokenizer.encode("The cat sat on THE mat.", add_special_tokens=False)
    assert tokenizer.decode(encoded.ids) == "the cat sat on the mat."
    assert "[UNK]" not in encoded.tokens


def test_special_tokens_come_first(tokenizer: Tokenizer):
    found = vocabulary.of(tokenizer)
    assert found.special_ids == (0, 1, 2, 3, 4)
    assert found.size == tokenizer.get_vocab_size() <= 80


def test_pieces_of_words_are_not_special(tokenizer: Tokenizer):
    assert {token.content for token in tokenizer.get_added_tokens_decoder().values()} == set(vocabulary.SPECIAL)
    assert tokenizer.encode("zzz", add_special_tokens=False).tokens == ["[UNK]"]


def test_the_same_texts_give_the_same_vocabulary():
    vocabularies = [wordpiece.train(lambda: _TEXTS, 80).get_vocab() for _ in range(5)]
    assert all(vocabulary == vocabularies[0] for vocabulary in vocabularies)


def test_saved_and_loaded(tokenizer: Tokenizer, tmp_path: Path):
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = vocabulary.load(tmp_path / "tokenizer.json")
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded.encode("Cats ate").ids == tokenizer.encode("Cats ate").ids


def test_a_vocabulary_too_small_for_the_alphabet():
    with pytest.raises(UserError, match="config.data.vocab_size: 20 does not hold the 19 characters .*more than 43"):
        wordpiece.train(lambda: _TEXTS, 20)


def test_no_text():
    with pytest.raises(UserError, match="the training split has no text"):
        wordpiece.train(lambda: ["", "  \n"], 100)


def test_sentinels():
    tokenizer = wordpiece.train(lambda: _TEXTS, 90, sentinel_count=3)
    found = vocabulary.of(tokenizer)
    assert found.sentinel_ids == (5, 6, 7) and found.special_ids == tuple(range(8))
    assert tokenizer.encode("<extra_id_1> the cat", add_special_tokens=False).ids[0] == 6
    with pytest.raises(UserError, match="config.data.vocab_size: 40 .*more than 46"):
        wordpiece.train(lambda: _TEXTS, 40, sentinel_count=3)
