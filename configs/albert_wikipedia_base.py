"""ALBERT-base on English Wikipedia: Lan et al. 2020 (arXiv:1909.11942), sections 3 and 4, tables 1 and 2.

Expected: 81.6 % on MNLI and 90.3 % on SST-2 after fine-tuning (table 2), from 12 M parameters (table 1). The paper
trains on 64 to 512 Cloud TPU v3, and reads BooksCorpus as well, which cannot be had any more.

    python launch.py prepare wikipedia/20230601.en
    python launch.py --config=configs/albert_wikipedia_base.py
    python launch.py --config=configs/albert_wikipedia_base.py:smoke    the same code path on made-up articles

Where the numbers come from: batches of 4096, LAMB with 0.00176, 125k steps, length 512 with shorter sequences in 10 %
of the cases, runs of up to 3 words: section 4.1; 12 layers, 768 wide, embeddings 128 wide: table 1; vocabulary of
30,000, sentence order: section 3.1. 3125 steps of warm-up, at most 20 predictions a sequence: the authors' command;
the tanh approximation of GELU, weight decay 0.01 and clipping at 1.0: their code; dropout 0.1: the configuration of
their first models (the second ones, and the code by default, have none). Its tokens are SentencePiece; word pieces are
learnt here.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 4096
    unit = 25 * 4096 // config.get_ref("batch_size")  # 25 steps of the paper; as many sequences at another batch
    config.steps = 5000 * unit
    config.log_every = 100
    config.data = dict(
        modality="text", name="wikipedia/20230601.en", train_split="train[:99%]", eval_train_split="train[98%:99%]",
        eval_split="train[99%:]", label_key=None, vocab_size=30_000, sequence_length=512, sentences="punctuation",
        second_segment="swapped", short_sequences=0.1, workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(
        name="bert", rate=0.15, mask_share=0.8, random_share=0.1, max_predictions=20, whole_words=True, max_ngram=3
    )
    config.model = dict(
        name="text_transformer", vocab_size=30_000, max_length=512, width=768, embedding_width=128, depth=12, heads=12,
        mlp_dim=3072, share_layers=True, gelu="tanh", dropout=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="albert", sentence_order_weight=1.0)
    config.optimizer = dict(
        name="lamb", learning_rate=0.00176, weight_decay=0.01, b1=0.9, b2=0.999, eps=1e-6, clip_norm=1.0
    )
    config.schedule = dict(name="warmup_linear", warmup_steps=125 * unit)
    config.checkpoint = dict(every=200 * unit, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=1000 * unit, batch_size=256, during=(), tasks=(), limit=50_000)
    config.expected = dict(
        results={},
        mnli=0.816,
        source="Lan et al. 2020, table 2, ALBERT-base",
        parameters=12_000_000,  # with its heads
        hardware="64 to 512 Cloud TPU v3",
    )
    return trial.text(config, variant, smoke=dict(model=dict(embedding_width=32)))
