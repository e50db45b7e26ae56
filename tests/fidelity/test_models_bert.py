"""The text transformer and its heads against Hugging Face's BertForPreTraining."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, TextTransformer  # noqa: E402

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 100, (3, 16))  # not 0: PyTorch gives the padding token no gradient
SEGMENTS = RNG.integers(0, 2, (3, 16))
MASK = np.arange(16)[None, :] < np.array([[16], [9], [4]])


class Model(nnx.Module):
    """Encoder and heads, called as BertForPreTraining is."""

    def __init__(self, scan):
        rngs = nnx.Rngs(0)
        self.encoder = TextTransformer(
            vocab_size=100, max_length=20, width=48, depth=3, heads=4, mlp_dim=96, scan=scan, rngs=rngs
        )
        self.heads = nnx.Dict(
            pooler=Pooler(48, rngs=rngs),
            mlm_head=MLMHead(48, 100, rngs=rngs),
            next_head=NextSentenceHead(48, rngs=rngs),
        )

    def __call__(self, **options):
        hidden = self.encoder(TOKENS, SEGMENTS, MASK, **options)
        logits = self.heads.mlm_head(hidden, self.encoder.token_embedding)
        return hidden, logits, self.heads.next_head(self.heads.pooler(hidden))


def peer(dropout=0.1):
    config = transformers.BertConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, vocab_size=100,
        max_position_embeddings=20, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    return randomize(transformers.BertForPreTraining(config))


def forward(model):
    inputs = [torch.tensor(array) for array in (TOKENS, SEGMENTS, MASK.astype(np.int64))]
    output = model(input_ids=inputs[0], token_type_ids=inputs[1], attention_mask=inputs[2], output_hidden_states=True)
    return output.hidden_states[-1], output.prediction_logits, output.seq_relationship_logits


def build(scan=False):
    return nnx.eval_shape(lambda: Model(scan))


def pair(scan=False, **options):
    ours, theirs = build(scan), peer(**options)
    interop.bert.from_transformers(ours.encoder, state_dict(theirs), **ours.heads)
    return ours, theirs


@pytest.mark.parametrize("scan", [False, True])
def test_evaluation_equals_hugging_face(scan, record_property):
    ours, theirs = pair(scan)
    errors = [relative_error(a, b) for a, b in zip(run(ours), forward(theirs.eval()), strict=True)]
    record_property("max_relative_error", float(max(errors)))
    assert max(errors) < 1e-5


def test_training_without_dropout_equals_hugging_face(record_property):
    ours, theirs = pair(dropout=0.0)
    ours.encoder.dropout = 0.0
    for block in ours.encoder.stack.blocks:
        block.dropout = block.attention.dropout = 0.0
    errors = [relative_error(a, b) for a, b in zip(run(ours, train=True), forward(theirs.train()), strict=True)]
    record_property("max_relative_error", float(max(errors)))
    assert max(errors) < 1e-5


def test_dropout_changes_as_much_as_in_hugging_face():
    """The spread over draws of a hidden state is the same: all rates and places of dropout agree."""
    ours, theirs = pair()
    hidden = jax.jit(jax.vmap(lambda key: ours(train=True, key=key)[0]))
    mine = np.std(hidden(jax.random.split(jax.random.key(0, impl="unsafe_rbg"), 300)), axis=0)
    torch.manual_seed(0)
    with torch.no_grad():
        other = np.std([forward(theirs.train())[0].numpy() for _ in range(300)], axis=0)
    assert abs(mine[MASK].mean() / other[MASK].mean() - 1) < 0.03


@pytest.mark.parametrize("scan", [False, True])
def test_gradient_equals_hugging_face(scan, record_property):
    ours, theirs = pair(scan)
    total = lambda outputs: sum((output[:3] ** 2).mean() for output in outputs[1:])
    graph, state = nnx.split(ours)
    gradients = jax.jit(jax.grad(lambda state: total(nnx.merge(graph, state)())))(state)
    total(forward(theirs.eval())).backward()
    nnx.update(ours, gradients)
    found = interop.bert.to_transformers(ours.encoder, **ours.heads)
    scale = max(float(p.grad.abs().max()) for p in theirs.parameters())
    errors = {
        name: float(np.abs(found[name] - p.grad.numpy()).max() / max(float(p.grad.abs().max()), 1e-4 * scale))
        for name, p in theirs.named_parameters()
    }
    record_property("max_relative_error", float(max(errors.values())))
    assert max(errors.values()) < 1e-3, errors


def test_round_trip_and_old_names():
    ours, theirs = pair()
    weights = {n: a for n, a in state_dict(theirs).items() if not n.startswith("cls.predictions.decoder")}
    back = interop.bert.to_transformers(ours.encoder, **ours.heads)
    assert set(back) == set(weights) and all((back[name] == weights[name]).all() for name in weights)
    old = {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): a
           for n, a in weights.items()}  # fmt: skip
    encoder = build().encoder
    interop.bert.from_transformers(encoder, old)
    assert (encoder.norm.scale[...] == ours.encoder.norm.scale[...]).all()


def test_bare_model_without_prefix():
    encoder, theirs = build().encoder, peer()
    interop.bert.from_transformers(encoder, state_dict(theirs.bert))
    error = relative_error(run(encoder, TOKENS, SEGMENTS, MASK), forward(theirs.eval())[0])
    assert error < 1e-5
