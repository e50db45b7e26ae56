"""Audio-MAE (a masked autoencoder over spectrograms) on the prompts of a telephone exchange in five languages.

    apt install asterisk-core-sounds-{en,es,fr,it,ru}{,-wav}
    python launch.py --config=configs/mae_asterisk.py

The probes tell the language of held-out wordings from one and from five recordings of each, and from all; English and
Spanish are spoken by one voice. Mean and deviation of cepstra, the raw input, tell much of it.

Unlike the paper: 8 kHz, 1.28 s, patches of 8 x 8, 60 % hidden, plain targets, and a decoder that attends everywhere.

Both a linear probe and nearest neighbours gain on the untrained network.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1600
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(modality="audio", name="asterisk_sounds", seconds=2.56, label_key="language")
    config.views = dict(name="log_mel", seconds=1.28, short="repeat", window=32.0, hop=20.0, mels=32)
    config.model = dict(
        name="vit", size="Ti", image_size=64, image_width=32, channels=1, patch_size=8, width=96, depth=3, heads=3,
        mlp_dim=384, pooling="mean",
    )  # fmt: skip
    config.method = dict(
        name="mae", mask_ratio=0.6, normalize_targets=False, decoder_width=48, decoder_depth=1, decoder_heads=3
    )
    config.optimizer = dict(name="adamw", learning_rate=1.5e-3, weight_decay=0.05, b2=0.95)
    config.schedule = dict(name="warmup_cosine", warmup_steps=50)
    config.checkpoint = dict(every=400, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=400, tasks=("knn_1shot", "knn_5shot", "knn_full", "linear"))
    config.expected = dict(
        results={"knn_full": 0.777, "linear": 0.87},
        margins={"knn_full": 0.11, "linear": 0.03},
        hardware="2 CPU cores",
    )
    return config
