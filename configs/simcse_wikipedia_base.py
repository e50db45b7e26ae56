"""Unsupervised SimCSE with BERT-base on English Wikipedia: Gao et al. 2021 (arXiv:2104.08821).

Expected: a mean Spearman correlation of 76.25 over seven tasks of sentence similarity (STS12 to STS16, STS-B, SICK-R),
as the authors' README states it. They start from the published weights of BERT-base and train on Nvidia 3090 GPUs, of
which their script takes one; from random weights, as without `init_from`, dropout alone teaches far less. During
training it is scored whether a sentence finds its neighbours in the text; of the seven tasks `evaluate` has STS-B.

    python launch.py prepare --config=configs/simcse_wikipedia_base.py
    python launch.py --config=configs/simcse_wikipedia_base.py
    python launch.py evaluate runs/simcse_wikipedia_base --task=similarity/stsb
    python launch.py --config=configs/simcse_wikipedia_base.py:smoke    the same code path on made-up articles

The first two with --config.init_from=DIR --config.data.tokenizer=DIR/tokenizer.json, where DIR holds bert-base-uncased
as transformers' `save_pretrained` writes it.

Where the numbers come from: batches of 64, 3e-5: README; temperature 0.05, 32 tokens, one pass over a million
sentences, [CLS] with a layer and tanh in training alone: README, run_unsup_example.sh and simcse/models.py; dropout of
0.1: section 3. The rate falls linearly to 0 and gradients are clipped at 1.0, as by default in transformers' trainer.
The million sentences are drawn from all of Wikipedia; here they are the first 15,625 batches of its sentences in random
order.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 64
    config.steps = 1_000_000 // config.get_ref("batch_size")
    config.log_every = 25
    config.data = dict(
        modality="text", name="wikipedia/20230601.en", train_split="train[:-300]", eval_split="train[-300:]",
        label_key=None, vocab_size=30_522, sequence_length=32, sentences="punctuation",
        layout="sentences", workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(name="tokens")
    config.model = dict(
        name="text_transformer", vocab_size=30_522, max_length=512, width=768, depth=12, heads=12, mlp_dim=3072,
        dropout=0.1, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="simcse", temperature=0.05, pooling="cls")
    config.optimizer = dict(
        name="adamw", learning_rate=3e-5, weight_decay=0.0, b1=0.9, b2=0.999, eps=1e-8, clip_norm=1.0
    )
    config.schedule = dict(name="warmup_linear", warmup_steps=0)
    every = 8_000 // config.get_ref("batch_size")  # sentences between two evaluations, as many as 125 batches of 64
    config.checkpoint = dict(every=1 * every, keep=2, best="eval/neighbour_rank")
    config.evaluate = dict(
        every=1 * every,
        batch_size=256,
        during=("neighbouring_sentences",),
        tasks=("neighbouring_sentences",),
        limit=1000,
    )
    config.expected = dict(
        results={},
        sts=76.25,
        source="princeton-nlp/SimCSE, README, unsupervised, BERT-base",
        parameters=110_000_000,  # BERT-base, as its paper rounds it
        hardware="1 Nvidia 3090",
    )
    return trial.text(config, variant, smoke=dict(evaluate=dict(limit=64)))
