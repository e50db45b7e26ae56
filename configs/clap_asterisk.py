"""CLAP on the prompts of a telephone exchange in five languages, paired with what is said in them.

    apt install asterisk-core-sounds-{en,es,fr,it,ru}{,-wav}
    python launch.py --config=configs/clap_asterisk.py

`sound_to_text` and `text_to_sound` are the shares of held-out recordings, of wordings that were in no training text,
whose nearest text among those of a batch of 64 is theirs, and of texts whose nearest sound is: 1.7 % by chance, 7.8 %
(5 of 64) for who tells nothing but the language. The probes tell the language.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 64
    config.log_every = 20
    config.data = dict(
        modality="audio", name="asterisk_sounds", seconds=3.84, label_key="language", text_key="text", text_length=32,
        vocab_size=1024,
    )  # fmt: skip
    config.views = dict(
        name="log_mel",
        short="repeat",
        window=32.0,
        hop=20.0,
        mels=32,
        frequency_masks=1,
        frequency_width=6,
        time_masks=1,
        time_width=16,
    )
    config.model = dict(name="audio_cnn", mels=32, channels=16, width=256)
    config.method = dict(name="clap", text_width=96, text_depth=2, text_heads=3, joint_width=128, temperature=0.07)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.01)
    config.schedule = dict(name="warmup_cosine", warmup_steps=40)
    config.checkpoint = dict(every=500, keep=2, best="eval/sound_to_text")
    config.evaluate = dict(every=500, tasks=("knn_1shot", "knn_5shot", "knn_full", "linear"))
    config.expected = dict(
        results={"sound_to_text": 0.313, "text_to_sound": 0.303, "knn_full": 0.883, "linear": 0.949},
        margins={"sound_to_text": 0.24, "text_to_sound": 0.24, "knn_full": 0.03, "linear": 0.04},
        hardware="2 CPU cores",
    )
    return config
