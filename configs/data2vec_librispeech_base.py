"""data2vec base on LibriSpeech's 960 hours of speech: Baevski et al. 2022 (arXiv:2202.03555), section 4.2.

    python launch.py prepare librispeech
    python launch.py --config=configs/data2vec_librispeech_base.py
    python launch.py --config=configs/data2vec_librispeech_base.py:smoke    the same code path on made-up tones

Where the numbers come from: the official configuration (fairseq,
data2vec/config/audio/pretraining/base_librispeech.yaml: 400k updates, Adam with 5e-4, betas 0.9 and 0.98, eps 1e-6,
weight decay 0.01 of all parameters, rates that rise for 3 % of the updates and fall for the last 7 %, waveforms
normalised, five positional convolutions that span 95 frames, mean of 8 blocks, momentum from 0.999 to 0.9999 in 30k
updates, squared error) and the defaults of its code (dropout 0.1). The batch is 16 x 3.8 M samples, 63 minutes, of
crops of at most 320k samples (20 s); here 192 crops, of which the shorter are filled up. The official loss is the sum
over the 768 features divided by their number's root, ours the mean: so eps is divided by that root. The official code
drops nothing of what enters the blocks, and drops layers with rate 0.05: here dropout is the other way.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 192
    thousand = 1000 * 192 // config.get_ref("batch_size")  # updates of the paper; as many crops at another batch
    config.steps = 400 * thousand
    config.log_every = 200
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=20.0,
        train_split="train_clean100+train_clean360+train_other500", eval_train_split="dev_clean",
        eval_split="test_clean", cache="never", workers=16, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(name="waveform", standardize=True)
    config.model = dict(
        name="waveform_transformer", conv_channels=(512,) * 7, conv_norm="layer", width=768, depth=12, heads=12,
        mlp_dim=3072, position_kernel=19, position_depth=5, dropout=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(
        name="data2vec", top=8, momentum=0.999, momentum_end=0.9999, momentum_steps=30 * thousand, beta=0.0
    )
    config.optimizer = dict(
        name="adamw", learning_rate=5e-4, weight_decay=0.01, b1=0.9, b2=0.98, eps=1e-6 / 768**0.5, all_parameters=True
    )
    config.schedule = dict(name="warmup_hold_decay", warmup_steps=12 * thousand, decay_steps=28 * thousand)
    config.checkpoint = dict(every=5 * thousand, keep=2)
    config.evaluate = dict(every=25 * thousand, batch_size=64, during=(), tasks=(), diagnostics=False)
    config.expected = dict(results={}, source="Baevski et al. 2022, and the official configuration", hardware="16 GPUs")
    smoke = dict(method=dict(top=2), schedule=dict(decay_steps=1))
    return trial.speech(config, variant, smoke=smoke)
