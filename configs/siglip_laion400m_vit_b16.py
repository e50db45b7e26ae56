"""SigLIP, ViT-B/16, LAION-400M, 9 billion pairs seen: Zhai et al. 2023 (arXiv:2303.15343), section 4.2.

Expected, of the same on WebLI, which is not public: 73.4 % of ImageNet's pictures told by the names of their classes
(table 1, last line; table 5), in five days on 32 TPU v4 chips. This run does not measure that: at its end it finds the
texts of 10,000 pairs that it has not learnt from. Both towers: 203 M parameters, of one picture 17.71 G multiply-adds
(OpenCLIP, docs/model_profile.csv, ViT-B-16-SigLIP, whose texts of 64 tokens have 37,000 parameters more).

    python launch.py prepare laion400m/images         after downloading it by hand, see its page in TFDS's catalogue
    python launch.py --config=configs/siglip_laion400m_vit_b16.py
    python launch.py --config=configs/siglip_laion400m_vit_b16.py:smoke    the same code path on made-up pairs

Where the numbers come from: section 4.2 (a B-sized transformer for texts of at most 16 tokens of 32,000, pictures
resized to 224 x 224), tables 1 and 5 (batch 32 k, 9 billion pairs seen), appendix C and table 6 (learning rate 1e-3 and
weight decay 1e-4 at any batch, a cosine), section 4.7 (beta2 0.95), appendix A (beta1 0.9, warm-up over the first 200 M
examples, of SigLiT; none is stated for SigLIP), algorithm 1 (temperature 0.1 and bias -10 at the start). Pooling by
attention, pixels in -1 to 1, tanh's GELU: google-research/big_vision, `vit.py` and SigLIP_demo.ipynb. Gradients clipped
to 1: its `siglip_lit_coco.py`; the paper does not say. The weight decay there is not multiplied by the learning rate
(`optax.py`), here it is: 1e-4 / 1e-3 is the same.
Known differences: LAION-400M in the place of WebLI; crops of 90 to 100 %, as OpenCLIP has them, in the place of whole
pictures resized; word pieces, learnt from 200,000 of the captions, in the place of C4's pieces; AdamW in the place of
their Adafactor, with which they found the same (table 7); short texts end in [PAD], there in their end token;
matrices of texts start normal with a deviation of 1 / sqrt(768), there uniform (Xavier), queries, keys and values of
one matrix, there of three, positions of pictures with 0.02, there 1 / sqrt(768), and the patch embedding uniform
(Xavier), there with a variance of 1 / inputs; the decay is of positions, words and the query that pools
too, there of matrices of layers alone.
Each device compares its pictures with the texts of one device after the other, as in section 3.3, tile by tile
(`block_size`). Canvas: pictures are decoded to 256 x 256 and crops drawn in the original's geometry.
"""

import ml_collections

from ssl_jax import trial

SEEN, WARMUP_EXAMPLES = 9_000_000_000, 200_000_000


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 32_768
    steps = SEEN // config.get_ref("batch_size")
    config.steps = 1 * steps  # so that steps of one's own leave the rest alone
    config.log_every = 100
    config.data = dict(
        modality="image", name="laion400m/images", text_keys=("caption",), text_length=16, vocab_size=32_000,
        label_key=None, train_split="train[10000:]", eval_split="train[:10000]", image_size=256, cache="never",
        workers=32, prefetch=2, mock=0,
    )  # fmt: skip
    config.views = dict(
        name="mae", out_size=224, crop_scale=(0.9, 1.0), interpolation="bicubic", flip=0.0,
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
    )  # fmt: skip
    config.model = dict(
        name="vit", size="B", patch_size=16, image_size=224, positions="learned", pooling="mean", gelu="tanh",
        dtype="bfloat16", scan=True, depth=None,
        remat=True, accumulate=2,  # 1024 pairs on a device
    )  # fmt: skip
    config.method = dict(
        name="siglip", text_width=768, text_depth=12, text_heads=12, temperature=0.1, bias=-10.0, block_size=1024
    )
    config.optimizer = dict(name="adamw", learning_rate=1e-3, weight_decay=0.1, b1=0.9, b2=0.95, clip_norm=1.0)
    config.schedule = dict(name="warmup_cosine", warmup_steps=WARMUP_EXAMPLES // config.get_ref("batch_size"))
    config.checkpoint = dict(every=steps // 270, keep=2, best="eval/image_to_text_top_1")
    config.evaluate = dict(
        every=steps // 27, batch_size=1024, limit=10_000, during=("retrieval",), tasks=("retrieval",)
    )
    config.expected = dict(
        results={},
        zero_shot=0.734,
        source="Zhai et al. 2023 (SigLIP), tables 1 and 5, on WebLI",
        parameters=203_000_000,
        multiply_adds=17_710_000_000,
        hardware="32 TPU v4 chips",
        duration="5 days",
    )
    return trial.pairs(config, variant)
