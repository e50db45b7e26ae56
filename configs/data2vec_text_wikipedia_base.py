"""data2vec of text, base, on English Wikipedia: Baevski et al. 2022 (arXiv:2202.03555), section 4.3.

124 M parameters without the teacher and the head. The official run is on 16 GPUs and reads BooksCorpus as well, which
cannot be had any more, so somewhat less than the paper's numbers is to be expected.

    python launch.py prepare wikipedia/20230601.en
    python launch.py prepare --config=configs/data2vec_text_wikipedia_base.py    tokenises and packs
    python launch.py --config=configs/data2vec_text_wikipedia_base.py
    python launch.py --config=configs/data2vec_text_wikipedia_base.py:smoke    the same code path on made-up articles

Where the numbers come from: 16 x 8,192 tokens, 256 sequences of 512, 1M steps, Adam with 2e-4, betas 0.9 and 0.98 and
eps 1e-6, weight decay 0.01 of all parameters, 10,000 steps of warm-up, cosine decay, clipping at 5, dropout 0.1, 35 %
in spans of 4, the last 10 layers, momentum from 0.999 to 0.9999 in 300,000 steps, beta 4, two layers of head: the
authors' `config/text/pretraining/base.yaml`, whose 12 layers are 768 wide with 12 heads. The paper has 100,000 steps
for the momentum, a rate in three stages, and spans as a variant of BERT's 15 %. Their loss is the sum over the 768
features, ours the mean: so eps and the clipping are divided by 768. Their sequences hold whole documents of at most 512
tokens; here they are packed, and do not see each other. 50,265 tokens are those of RoBERTa; word pieces are learnt,
unless `config.data.tokenizer` names its tokenizer.json.
"""

import ml_collections

from ssl_jax import trial


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.batch_size = 256
    thousand = 1000 * 256 // config.get_ref("batch_size")  # steps of the code; as many sequences at another batch
    config.steps = 1000 * thousand
    config.log_every = 100
    config.data = dict(
        modality="text", name="wikipedia/20230601.en", train_split="train[:99%]", eval_train_split="train[98%:99%]",
        eval_split="train[99%:]", label_key=None, vocab_size=50_265, sequence_length=512, sentences="punctuation",
        layout="full_sentences", workers=8, mock=0,
    )  # fmt: skip
    config.views = dict(name="token_spans", rate=0.35, span=4)
    config.model = dict(
        name="text_transformer", vocab_size=50_265, max_length=512, width=768, depth=12, heads=12, mlp_dim=3072,
        segments=1, dropout=0.1, epsilon=1e-5, scan=True, dtype="bfloat16",
    )  # fmt: skip
    config.method = dict(
        name="data2vec_text", top=10, momentum=0.999, momentum_end=0.9999, momentum_steps=300 * thousand, beta=4.0
    )
    config.optimizer = dict(
        name="adamw",
        learning_rate=2e-4,
        weight_decay=0.01,
        b1=0.9,
        b2=0.98,
        eps=1e-6 / 768,
        clip_norm=5 / 768,
        all_parameters=True,
    )
    config.schedule = dict(name="warmup_cosine", warmup_steps=10 * thousand)
    config.checkpoint = dict(every=5 * thousand, keep=2)
    config.evaluate = dict(every=25 * thousand, batch_size=256, during=(), tasks=(), limit=50_000)
    config.expected = dict(
        results={},
        source="Baevski et al. 2022, section 4.3",
        parameters=124_000_000,  # of the encoder
        hardware="16 GPUs",
    )
    return trial.text(config, variant, smoke=dict(method=dict(top=2, momentum_steps=2)))
