"""BEST-RQ on LibriSpeech's 960 hours: Chiu et al. 2022 (arXiv:2202.01855), with a smaller network than the paper's.

The paper trains Conformers of 0.6 billion parameters; this is a transformer of 12 blocks behind the same subsampling by
four, so the paper's error rates are none to expect.

    python launch.py prepare librispeech
    python launch.py --config=configs/best_rq_librispeech.py
    python launch.py --config=configs/best_rq_librispeech.py:smoke    the same code path on made-up tones

Where the numbers come from: 80 log-mel energies every 10 ms, 8192 codes of 16 dimensions, spans of 400 ms that begin at
1 % of the frames: the paper, section 4; noise of deviation 0.1: section 3; here spans begin at 4 % of the fours of
frames. Optimizer, batch and length are ours.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    thousand = 1000 * 256 // config.get_ref("batch_size")
    config.steps = 400 * thousand
    config.log_every = 200
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=16.0,
        train_split="train_clean100+train_clean360+train_other500", eval_train_split="dev_clean",
        eval_split="test_clean", cache="never", workers=16, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(name="log_mel_frames", mels=80)
    config.model = dict(
        name="frame_transformer", mels=80, width=512, depth=12, heads=8, mlp_dim=2048, dropout=0.1, scan=True,
        dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="best_rq", codes=8192, code_dim=16, start_rate=0.04, span=10, noise=0.1)
    config.optimizer = dict(name="adamw", learning_rate=5e-4, weight_decay=0.01, b1=0.9, b2=0.98, clip_norm=1.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=25 * thousand)
    config.checkpoint = dict(every=5 * thousand, keep=2, best="eval/masked_unit_accuracy")
    config.evaluate = dict(every=25 * thousand, batch_size=64, during=(), tasks=(), diagnostics=False)
    config.expected = dict(results={}, source="Chiu et al. 2022, with another network")
    return trial.speech(config, variant)
