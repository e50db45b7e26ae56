from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from ssl_jax.data import vocabulary, wordpiece
from ssl_jax.errors import UserError


def _roberta() -> Tokenizer:
    """Byte-level BPE with RoBERTa's special tokens in RoBERTa's order."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "a", "b", "Ġ", "Ġa", "<mask>"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(ids, [("Ġ", "a")], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def _t5() -> Tokenizer:
    """SentencePiece unigrams with T5's special tokens; its sentinels stand at the end, the last one first."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁a", "a", "b", "<extra_id_2>", "<extra_id_1>", "<extra_id_0>"]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(n)) for n, piece in enumerate(pieces)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>", "<extra_id_0>", "<extra_id_1>", "<extra_id_2>"])
    return tokenizer


def test_roberta():
    found = vocabulary.of(_roberta())
    assert found == vocabulary.Vocabulary(size=9, pad_id=1, unk_id=3, cls_id=0, sep_id=2, mask_id=8)
    assert found.special_ids == (1, 3, 0, 2, 8) and found.first == (0,)
    starts = vocabulary.word_starts(_roberta())
    assert starts.tolist() == [True, True, True, True, False, False, True, True, True]


def test_t5():
    found = vocabulary.of(_t5())
    assert (found.size, found.pad_id, found.sep_id, found.unk_id) == (10, 0, 1, 2)
    assert found.cls_id is found.mask_id is None and found.first == ()
    assert found.sentinel_ids == (9, 8, 7) and found.special_ids == (0, 2, 1, 9, 8, 7)
    assert vocabulary.word_starts(_t5()).tolist() == [True] * 5 + [False] * 2 + [True] * 3


def test_word_pieces_begin_words():
    tokenizer = wordpiece.train(lambda: ["the theory of the cat", "cats and mats"] * 3, 60)
    encoded = tokenizer.encode("theory, cats xx", add_special_tokens=False)
    starts = vocabulary.word_starts(tokenizer)
    assert [bool(starts[number]) for number in encoded.ids] == [not token.startswith("##") for token in encoded.tokens]
    assert starts[:5].all() and not starts.all()


def test_what_a_file_says_of_padding_and_truncation_is_left_out(tmp_path: Path):
    tokenizer = wordpiece.train(lambda: ["the cat sat"] * 3, 40)
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ids = vocabulary.load(tmp_path / "tokenizer.json").encode("the cat sat", add_special_tokens=False).ids
    assert len(ids) == len(wordpiece.train(lambda: ["the cat sat"] * 3, 40).encode("the cat sat").ids) > 2


def test_files_that_are_no_tokenizer(tmp_path: Path):
    with pytest.raises(UserError, match="config.data.tokenizer: there is no file"):
        vocabulary.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text('{"version": "1.0", "model"')
    with pytest.raises(UserError, match="is not a tokenizer.json"):
        vocabulary.load(tmp_path / "bad.json")


def test_a_tokenizer_without_special_tokens():
    with pytest.raises(UserError, match=r"it has no \[PAD\] or <pad>, no \[SEP\] or </s>; BERT's"):
        vocabulary.of(Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")))
