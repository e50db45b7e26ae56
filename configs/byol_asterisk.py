"""BYOL-A (BYOL on views of sound) on the prompts of a telephone exchange in five languages.

    apt install asterisk-core-sounds-{en,es,fr,it,ru}{,-wav}
    python launch.py --config=configs/byol_asterisk.py

The probes tell the language of held-out wordings from one and from five recordings of each, and from all; English and
Spanish are spoken by one voice. Mean and deviation of cepstra, the raw input, tell much of it.

Unlike the paper: 8 kHz, half as many mels and frames, a smaller network, 1,000 steps.

A linear probe gains on the untrained network; nearest neighbours among all recordings tell less than from it.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 64
    config.log_every = 20
    config.data = dict(modality="audio", name="asterisk_sounds", seconds=0.96, label_key="language")
    config.views = dict(name="byol_a", short="repeat", window=32.0, hop=20.0, mels=32)
    config.model = dict(name="audio_cnn", mels=32, channels=16, width=256)
    config.method = dict(name="byol", momentum=0.98, projector_hidden=512, projector_out=128)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=1e-4)
    config.schedule = dict(name="warmup_cosine", warmup_steps=40)
    config.checkpoint = dict(every=500, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=500, tasks=("knn_1shot", "knn_5shot", "knn_full", "linear"))
    config.expected = dict(
        results={"knn_full": 0.693, "linear": 0.841},
        margins={"linear": 0.03},
        hardware="2 CPU cores",
    )
    return config
