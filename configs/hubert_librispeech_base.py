"""HuBERT base on LibriSpeech's 960 hours: Hsu et al. 2021 (arXiv:2106.07447), section IV.

Two runs. The first learns the clusters of cepstra, 250k updates; the second those of the first one's sixth block, 500
of them, 400k updates. The network has 95 M parameters (table 1); the paper trains on 32 GPUs.

    python launch.py prepare librispeech
    python launch.py --config=configs/hubert_librispeech_base.py --workdir=runs/hubert_1
    python launch.py --config=configs/hubert_librispeech_base.py:second --config.method.teacher=runs/hubert_1
    python launch.py --config=configs/hubert_librispeech_base.py:smoke    the same code path on made-up tones

Where the numbers come from: the official configuration (fairseq, hubert_base_librispeech.yaml: Adam with 5e-4, betas
0.9 and 0.98, eps 1e-6, weight decay 0.01 of all parameters, 8 % of the updates to warm up, linear decay, gradients
clipped at 10, dropout 0.1, gradient of the convolutions times 0.1, weight 10 of the features' penalty, nothing but
hidden frames counted) and sections IV-B and IV-C for the clusters, the layer and the updates; k-means here over 10 % of
the utterances in both runs, there in the second alone, and in the second over 2 million of their 17 million frames,
which take 6 GB. 12 heads are the code's, table 1 has 8. The batch is 32 x 1.4 M
samples, 47 minutes, of crops of 250k samples; here 192 crops, of which the shorter are filled up. The layer drop of
0.05 is left out.
"""

import ml_collections

from ssl_jax import trial
from ssl_jax.errors import unknown

TRAIN_EXAMPLES = 281_241


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 192
    thousand = 1000 * 192 // config.get_ref("batch_size")  # updates of the paper; as many crops at another batch
    updates = (400 if variant == "second" else 250) * thousand
    config.steps = 1 * updates  # so that steps of one's own leave the warm-up alone
    config.log_every = 200
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=15.625,
        train_split="train_clean100+train_clean360+train_other500", eval_train_split="dev_clean",
        eval_split="test_clean", cache="never", workers=16, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(name="waveform", standardize=False)
    config.model = dict(
        name="waveform_transformer", conv_channels=(512,) * 7, width=768, depth=12, heads=12, mlp_dim=3072, dropout=0.1,
        feature_gradient=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="hubert", clusters=100, fit_examples=TRAIN_EXAMPLES // 10)
    config.optimizer = dict(
        name="adamw",
        learning_rate=5e-4,
        weight_decay=0.01,
        b1=0.9,
        b2=0.98,
        eps=1e-6,
        clip_norm=10.0,
        all_parameters=True,
    )
    config.schedule = dict(name="warmup_linear", warmup_steps=updates * 8 // 100)
    config.checkpoint = dict(every=5 * thousand, keep=2, best="eval/masked_unit_accuracy")
    config.evaluate = dict(every=25 * thousand, batch_size=64, during=(), tasks=(), diagnostics=False)
    config.expected = dict(
        results={},
        source="Hsu et al. 2021, table 1, for the size",
        parameters=95_000_000,  # with its heads
        hardware="32 GPUs",
    )
    if variant == "second":
        config.method.update(teacher="runs/hubert_1", layer=6, clusters=500, fit_frames=2_000_000)
        return config
    if variant not in ("", "smoke"):
        raise unknown("variant of hubert_librispeech_base", variant, ["second", "smoke"])
    return trial.speech(config, variant, smoke=dict(method=dict(clusters=8, fit_examples=32)))
