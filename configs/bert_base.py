"""BERT-base on English Wikipedia: Devlin et al. 2018 (arXiv:1810.04805), section 3.1 and appendix A.2.

Expected: a GLUE average of 79.6 after fine-tuning (table 1), from 110 M parameters. The paper trains on 4 Cloud TPUs
(16 chips) for 4 days. It reads BooksCorpus as well, which cannot be had any more, so somewhat less is to be expected;
and it runs the first 900k steps at length 128 to save time, where this config keeps 512 throughout.

    python launch.py prepare wikipedia/20230601.en
    python launch.py --config=configs/bert_base.py
    python launch.py --config=configs/bert_base.py:smoke    the same code path on made-up articles

Where the numbers come from: 256 sequences of 512 tokens, 1M steps, Adam with 1e-4, betas 0.9 and 0.999, weight decay
0.01, 10,000 steps of warm-up, linear decay, dropout 0.1, GELU: appendix A.2; 12 layers, 768 wide, 12 heads: section 3;
15 %, 80/10/10, next sentence: section 3.1; 30k word pieces: section 3; clipping at 1.0, sequences of other lengths in
10 % of the cases and the exact 30,522 pieces: the official code. eps 1e-6 and 77
predictions (0.15 x 512) likewise. Its Adam has no bias correction; ours corrects. Its decay counts from step 0, so that
the rate is 0.99e-4 when the warm-up ends; ours is 1e-4 there, as in transformers.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    thousand = 1000 * 256 // config.get_ref("batch_size")  # steps of the paper; as many sequences at another batch
    config.steps = 1000 * thousand
    config.log_every = 100
    config.data = dict(
        modality="text", name="wikipedia/20230601.en", train_split="train[:99%]", eval_train_split="train[98%:99%]",
        eval_split="train[99%:]", label_key=None, vocab_size=30_522, sequence_length=512, sentences="punctuation",
        short_sequences=0.1, workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(name="bert", rate=0.15, mask_share=0.8, random_share=0.1, max_predictions=77)
    config.model = dict(
        name="text_transformer", vocab_size=30_522, max_length=512, width=768, depth=12, heads=12, mlp_dim=3072,
        dropout=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="bert", next_sentence_weight=1.0)
    config.optimizer = dict(
        name="adamw", learning_rate=1e-4, weight_decay=0.01, b1=0.9, b2=0.999, eps=1e-6, clip_norm=1.0
    )
    config.schedule = dict(name="warmup_linear", warmup_steps=10 * thousand)
    config.checkpoint = dict(every=10 * thousand, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=50 * thousand, batch_size=256, during=(), tasks=(), limit=50_000)
    config.expected = dict(
        results={},
        glue=79.6,
        source="Devlin et al. 2018, table 1, BERT-base",
        parameters=110_000_000,  # with its heads
        hardware="4 Cloud TPUs (16 chips)",
        hours=96.0,
    )
    return trial.text(config, variant)
