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


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ('He said "Go." Then left.', ['He said "Go."', "Then left."]),
        ("(He left.)  Why?\t[No.] 3.5 m", ["(He left.)", "Why?", "[No.]", "3.5 m"]),
        ("\u201cGo!\u201d he said... then what?!", ["\u201cGo!\u201d", "he said...", "then what?!"]),
        ("  No end", ["No end"]),
        ("...", ["..."]),
    ],
)
def test_nothing_is_lost_between_sentences(text: str, sentences: list[str]):
    found = documents.split(text, "punctuation")
    assert found == sentences
    assert "".join("".join(found).split()) == "".join(text.split())
