"""SimCLR on scikit-learn's 1,797 handwritten digits (8x8, scaled up to 16x16): a minute on a laptop, no download.

    python launch.py

Nobody tells the network which digit it sees; it only learns that two distorted views of one picture belong together.
Then one labelled example per digit is enough to read most of the others.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.steps = 1000
    config.batch_size = 256
    config.log_every = 25
    config.data = dict(modality="image", name="digits")
    config.views = dict(name="affine")
    config.model = dict(name="resnet", stage_sizes=(1, 1), base_width=32, stem="small", channels=1)
    config.method = dict(name="simclr", temperature=0.2, projector_hidden=128, projector_out=64)
    config.optimizer = dict(name="adamw", learning_rate=2e-3, weight_decay=1e-4)
    config.schedule = dict(name="warmup_cosine", warmup_steps=50)
    config.checkpoint = dict(every=250, keep=2, best="eval/knn_full")
    config.evaluate = dict(every=100, during=("knn_full", "knn_1shot"), tasks=("knn_1shot", "knn_5shot", "knn_full"))
    config.expected = dict(
        results={"pretrained/knn_1shot": 0.80, "pretrained/knn_5shot": 0.93},
        source="1,437 training and 360 held-out digits, mean over 100 draws",
        hardware="2 CPU cores",
        minutes=1.0,
    )
    return config
