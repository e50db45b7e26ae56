"""ELECTRA-small on English Wikipedia: Clark et al. 2020 (arXiv:2003.10555), section 3 and table 6 of the appendix.

Expected: an accuracy of 78.9 % on MNLI after fine-tuning, as the authors' README states it of the same run on
OpenWebText (ELECTRA-Small-OWT). 14 M parameters in the discriminator. The paper trains for 4 days on one V100, and
reads BooksCorpus as well, which cannot be had any more.

    python launch.py prepare wikipedia/20230601.en
    python launch.py --config=configs/electra_wikipedia_small.py
    python launch.py --config=configs/electra_wikipedia_small.py:smoke    the same code path on made-up articles

Where the numbers come from: embeddings of 128, a generator of a quarter of the width, weight 50, sequences of 128
tokens, batches of 128, 1M steps, rate 5e-4, 10,000 steps of warm-up, linear decay, weight decay 0.01, 15 % hidden,
30,522 tokens: the authors' `configure_pretraining.py`, whose defaults are ELECTRA-small; 12 layers, 256 wide: their
README; 4 heads and dropout 0.1: the rest of their code, as in the released model. It leaves 15 % of the hidden tokens
in place and clips gradients at 1.0; its networks have places for 512 tokens. What it packs into a sequence is two
segments of one document; here it is one.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 128
    thousand = 1000 * 128 // config.get_ref("batch_size")  # steps of the paper; as many sequences at another batch
    config.steps = 1000 * thousand
    config.log_every = 100
    config.data = dict(
        modality="text", name="wikipedia/20230601.en", train_split="train[:99%]", eval_train_split="train[98%:99%]",
        eval_split="train[99%:]", label_key=None, vocab_size=30_522, sequence_length=128, sentences="punctuation",
        second_segment="none", short_sequences=0.0, workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(name="bert", rate=0.15, mask_share=0.85, random_share=0.0, max_predictions=19)
    config.model = dict(
        name="text_transformer", vocab_size=30_522, max_length=512, width=256, embedding_width=128, depth=12, heads=4,
        mlp_dim=1024, dropout=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="electra", generator_fraction=0.25, discriminator_weight=50.0)
    config.optimizer = dict(
        name="adamw", learning_rate=5e-4, weight_decay=0.01, b1=0.9, b2=0.999, eps=1e-6, clip_norm=1.0
    )
    config.schedule = dict(name="warmup_linear", warmup_steps=10 * thousand)
    config.checkpoint = dict(every=10 * thousand, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=50 * thousand, batch_size=256, during=(), tasks=(), limit=50_000)
    config.expected = dict(
        results={},
        mnli=0.789,
        source="google-research/electra, README, ELECTRA-Small-OWT",
        parameters=14_000_000,  # of the discriminator with its head
        hardware="1 V100",
        hours=96.0,
    )
    return trial.text(config, variant, smoke=dict(model=dict(width=64, embedding_width=32, heads=4, mlp_dim=256)))
