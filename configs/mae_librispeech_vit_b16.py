"""Audio-MAE, ViT-B/16, on LibriSpeech: Huang et al. 2022 (arXiv:2207.06405), in place of AudioSet.

The paper's data, AudioSet, is not in TFDS; with these recordings its tables cannot be expected. The encoder: 85 M
parameters; the paper's table 1b counts the 86 M of pictures with three channels.

    python launch.py prepare librispeech
    python launch.py --config=configs/mae_librispeech_vit_b16.py
    python launch.py --config=configs/mae_librispeech_vit_b16.py:smoke    the same code path on made-up tones

Where the numbers come from: sections 4.2 and 4.3 and the authors' submit_pretrain_audioset2M.sh (Kaldi's energies of
10 s under Hann's window of 25 ms each 10 ms, 1024 x 128, patches of 16 x 16, 80 % hidden, normalised targets, a decoder
512 wide, 64 GPUs x 8 examples, base learning rate 2e-4, weight decay 1e-4, 3 of 33 epochs to warm up; 32 in the paper).
Their decoder has 16 blocks that attend within windows; this one has the 8 of MAE, which attend everywhere. Their sounds
wrap round, and are made up to 6 dB louder or softer: left out. Recordings are normalised by their own mean and
deviation, and short ones repeated, so that nothing in a picture is padding.
"""

import ml_collections

from ssl_jax import trial

TRAIN_EXAMPLES = 281_241  # the three training splits
EPOCHS, WARMUP_EPOCHS = 33, 3


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 512
    epoch = TRAIN_EXAMPLES // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="audio", name="librispeech", audio_key="speech", label_key=None, sample_rate=16_000, seconds=10.0,
        train_split="train_clean100+train_clean360+train_other500", eval_train_split="dev_clean",
        eval_split="test_clean", workers=16, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(
        name="log_mel", short="repeat", scale="kaldi", window=25.0, hop=10.0, mels=128, low=20.0, frames=1024
    )
    config.model = dict(
        name="vit", size="B", patch_size=16, image_size=1024, image_width=128, channels=1, pooling="cls",
        dtype="bfloat16", scan=True, depth=12, width=768, heads=12, mlp_dim=3072,
    )  # fmt: skip
    config.method = dict(
        name="mae", mask_ratio=0.8, normalize_targets=True, decoder_width=512, decoder_depth=8, decoder_heads=16
    )
    config.optimizer = dict(
        name="adamw", learning_rate=2e-4, reference_batch_size=256, weight_decay=1e-4, b1=0.9, b2=0.95
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EPOCHS * epoch)
    config.checkpoint = dict(every=2 * epoch, keep=2)
    config.evaluate = dict(every=2 * epoch, batch_size=256, during=(), tasks=())
    config.expected = dict(
        results={},
        source="Huang et al. 2022, sections 4.2 and 4.3, on other data",
        parameters=85_000_000,
        hardware="64 V100 GPUs",
    )
    small = dict(
        views=dict(frames=64, mels=32), method=dict(decoder_depth=1, decoder_width=32, decoder_heads=2),
        model=dict(image_size=64, image_width=32, patch_size=8),
    )  # fmt: skip
    return trial.speech(config, variant, smoke=small)
