"""wav2vec 2.0 on telephone prompts in five languages: which of some frames stood where one was hidden.

python launch.py --config=configs/wav2vec2_asterisk.py

All is tested on prompts whose wording is in no training; the probes tell the five languages apart, of which each has
one voice, English and Spanish the same. Mean and deviation of cepstra, the raw input, tell nearly all of it.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 300
    config.batch_size = 32
    config.log_every = 10
    config.data = dict(modality="audio", name="asterisk_sounds", seconds=1.5, label_key="language")
    config.views = dict(name="waveform")
    config.model = dict(
        name="waveform_transformer", conv_channels=(32, 64, 64, 96), conv_kernels=(10, 8, 4, 4),
        conv_strides=(5, 4, 4, 2), width=96, depth=3, heads=4, mlp_dim=256, position_kernel=16, position_groups=4,
        dropout=0.0, initializer_range=0.08,
    )  # fmt: skip
    config.method = dict(
        name="wav2vec2", start_rate=0.13, span=5, negatives=20, codebooks=2, codes=32, code_width=64,
        code_start="normal", projection_width=64, gumbel_decay=0.995, quantizer_dropout=0.0, feature_penalty=0.0,
    )  # fmt: skip
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.01, clip_norm=1.0, b2=0.98)
    config.schedule = dict(name="warmup_cosine", warmup_steps=30)
    config.checkpoint = dict(every=100, keep=2, best="eval/contrastive_accuracy")
    config.evaluate = dict(every=100, during=("knn_full",), tasks=("knn_full", "linear"), layers=True)
    config.expected = dict(
        results={"contrastive_accuracy": 0.273, "knn_full": 0.496, "linear": 0.706},
        margins={"contrastive_accuracy": 0.16, "knn_full": 0.04, "linear": 0.07},
        hardware="2 CPU cores",
    )
    return config
