import numpy as np

from ssl_jax.evaluate import ngram_accuracy


def test_by_hand():
    # 0 pads, 1 hides. 5 is the commonest word; 3 is followed by 4 twice and by 5 once.
    training = [np.array([[3, 4, 5, 5, 0], [3, 4, 5, 5, 0]]), np.array([[3, 5, 5, 5, 0]])]
    held_out = [
        {
            "tokens": np.array([[3, 1, 1, 0], [3, 1, 0, 0]]),
            "positions": np.array([[1, 2], [1, 0]]),
            "targets": np.array([[4, 5], [5, 9]]),
            "weights": np.array([[1.0, 1.0], [1.0, 0.0]]),
        }
    ]
    scores = ngram_accuracy(training, held_out, vocab_size=10, never_asked=(0, 1))
    # Unigram guesses 5, 5, 5; bigram 4 after 3, 5 where the word before is hidden, and 4 after 3 again.
    assert scores == {"masked_accuracy_unigram": 2 / 3, "masked_accuracy_bigram": 2 / 3}


def test_both_sides_by_hand():
    """Between 3 and 5 there was 4 twice and 6 once; after 5 there was 7 twice and 8 once, but 8 alone came before 4."""
    training = [np.array([[3, 4, 5, 7, 7, 7], [3, 4, 5, 7, 7, 7], [3, 6, 5, 8, 4, 6]])]
    asked = {
        "tokens": np.array([[3, 1, 5, 1, 1, 7], [5, 1, 4, 3, 1, 0], [1, 4, 5, 7, 7, 7]]),
        "positions": np.array([[1, 3, 4], [1, 4, 0], [0, 0, 0]]),
        "targets": np.array([[4, 7, 7], [8, 4, 9], [3, 9, 9]]),
        "weights": np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
    }
    scores = ngram_accuracy(training, [asked], vocab_size=9, never_asked=(0, 1), both_sides=True)
    # 4; 7 after 5; 7 before 7; 8; 4 after 3; the first token, with none before it and 4 behind, is guessed to be 3.
    assert scores["masked_accuracy_both_sides"] == 6 / 6
    assert scores["masked_accuracy_bigram"] == 4 / 6  # 7 where the word before is hidden, and after 5


def test_what_ends_a_text_may_be_what_comes_next():
    """2 ends each text, and follows 5 more often than 5 does; 0 pads."""
    training = [np.array([[3, 5, 2, 0], [4, 5, 2, 0], [5, 5, 2, 0]])]
    tokens = np.array([[4, 5, 2]])
    asked = {"tokens": tokens, "positions": np.array([[1, 2]]), "targets": tokens[:, 1:], "weights": np.ones((1, 2))}
    score = lambda never: ngram_accuracy(training, [asked], vocab_size=6, never_asked=never, name="next")["next_bigram"]
    assert score((0,)) == 1.0
    assert score((0, 2)) == 0.5
