"""BYOL-A's network and views on LibriSpeech: Niizumi et al. 2021 (arXiv:2103.06695), in place of AudioSet.

The paper's data, AudioSet, is not in TFDS; with these recordings its tables cannot be expected. The encoder: 5.3 M
parameters.

    python launch.py prepare librispeech
    python launch.py --config=configs/byol_librispeech_cnn.py
    python launch.py --config=configs/byol_librispeech_cnn.py:smoke    the same code path on made-up tones

Where the numbers come from: the authors' config.yaml and train.py (segments of 0.95 s, 64 filters from 60 to 7800 Hz,
window 64 ms and hop 10 ms at 16 kHz, 2048 features, heads 4096 and 256 wide, momentum 0.99, batch 256, Adam with 3e-4,
100 epochs, no schedule). Recordings are normalised by their own mean and deviation, not by those of all; sounds to mix
come from the batch, not from the last 2048. Short recordings are repeated, so that nothing in a picture is padding.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 28_539  # train-clean-100


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = 100 * epoch
    config.log_every = 100
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=0.96,
        train_split="train_clean100", eval_train_split="dev_clean", eval_split="test_clean", workers=8, prefetch=2,
        mock=0,
    )  # fmt: skip
    config.views = dict(
        name="byol_a",
        window=64.0,
        hop=10.0,
        mels=64,
        low=60.0,
        high=7800.0,
        mixup=0.4,
        crop=(0.6, 1.5),
        short="repeat",
    )
    config.model = dict(name="audio_cnn", mels=64, channels=64, width=2048)
    config.method = dict(
        name="byol", momentum=0.99, momentum_end=0.99, projector_hidden=4096, projector_out=256, head_layers="torch"
    )
    config.optimizer = dict(name="adamw", learning_rate=3e-4, weight_decay=0.0)
    config.schedule = dict(name="constant", warmup_steps=0)
    config.checkpoint = dict(every=5 * epoch, keep=2)
    config.evaluate = dict(every=10 * epoch, batch_size=256, during=(), tasks=())
    config.expected = dict(results={}, parameters=5_300_000, source="the authors' models.py, AudioNTT2020, d = 2048")
    return trial.speech(config, variant)
