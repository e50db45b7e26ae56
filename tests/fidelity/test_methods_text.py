"""Losses of whole methods of text, value and every gradient, against Hugging Face's ...ForPreTraining classes."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.methods import METHODS, electra  # noqa: E402
from ssl_jax.models import TextTransformer  # noqa: E402

PAD, MASK = 1, 2  # RoBERTa counts its positions over what is no padding, so that 1 must be it
RNG = np.random.default_rng(0)
REAL = np.arange(16)[None, :] < np.array([[16], [9], [6]])
ORIGINAL = np.where(REAL, RNG.integers(3, 100, (3, 16)), PAD).astype(np.int32)
SEGMENTS = (np.arange(16)[None, :] > np.array([[8], [4], [3]])).astype(np.int32)
POSITIONS = np.array([[1, 5, 12], [2, 8, 0], [4, 0, 0]], np.int32)
WEIGHTS = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)
HIDDEN = np.zeros((3, 16), bool)
for row in range(3):
    HIDDEN[row, POSITIONS[row][WEIGHTS[row] > 0]] = True
ANSWER = np.array([0, 1, 1], np.int32)
VIEWS = {
    "tokens": np.where(HIDDEN, MASK, ORIGINAL),
    "segments": SEGMENTS,
    "parts": REAL.astype(np.int32),
    "positions": POSITIONS,
    "targets": np.where(WEIGHTS > 0, np.take_along_axis(ORIGINAL, POSITIONS, 1), 0),
    "weights": WEIGHTS,
    "original": ORIGINAL,
    "next": ANSWER,
    "order": ANSWER,
}
LABELS = torch.tensor(np.where(HIDDEN, ORIGINAL, -100)).long()
SIZES = dict(vocab_size=100, max_length=20, width=48, depth=2, heads=4, mlp_dim=96, dropout=0.0)
THEIRS = dict(
    vocab_size=100, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
    max_position_embeddings=20, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=PAD,
)  # fmt: skip
INPUTS = dict(input_ids=torch.tensor(VIEWS["tokens"]).long(), attention_mask=torch.tensor(REAL).long())
PAIR = dict(token_type_ids=torch.tensor(SEGMENTS).long())
ANSWERED = torch.tensor(ANSWER).long()


def method(name, encoder, told=None, hides=True, **settings):
    view = types.SimpleNamespace(told=told, pad_id=PAD, hides=hides, lists=hides)
    return nnx.eval_shape(
        lambda: METHODS[name](TextTransformer(**SIZES | encoder, rngs=nnx.Rngs(0)), view, rngs=nnx.Rngs(0), **settings)
    )


def our_loss(ours, views=VIEWS, key=None):
    """The loss and a module with gradients in place of weights."""
    graphdef, params = nnx.split(ours, nnx.Param)
    key = jax.random.key(0) if key is None else key
    loss = jax.jit(jax.value_and_grad(lambda params: nnx.merge(graphdef, params).loss(views, key, train=False)[0]))
    value, gradients = loss(params)
    return value, nnx.merge(graphdef, gradients)


def compare(value, found, loss, theirs):
    """Values to a relative 1e-5, each gradient to 1e-3 of its largest element (or 1e-4 of the largest of all).

    Softmax does not see what all keys share: the gradient of a key's bias is 0 but for what rounding leaves of sums of
    terms as large as others' gradients, some 1e-7 of these.
    """
    np.testing.assert_allclose(value, float(loss.detach()), rtol=1e-5)
    gradients = {name: p.grad.numpy() for name, p in theirs.named_parameters() if name in found}
    assert len(gradients) == len(found) > 20
    scale = max(float(np.abs(gradient).max()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        if name.endswith("key.bias"):
            assert max(np.abs(found[name]).max(), np.abs(gradient).max()) < 1e-6 * scale, name
            continue
        error = np.abs(found[name] - gradient).max() / max(float(np.abs(gradient).max()), 1e-4 * scale)
        assert error < 1e-3, (name, error)


def test_bert():
    theirs = randomize(transformers.BertForPreTraining(transformers.BertConfig(**THEIRS)))
    ours = method("bert", {}, told="next")
    heads = dict(pooler=ours.pooler, mlm_head=ours.mlm_head, next_head=ours.next_head)
    interop.bert.from_transformers(ours.backbone, state_dict(theirs), **heads)
    value, gradients = our_loss(ours)
    loss = theirs(**INPUTS, **PAIR, labels=LABELS, next_sentence_label=ANSWERED).loss
    loss.backward()
    heads = dict(pooler=gradients.pooler, mlm_head=gradients.mlm_head, next_head=gradients.next_head)
    compare(value, interop.bert.to_transformers(gradients.backbone, **heads), loss, theirs)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_simcse(pooling):
    """The authors' two poolings over Hugging Face's network; so little is dropped that nothing is."""
    theirs = randomize(transformers.BertModel(transformers.BertConfig(**THEIRS)))
    ours = method("simcse", dict(dropout=1e-9), hides=False, pooling=pooling)
    head = dict(pooler=ours.head) if pooling == "cls" else {}
    interop.bert.from_transformers(ours.backbone, state_dict(theirs), **head)
    value, gradients = our_loss(ours, ours.views({"tokens": ORIGINAL, "segments": SEGMENTS * 0}, None))
    out = theirs(input_ids=torch.tensor(ORIGINAL).long(), attention_mask=INPUTS["attention_mask"])
    real = torch.tensor(REAL)[:, :, None]
    z = out.pooler_output if pooling == "cls" else (out.last_hidden_state * real).sum(1) / real.sum(1)
    scores = torch.nn.functional.cosine_similarity(z[:, None], z[None], dim=-1) / 0.05
    loss = torch.nn.functional.cross_entropy(scores, torch.arange(3))
    loss.backward()
    head = dict(pooler=gradients.head) if pooling == "cls" else {}
    found = interop.bert.to_transformers(gradients.backbone, **head)
    compare(value, {name.removeprefix("bert."): array for name, array in found.items()}, loss, theirs)


def test_albert():
    config = transformers.AlbertConfig(**THEIRS, embedding_size=24, hidden_act="gelu_new", classifier_dropout_prob=0.0)
    theirs = randomize(transformers.AlbertForPreTraining(config))
    ours = method("albert", dict(embedding_width=24, share_layers=True, gelu="tanh"), told="order")
    heads = dict(pooler=ours.pooler, mlm_head=ours.mlm_head, order_head=ours.order_head)
    interop.albert.from_transformers(ours.backbone, state_dict(theirs), **heads)
    value, gradients = our_loss(ours)
    loss = theirs(**INPUTS, **PAIR, labels=LABELS, sentence_order_label=ANSWERED).loss
    loss.backward()
    heads = dict(pooler=gradients.pooler, mlm_head=gradients.mlm_head, order_head=gradients.order_head)
    compare(value, interop.albert.to_transformers(gradients.backbone, **heads), loss, theirs)


def test_roberta():
    kind = dict(layer_norm_eps=1e-5, type_vocab_size=1, max_position_embeddings=22)
    theirs = randomize(transformers.RobertaForMaskedLM(transformers.RobertaConfig(**THEIRS | kind)))
    ours = method("roberta", dict(segments=1, epsilon=1e-5))
    interop.roberta.from_transformers(ours.backbone, state_dict(theirs), mlm_head=ours.mlm_head, pad_id=PAD)
    value, gradients = our_loss(ours, VIEWS | {"segments": SEGMENTS * 0})
    loss = theirs(**INPUTS, labels=LABELS).loss
    loss.backward()
    found = interop.roberta.to_transformers(gradients.backbone, mlm_head=gradients.mlm_head, pad_id=PAD)
    positions = theirs.roberta.embeddings.position_embeddings.weight
    positions.grad[: PAD + 1] = torch.tensor(found["roberta.embeddings.position_embeddings.weight"][: PAD + 1])
    compare(value, found, loss, theirs)


def test_next_token():
    config = transformers.GPT2Config(
        vocab_size=100, n_positions=20, n_embd=48, n_layer=2, n_head=4, n_inner=96, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    theirs = randomize(transformers.GPT2LMHeadModel(config))
    kind = dict(segments=0, causal=True, norm_first=True, gelu="tanh", epsilon=1e-5)
    ours = method("next_token", kind, hides=False)
    interop.gpt2.from_transformers(ours.backbone, state_dict(theirs))
    batch = {"tokens": jnp.asarray(ORIGINAL), "segments": SEGMENTS}
    value, gradients = our_loss(ours, ours.views(batch, jax.random.key(0)))
    whole = dict(input_ids=torch.tensor(ORIGINAL).long(), attention_mask=torch.tensor(REAL).long())
    loss = theirs(**whole, labels=torch.tensor(np.where(REAL, ORIGINAL, -100)).long()).loss
    loss.backward()
    compare(value, interop.gpt2.to_transformers(gradients.backbone), loss, theirs)


def test_electra():
    """Generator and discriminator with one set of embeddings, as the paper ties them; what is drawn is ours."""
    kind = dict(THEIRS, embedding_size=32)
    small = dict(kind, hidden_size=24, num_attention_heads=2, intermediate_size=48)
    discriminator = randomize(transformers.ElectraForPreTraining(transformers.ElectraConfig(**kind)), seed=0)
    generator = randomize(transformers.ElectraForMaskedLM(transformers.ElectraConfig(**small)), seed=1)
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight
    ours = method("electra", dict(embedding_width=32), generator_fraction=0.5, discriminator_weight=50.0)
    interop.electra.from_transformers(ours.backbone, state_dict(discriminator), replaced_head=ours.replaced_head)
    interop.electra.from_transformers(ours.generator, state_dict(generator), mlm_head=ours.mlm_head)
    key = jax.random.key(5)
    value, gradients = our_loss(ours, key=key)

    masked = generator(**INPUTS, **PAIR, labels=LABELS)
    logits = np.take_along_axis(masked.logits.detach().numpy(), POSITIONS[:, :, None], 1)
    tokens = np.asarray(electra.filled(jax.random.split(key, 3)[1], VIEWS, jnp.asarray(logits)))
    replaced = tokens != ORIGINAL
    assert 2 <= replaced.sum() <= HIDDEN.sum()
    corrupted = INPUTS | dict(input_ids=torch.tensor(tokens).long())
    loss = masked.loss + 50 * discriminator(**corrupted, **PAIR, labels=torch.tensor(replaced).long()).loss
    loss.backward()
    found = interop.electra.to_transformers(gradients.backbone, replaced_head=gradients.replaced_head)
    compare(value, found, loss, discriminator)
    compare(value, interop.electra.to_transformers(gradients.generator, mlm_head=gradients.mlm_head), loss, generator)
