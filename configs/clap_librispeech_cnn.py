"""CLAP on LibriSpeech: Elizalde et al. 2022 (arXiv:2206.04769), with transcripts in place of captions.

The paper's pairs of sounds and captions (FSD50K, Clotho, AudioCaps, MACS) are not in TFDS, and its two towers come
pretrained (CNN14, BERT base); here both start from nothing, and no number of its tables can be expected.

    python launch.py prepare librispeech
    python launch.py --config=configs/clap_librispeech_cnn.py
    python launch.py --config=configs/clap_librispeech_cnn.py:smoke    the same code path on made-up tones

Where the numbers come from: section 3.2 (64 filters, window 1024 and hop 320 samples, 50 to 8000 Hz, joint space of
1024, temperature 0.007 at the start, which is raised to the 0.01 that it stays above, Adam with 1e-3, 40 epochs), here
at 16 kHz in place of 44.1, and 16 s in place of 5, so that a transcript is of what is heard. Short
recordings are repeated. The batch is ours, and so is the schedule: there the rate falls to a tenth where nothing
improves.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 28_539  # train-clean-100


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 128
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = 40 * epoch
    config.log_every = 100
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, text_key="text", text_length=100,
        vocab_size=8192, sample_rate=16_000, seconds=16.0, train_split="train_clean100", eval_train_split="dev_clean",
        eval_split="test_clean", workers=8, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(name="log_mel", short="repeat", window=64.0, hop=20.0, mels=64, low=50.0)
    config.model = dict(name="audio_cnn", mels=64, channels=64, width=2048)
    config.method = dict(name="clap", joint_width=1024, temperature=0.007)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=1 * epoch)
    config.checkpoint = dict(every=2 * epoch, keep=2, best="eval/sound_to_text")
    config.evaluate = dict(every=2 * epoch, batch_size=256, during=(), tasks=())
    config.expected = dict(results={}, source="Elizalde et al. 2022, section 3, on other data")
    small = dict(data=dict(text_length=8, vocab_size=256), method=dict(text_width=32, text_depth=1, text_heads=2))
    return trial.speech(config, variant, smoke=small)
