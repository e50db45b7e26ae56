"""Spans that are taken out of a text."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import comb

from ssl_jax import masking

PAD, END, FIRST = 0, 1, 1000
SENTINELS = tuple(range(200, 240))
SETTINGS = dict(sentinel_ids=SENTINELS, end_id=END, pad_id=PAD)


def many(draws, size, length=None, **settings):
    """Inputs, targets and weights of the tokens 1000, 1001, ..."""
    tokens = jnp.arange(size) + FIRST
    length = size if length is None else length
    corrupt = lambda key: masking.span_corruption(key, tokens, jnp.int32(length), **SETTINGS | settings)
    found = jax.jit(jax.vmap(corrupt))(jax.random.split(jax.random.key(0), draws))
    return [np.asarray(found[name]) for name in ("tokens", "targets", "weights")]


def restored(read, written):
    """The text: what is read, with what was written for each sentinel in its place; and the spans."""
    spans, current = {}, None
    for token in written[: list(written).index(END)]:
        if token in SENTINELS:
            current = spans.setdefault(int(token), [])
        else:
            current.append(int(token))
    text = []
    for token in read[: list(read).index(END)]:
        text += spans[int(token)] if token in SENTINELS else [int(token)]
    return text, list(spans.items())


@pytest.mark.parametrize("size, length", [(64, 64), (64, 41), (64, 7), (64, 2), (9, 9)])
def test_nothing_is_lost_and_sentinels_come_in_order(size, length):
    read, written, weights = many(50, size, length)
    hidden, count = masking.span_numbers(length)
    for row in range(50):
        text, spans = restored(read[row], written[row])
        assert text == list(range(FIRST, FIRST + length))
        assert [sentinel for sentinel, _ in spans] == list(SENTINELS[:count])
        assert sum(len(span) for _, span in spans) == hidden and min(len(span) for _, span in spans) >= 1
        assert weights[row].sum() == hidden + count + 1 and (weights[row] == (np.cumsum(weights[row] == 0) == 0)).all()
        assert (written[row][weights[row] == 0] == PAD).all()
        assert (read[row][length - hidden + count + 1 :] == PAD).all() and read[row][length - hidden + count] == END


def test_sizes_are_those_of_the_papers_code():
    """512 tokens are read of 568 with 114 to write, ends included (`random_spans_helper` of the authors' code)."""
    assert masking.corrupted_sizes(568)[:2] == (512, 114)
    assert masking.span_numbers(568) == (85, 28)


def test_texts_of_no_more_than_a_token_stay():
    for length in (0, 1):
        read, written, weights = many(3, 8, length)
        assert (read[:, :length] == FIRST).all() and (read[:, length] == END).all()
        assert (written[:, 0] == END).all() and (weights.sum(1) == 1).all()


def test_share_and_spans_are_the_papers():
    """15 % of the tokens, in spans of 3 on average; a text begins with what stays and ends with a span."""
    read, written, _ = many(400, 200)
    lengths = [[len(span) for _, span in restored(*row)[1]] for row in zip(read, written, strict=True)]
    assert {sum(row) for row in lengths} == {30} and {len(row) for row in lengths} == {10}
    assert (read[:, 0] == FIRST).all()
    assert all(restored(*row)[1][-1][1][-1] == FIRST + 199 for row in zip(read[:50], written[:50], strict=True))
    # Of 30 tokens cut at 9 of 29 places, a span has length n with the chance C(29 - n, 8) / C(29, 9).
    first = np.bincount([row[0] for row in lengths], minlength=22)[1:22]
    chances = np.array([comb(29 - n, 8) / comb(29, 9) for n in range(1, 22)])
    pooled = lambda x: np.append(x[:6], x[6:].sum())
    assert stats.chisquare(pooled(first), 400 * pooled(chances)).pvalue > 1e-4


def cut(rng, count, pieces):
    """Lengths of random pieces."""
    places = np.sort(rng.choice(count - 1, pieces - 1, replace=False)) + 1
    return np.diff([0, *places, count])


def test_each_place_is_hidden_as_often_as_by_cutting_both_parts_at_random():
    draws, rng = 3000, np.random.default_rng(0)
    _, written, _ = many(draws, 100)
    ours, theirs = np.zeros(100), np.zeros(100)
    for row in written:
        ours[row[row >= FIRST] - FIRST] += 1
    for _ in range(draws):
        lengths = np.stack([cut(rng, 85, 5), cut(rng, 15, 5)], axis=1).reshape(-1)
        theirs += np.repeat(np.arange(10) % 2, lengths)
    assert ours.sum() == theirs.sum() == 15 * draws
    share = (ours + theirs) / (2 * draws)
    off = np.abs(ours - theirs) / draws / np.sqrt(np.maximum(2 * share * (1 - share) / draws, 1e-9))
    assert off.max() < 4.5 and off.mean() < 1.2


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"rate": 0.0}, "rate 0.0 is not between 0 and 1"),
        ({"mean_span": 0.5}, "mean_span 0.5 is below 1 token"),
        ({"sentinel_ids": (5,)}, "sentinel_ids holds 1 tokens for up to 3 spans"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        masking.span_corruption(jax.random.key(0), jnp.arange(64), 64, **SETTINGS | settings)


SPEC = types.SimpleNamespace(
    shapes={"tokens": (40,)}, pad_id=0, sep_id=3, special_ids=(0, 1, 2, 3, 4), sentinel_ids=(90, 91)
)


def test_the_view_leaves_out_padding_and_the_last_sep():
    tokens = jnp.where(jnp.arange(40) < 30, jnp.arange(40) + 10, 0).at[29].set(3)
    view = masking.VIEWS["span_corruption"](SPEC)
    read = np.asarray(view.train(jax.random.key(0), tokens)["tokens"])
    assert (read == 3).sum() == 1 and np.argmax(read == 3) == 29 - 4 + 1
    assert np.argmax(np.asarray(view.train(jax.random.key(0), tokens.at[29].set(9))["tokens"]) == 3) == 30 - 4 + 1


def test_the_view_says_how_many_sentinels_it_needs():
    with pytest.raises(ValueError, match="up to 3 spans, and the vocabulary has 2 .* set config.data.sentinels to 3"):
        masking.VIEWS["span_corruption"](SPEC, rate=0.2)
    with pytest.raises(ValueError, match="rate 1.5 is not between 0 and 1"):
        masking.VIEWS["span_corruption"](SPEC, rate=1.5)
    with pytest.raises(ValueError, match="config.data.modality to 'text'"):
        masking.VIEWS["span_corruption"](types.SimpleNamespace(shapes={"image": (8, 8, 1)}))
