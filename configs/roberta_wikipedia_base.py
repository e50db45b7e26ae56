"""RoBERTa-base on English Wikipedia: Liu et al. 2019 (arXiv:1907.11692), sections 3 to 5 and table 9 of the appendix.

125 M parameters (the authors' README). The paper trains on V100 GPUs and on 160 GB of text: BooksCorpus, CC-News,
OpenWebText and Stories beside Wikipedia, so that less than its numbers is to be expected; it states none for the base
size on Wikipedia alone.

    python launch.py prepare wikipedia/20230601.en
    python launch.py prepare --config=configs/roberta_wikipedia_base.py    tokenises and packs
    python launch.py --config=configs/roberta_wikipedia_base.py
    python launch.py --config=configs/roberta_wikipedia_base.py:smoke    the same code path on made-up articles

Where the numbers come from: batches of 8k sequences, 500k steps, rate 6e-4, 24k steps of warm-up, linear decay, Adam
with betas 0.9 and 0.98 and eps 1e-6, weight decay 0.01, dropout 0.1, no clipping, 12 layers, 768 wide, 12 heads: table
9; 512 tokens of full sentences across documents, 15 % and dynamic masks: sections 2.3, 3.1, 4.1 and 4.2; attention goes
across the documents of a row there. Biases and norms decay too, as the authors' code has it. 50,265 tokens: the
released model. Those are byte-level BPE; word pieces are learnt here, unless `config.data.tokenizer` names the
tokenizer.json of the released model.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 8192
    thousand = 1000 * 8192 // config.get_ref("batch_size")  # steps of the paper; as many sequences at another batch
    config.steps = 500 * thousand
    config.log_every = 100
    config.data = dict(
        modality="text", name="wikipedia/20230601.en", train_split="train[:99%]", eval_train_split="train[98%:99%]",
        eval_split="train[99%:]", label_key=None, vocab_size=50_265, sequence_length=512, sentences="punctuation",
        layout="full_sentences", workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(name="bert", rate=0.15, mask_share=0.8, random_share=0.1, max_predictions=77)
    config.model = dict(
        name="text_transformer", vocab_size=50_265, max_length=512, width=768, depth=12, heads=12, mlp_dim=3072,
        segments=1, dropout=0.1, epsilon=1e-5, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(name="roberta", separate_documents=False)
    config.optimizer = dict(
        name="adamw", learning_rate=6e-4, weight_decay=0.01, b1=0.9, b2=0.98, eps=1e-6, all_parameters=True
    )
    config.schedule = dict(name="warmup_linear", warmup_steps=24 * thousand)
    config.checkpoint = dict(every=5 * thousand, keep=2, best="eval/masked_accuracy")
    config.evaluate = dict(every=25 * thousand, batch_size=256, during=(), tasks=(), limit=50_000)
    config.expected = dict(
        results={},
        source="Liu et al. 2019, table 9, RoBERTa-base",
        parameters=125_000_000,  # with its head
        hardware="V100 GPUs",
    )
    return trial.text(config, variant)
