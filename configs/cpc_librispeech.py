"""CPC on 100 hours of LibriSpeech: van den Oord et al. 2018 (arXiv:1807.03748), section 3.1.

    python launch.py prepare librispeech
    python launch.py --config=configs/cpc_librispeech.py
    python launch.py --config=configs/cpc_librispeech.py:smoke    the same code path on made-up tones

Where the numbers come from: strides 5, 4, 2, 2, 2 and kernels 10, 8, 4, 4, 4 of 512 channels, a GRU of 256, 12 steps
ahead, windows of 20,480 samples, 8 on each of 8 GPUs, Adam with 2e-4, about 300k updates: section 3.1. The 128 others
that a frame is told from are a default of its reimplementation CPC_audio (there from one speaker, here from one window;
its channels are 256, and its recurrence is an LSTM).
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 64
    thousand = 1000 * 64 // config.get_ref("batch_size")
    config.steps = 300 * thousand
    config.log_every = 200
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=1.28,
        train_split="train_clean100", eval_train_split="dev_clean", eval_split="test_clean", workers=8, prefetch=2,
        mock=0,
    )  # fmt: skip
    config.views = dict(name="waveform", standardize=False)
    config.model = dict(name="waveform_gru", conv_channels=(512,) * 5, width=256)
    config.method = dict(name="cpc", steps_ahead=12, negatives=128)
    config.optimizer = dict(name="adamw", learning_rate=2e-4, weight_decay=0.0)
    config.schedule = dict(name="constant", warmup_steps=0)
    config.checkpoint = dict(every=5 * thousand, keep=2, best="eval/contrastive_accuracy")
    config.evaluate = dict(every=25 * thousand, batch_size=64, during=(), tasks=(), diagnostics=False)
    config.expected = dict(results={}, source="van den Oord et al. 2018, section 3.1", hardware="8 GPUs")
    return trial.speech(config, variant)
