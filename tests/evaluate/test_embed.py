import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.evaluate import embed, raw_features


def batches(n, size):
    x = np.arange(n, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)
    return [{"image": x[i : i + size], "label": np.arange(i, min(i + size, n))} for i in range(0, n, size)]


def test_every_example_once_in_order():
    embeddings, labels = embed(lambda batch: 2 * batch["image"], batches(23, 5))
    np.testing.assert_array_equal(embeddings, 2 * np.arange(23)[:, None] * np.ones((1, 3)))
    np.testing.assert_array_equal(labels, np.arange(23))
    assert embeddings.dtype == np.float32 and labels.dtype == np.int32


@pytest.mark.parametrize("batch_size, rows", [(None, 5), (8, 8)])
def test_one_shape_is_compiled(batch_size, rows):
    shapes = []

    @jax.jit
    def embed_fn(batch):
        shapes.append(batch["image"].shape)
        return jnp.asarray(batch["image"], jnp.bfloat16)

    embeddings, _ = embed(embed_fn, batches(23, 5), batch_size=batch_size)
    assert shapes == [(rows, 3)]
    assert embeddings.shape == (23, 3) and embeddings.dtype == np.float32


def test_filling_repeats_real_rows():
    seen = []
    embed(lambda batch: seen.append(batch["image"]) or batch["image"], batches(6, 4))
    np.testing.assert_array_equal(seen[1][:, 0], [4, 5, 5, 5])


def test_too_large_or_no_batch():
    with pytest.raises(ValueError, match="more than batch_size 4"):
        embed(lambda batch: batch["image"], batches(5, 5), batch_size=4)
    with pytest.raises(ValueError, match="nothing to embed"):
        embed(lambda batch: batch["image"], [])


def test_raw_pixels_are_flattened_in_0_to_1():
    images = np.random.default_rng(0).integers(256, size=(3, 8, 8, 1), dtype=np.uint8)
    np.testing.assert_allclose(raw_features({"image": images}), images.reshape(3, 64) / 255, rtol=1e-6)


def test_large_pictures_are_averaged_down():
    images = np.random.default_rng(0).integers(256, size=(2, 70, 40, 3), dtype=np.uint8)
    raw = raw_features({"image": images}, max_side=32)
    assert raw.shape == (2, 23 * 13 * 3)
    np.testing.assert_allclose(raw[0, :3], images[0, :3, :3].mean(axis=(0, 1)) / 255, rtol=1e-5)


def test_clips_are_averaged_down_frame_by_frame():
    clips = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 1), np.uint8)
    frames = [raw_features({"image": clips[:, time]}, max_side=2) for time in range(3)]
    np.testing.assert_array_equal(raw_features({"image": clips}, max_side=2), np.concatenate(frames, axis=1))


def test_a_picture_narrower_than_the_factor():
    assert raw_features({"image": np.ones((2, 100, 2, 1), np.uint8)}, max_side=10).shape == (2, 10)


def test_word_counts_leave_out_special_tokens():
    tokens = np.array([[1, 4, 4, 4, 4, 2, 0, 0], [1, 5, 6, 2, 0, 0, 0, 0]])
    raw = raw_features({"tokens": tokens}, vocab_size=8, special_ids=(0, 1, 2))
    np.testing.assert_allclose(raw, [[0, 0, 0, 0, 2, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 0]])


def test_raw_sound_is_mean_and_deviation_of_cepstra_over_real_frames():
    waveform = np.random.default_rng(0).integers(-9000, 9000, (3, 4000), np.int16)
    alone = raw_features({"waveform": waveform[:, :2000], "length": np.full(3, 2000)}, sample_rate=8000)
    longer = raw_features({"waveform": waveform, "length": np.full(3, 2000)}, sample_rate=8000)
    assert alone.shape == (3, 40) and alone.dtype == np.float32
    np.testing.assert_allclose(longer, alone, atol=1e-3)
    mels = augment.kaldi_log_mel(waveform[1, :2000] / 32768, sample_rate=8000, window=200, hop=80, mels=23)
    cepstra = augment.cepstra(mels, 20, lifter=22.0)
    np.testing.assert_allclose(alone[1], np.concatenate([cepstra.mean(0), cepstra.std(0)]), atol=1e-3)
    silent = raw_features({"waveform": waveform, "length": np.zeros(3, int)}, sample_rate=8000)
    assert np.all(np.isfinite(silent))


def test_raw_features_say_what_is_missing():
    with pytest.raises(ValueError, match="sample_rate"):
        raw_features({"waveform": np.zeros((1, 400), np.int16), "length": np.ones(1, int)})
    with pytest.raises(ValueError, match="vocab_size"):
        raw_features({"tokens": np.zeros((1, 2), int)})
    with pytest.raises(ValueError, match="the batch has label"):
        raw_features({"label": np.zeros(1)})
