"""CLIP, ViT-B/32, LAION-400M, 32 epochs: Radford et al. 2021 (arXiv:2103.00020), on the data of OpenCLIP's run.

Expected: 62.9 % of ImageNet's pictures told by the names of their classes (OpenCLIP, docs/openclip_results.csv, line
ViT-B-32-quickgelu, laion400m_e32; docs/PRETRAINED.md says 62.96 %). This run does not measure that: at its end it finds
the texts of 10,000 pairs that it has not learnt from. Both towers: 151 M parameters, of one picture 4.41 G multiply-
adds (OpenCLIP, docs/model_profile.csv). OpenCLIP's run took 36 hours on 128 A100 GPUs of 40 GB (docs/PRETRAINED.md).

    python launch.py prepare laion400m/images         after downloading it by hand, see its page in TFDS's catalogue
    python launch.py --config=configs/clip_laion400m_vit_b32.py
    python launch.py --config=configs/clip_laion400m_vit_b32.py:smoke    the same code path on made-up pairs

Where the numbers come from: table 18 (batch 32,768, a vocabulary of 49,408, 32 epochs, AdamW with weight decay 0.2,
betas 0.9 and 0.98 and epsilon 1e-6, 2000 steps of warm-up, temperature 0.01 at least), table 20 (learning rate 5e-4,
joint space of 512, pictures of 224 pixels, both towers of 12 blocks, 768 and 512 wide with 12 and 8 heads), section 2.5
(a cosine, temperature 0.07 at the start). 77 tokens of a text, mean and deviation of pixels: openai/CLIP. Crops of 90
to 100 %, bicubic: OpenCLIP's `transform.py`.
Known differences: word pieces, learnt from 200,000 of the captions, in the place of OpenAI's byte pairs; matrices of
the pictures' tower start as MAE's (Xavier), there as PyTorch's, and words and positions of texts with a deviation of
1 / sqrt(512), there of 0.02 and 0.01, class token and positions of pictures of 0.02, there 1 / sqrt(768), the first
matrix of each MLP of texts of 1 / sqrt(512), there 1 / sqrt(1024); the class token decays here, in OpenCLIP not.
The scores of all pairs are spread over the devices with the pictures, 32 MiB on each of 128; on few devices,
`--config.method.block_size=4096` makes them tile by tile.
Canvas: pictures are decoded to 256 x 256 and crops drawn in the original's geometry.
"""

import ml_collections

from ssl_jax import trial

PAIRS = 400_000_000
EPOCHS, WARMUP_EXAMPLES = 32, 2000 * 32_768


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 32_768
    epoch = PAIRS // config.get_ref("batch_size")
    config.steps = EPOCHS * epoch
    config.log_every = 100
    config.data = dict(
        modality="image", name="laion400m/images", text_keys=("caption",), text_length=77, vocab_size=49_408,
        label_key=None, train_split="train[10000:]", eval_split="train[:10000]", image_size=256, cache="never",
        workers=32, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(
        name="mae", out_size=224, crop_scale=(0.9, 1.0), interpolation="bicubic", flip=0.0,
        mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711),
    )  # fmt: skip
    config.model = dict(
        name="vit", size="B", patch_size=32, image_size=224, positions="learned", pooling="cls", pre_norm=True,
        gelu="quick", epsilon=1e-5, dtype="bfloat16", scan=True, depth=None,
        remat=True,  # 256 pairs fit a device of 16 GiB
    )  # fmt: skip
    config.method = dict(
        name="clip", text_width=512, text_depth=12, text_heads=8, joint_width=512, temperature=0.07, block_size=None
    )
    config.optimizer = dict(name="adamw", learning_rate=5e-4, weight_decay=0.2, b1=0.9, b2=0.98, eps=1e-6)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EXAMPLES // config.get_ref("batch_size"))
    config.checkpoint = dict(every=epoch // 12, keep=2, best="eval/image_to_text_top_1")
    config.evaluate = dict(every=1 * epoch, batch_size=1024, limit=10_000, during=("retrieval",), tasks=("retrieval",))
    config.expected = dict(
        results={},
        zero_shot=0.6293,
        source="OpenCLIP, docs/openclip_results.csv, ViT-B-32-quickgelu, laion400m_e32",
        parameters=151_000_000,
        multiply_adds=4_410_000_000,
        hardware="128 A100-40GB GPUs",
        duration="36 hours",
    )
    return trial.pairs(config, variant)
