"""Writing down what is said: made-up speech, whose characters are tones."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ssl_jax.augment import VIEWS
from ssl_jax.data import Spec
from ssl_jax.evaluate import fine_tune, speech, transcripts
from ssl_jax.models import WaveformTransformer

RATE, TONE, LONGEST = 8000, 400, 5  # Hz, samples, characters
PITCHES = {"a": 400.0, "b": 900.0, "c": 1900.0}  # Hz
ALPHABET = transcripts.Alphabet.of(PITCHES)


def spoken(count, seed):
    """Recordings of 2 to 5 characters with pauses between them, and what they say."""
    rng, silence = np.random.default_rng(seed), np.zeros(TONE // 2)
    texts = ["".join(rng.choice(list(PITCHES), rng.integers(2, LONGEST + 1))) for _ in range(count)]
    tones = {letter: np.sin(2 * np.pi * pitch * np.arange(TONE) / RATE) for letter, pitch in PITCHES.items()}
    waveform, length = np.zeros((count, LONGEST * (TONE + len(silence))), np.int16), np.zeros(count, np.int32)
    for row, text in enumerate(texts):
        sound = np.concatenate([part for letter in text for part in (tones[letter], silence)])
        waveform[row, : len(sound)], length[row] = 8000 * sound, len(sound)
    return {"waveform": waveform, "length": length, "answer": speech.spelled(ALPHABET, texts)}, texts


def speller():
    spec = Spec(shapes={"waveform": (LONGEST * TONE * 3 // 2,), "length": ()}, sample_rate=RATE)
    encoder = WaveformTransformer(
        conv_channels=(16, 16, 16), conv_kernels=(16, 5, 4), conv_strides=(8, 5, 2), width=24, depth=1, heads=2,
        mlp_dim=48, position_kernel=4, position_groups=2, dropout=0.0, initializer_range=0.1, rngs=nnx.Rngs(0),
    )  # fmt: skip
    return speech.Speller(encoder, VIEWS["waveform"](spec), len(ALPHABET), rate=0.0, rngs=nnx.Rngs(1))


def error_rate(model):
    examples, texts = spoken(32, seed=1)
    logits, frames = nnx.jit(lambda model, batch: model(batch))(model, examples)
    guesses = [ALPHABET.read(path) for path in transcripts.greedy(logits, frames)]
    return transcripts.error_rates(texts, guesses)["character_error_rate"]


def test_tones_are_learnt_and_written_down():
    model, (examples, _) = speller(), spoken(128, seed=0)
    before = error_rate(model)
    settings = fine_tune.FineTuning(epochs=15, batch_size=32, learning_rate=1e-2)
    steps = fine_tune.steps_of(128, settings)
    batches = fine_tune.shuffled(examples, settings)
    losses = fine_tune.fine_tune(model, speech.ctc_loss, batches, steps, settings, doing="Learning tones")
    after = error_rate(model)
    print(f"character error rate {before:.2f} before, {after:.2f} after; loss {losses[0]:.2f}, {losses[-1]:.2f}")
    assert before > 0.5 and after < 0.2


def test_loss_is_the_mean_over_recordings_of_the_loss_a_character():
    model, (examples, _) = speller(), spoken(3, seed=2)
    key = jax.random.key(0)
    logits, frames = model(examples, key=key)
    each = []
    for row in range(3):
        count, answer = int(frames[row]), examples["answer"][row]
        answer = jnp.asarray(answer[answer > 0])[None]
        alone = optax.ctc_loss(logits[row : row + 1, :count], jnp.zeros((1, count)), answer, jnp.zeros(answer.shape))
        each.append(float(alone[0]) / answer.shape[1])
    assert len(set(np.asarray(frames).tolist())) > 1, "recordings of several lengths"
    np.testing.assert_allclose(speech.ctc_loss(model, examples, key), np.mean(each), rtol=1e-5)


def test_equal_neighbours_take_a_frame_more():
    answers = speech.spelled(ALPHABET, ["abc", "aab", "bbb", ""])
    np.testing.assert_array_equal(answers, [[1, 2, 3], [1, 1, 2], [2, 2, 2], [0, 0, 0]])
    np.testing.assert_array_equal(speech.needed_frames(answers), [3, 4, 5, 0])
