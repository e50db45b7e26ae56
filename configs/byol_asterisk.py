"""BYOL-A (BYOL on views of sound) on the prompts of a telephone exchange in five languages.

    apt install asterisk-core-sounds-{en,es,fr,it,ru}-wav
    python launch.py --config=configs/byol_asterisk.py

Probes learn words from three speakers (English, Italian, Russian) and are tried on another two (Spanish, French) with
129 words, three examples of each; that of Spanish is that of English, and most of these recordings are among those that
pretraining hears without labels. Unlike the paper: 8 kHz, half as many mels and frames, a smaller network, 400 steps.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 400
    config.batch_size = 128
    config.log_every = 20
    config.data = dict(
        modality="audio", name="asterisk_sounds", seconds=0.96, label_key="word",
        eval_train_split="words_en+words_it+words_ru", eval_split="words_es+words_fr",
    )  # fmt: skip
    config.views = dict(name="byol_a", window=32.0, hop=20.0, mels=32)
    config.model = dict(name="audio_cnn", mels=32, channels=32, width=256)
    config.method = dict(name="byol", momentum=0.98, projector_hidden=512, projector_out=128)
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=1e-4)
    config.schedule = dict(name="warmup_cosine", warmup_steps=40)
    config.checkpoint = dict(every=200, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=200, k=5, tasks=("knn_full", "linear"))
    config.expected = dict(results={}, margins={}, hardware="2 CPU cores")
    return config
