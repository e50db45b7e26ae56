"""T5-base on C4: Raffel et al. 2020 (arXiv:1910.10683), the baseline of section 3.1 with the spans of section 3.3.4.

220 M parameters, 34 B tokens, on slices of Cloud TPU Pods, whose size the paper does not state.

    python launch.py prepare c4/en
    python launch.py prepare --config=configs/t5_c4_base.py    tokenises
    python launch.py --config=configs/t5_c4_base.py
    python launch.py --config=configs/t5_c4_base.py:smoke    the same code path on made-up articles

Where the numbers come from: 2^19 steps of 128 sequences of 512 tokens, AdaFactor with a rate of 1 / sqrt(max(n, 10^4)):
section 3.1.2; 12 blocks each, 768 wide, 12 heads of 64, 3072 hidden units, dropout 0.1: section 3.1.1; 15 % in spans of
3: sections 3.1.4 and 3.3.4; 32 buckets up to a distance of 128: section 2.1. That 568 tokens become 512 to read and 114
to write, the 1e-4 of `z_loss` and the 32,128 tokens, 100 sentinels among them, are those of the official code. There,
documents are joined without a token between them, and one that ends a text follows what is to be read; here each
document begins with [CLS] and ends with [SEP]. Its pieces are SentencePiece's, of four languages; word pieces of C4 are
learnt here, unless `config.data.tokenizer` names the tokenizer.json of a released model.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 128
    thousand = 1000 * 128 // config.get_ref("batch_size")  # steps of the paper; as many sequences at another batch
    config.steps = 2**19 * 128 // config.get_ref("batch_size")
    config.log_every = 100
    config.data = dict(
        modality="text", name="c4/en", train_split="train", eval_train_split="validation[:50%]",
        eval_split="validation[50%:]", label_key=None, vocab_size=32_128, sentinels=100, sequence_length=568,
        layout="stream", workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(name="span_corruption", rate=0.15, mean_span=3.0)
    config.model = dict(
        name="encoder_decoder", vocab_size=32_128, width=768, depth=12, heads=12, mlp_dim=3072, buckets=32,
        max_distance=128, dropout=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="t5", z_loss=1e-4)
    config.optimizer = dict(name="adafactor", learning_rate=1e-2)
    config.schedule = dict(name="inverse_sqrt", hold_steps=10 * thousand)
    config.checkpoint = dict(every=5 * thousand, keep=2, best="eval/span_accuracy")
    config.evaluate = dict(every=25 * thousand, batch_size=256, during=(), tasks=(), limit=50_000)
    config.expected = dict(
        results={},
        source="Raffel et al. 2020, sections 3.1 and 3.3.4",
        parameters=220_000_000,
        hardware="a slice of a Cloud TPU Pod",
    )
    return trial.text(config, variant, smoke=dict(data=dict(sentinels=4)))
