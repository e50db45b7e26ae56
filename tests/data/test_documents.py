import pytest

from ssl_jax.data import documents


@pytest.mark.parametrize(
    ("how", "sentences"),
    [
        ("lines", ["One. Two?", "Three: 3.5 m", "Four"]),
        ("punctuation", ["One.", "Two?", "Three: 3.5 m", "Four"]),
    ],
)
def test_sentences(how: str, sentences: list[str]):
    assert documents.split("One. Two?\n\n  \nThree: 3.5 m\r\nFour\n", how) == sentences
