"""APC on 360 hours of LibriSpeech: Chung et al. 2019 (arXiv:1904.03240).

    python launch.py prepare librispeech
    python launch.py --config=configs/apc_librispeech.py
    python launch.py --config=configs/apc_librispeech.py:smoke    the same code path on made-up tones

Where the numbers come from: train-clean-360 and the defaults of the authors' code (train_apc.py: 80 log-mel energies, 3
GRUs of 512, batch 32, Adam with 1e-4, 100 epochs, gradients clipped at 1, 1600 frames at most) but for the shift of 3
and the residuals, which the code has as options. Frames are Kaldi's there, normalised beforehand; here each recording's
are normalised by their mean and deviation.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 104_014


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 32
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = 100 * epoch
    config.log_every = 200
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=16.0,
        train_split="train_clean360", eval_train_split="dev_clean", eval_split="test_clean", workers=8, prefetch=2,
        mock=0,
    )  # fmt: skip
    config.views = dict(name="log_mel_frames", mels=80, low=20.0, scale="kaldi")
    config.model = dict(name="frame_gru", mels=80, width=512, depth=3, residual=True)
    config.method = dict(name="apc", shift=3)
    config.optimizer = dict(name="adamw", learning_rate=1e-4, weight_decay=0.0, clip_norm=1.0)
    config.schedule = dict(name="constant", warmup_steps=0)
    config.checkpoint = dict(every=5 * epoch, keep=2, best="eval/loss")
    config.evaluate = dict(every=5 * epoch, batch_size=64, during=(), tasks=(), diagnostics=False)
    config.expected = dict(results={}, source="Chung et al. 2019, and the authors' code")
    return trial.speech(config, variant)
