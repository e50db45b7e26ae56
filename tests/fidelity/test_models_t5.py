"""The encoder and decoder of T5 against Hugging Face's: the same random weights, the same tokens."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop, losses  # noqa: E402
from ssl_jax.errors import UserError  # noqa: E402
from ssl_jax.models import EncoderDecoder  # noqa: E402
from ssl_jax.models.encoder_decoder import distance_buckets  # noqa: E402

RNG = np.random.default_rng(0)
MASK = np.arange(40)[None, :] < np.array([[40], [23], [4]])
TOKENS = np.where(MASK, RNG.integers(2, 100, (3, 40)), 0)
TARGETS = np.where(np.arange(12)[None, :] < np.array([[12], [9], [3]]), RNG.integers(2, 100, (3, 12)), 0)
WEIGHTS = (TARGETS > 0).astype(np.float32)
INPUTS = np.pad(TARGETS[:, :-1], ((0, 0), (1, 0)), constant_values=1)
SIZES = dict(vocab_size=100, width=48, depth=3, decoder_depth=2, heads=4, mlp_dim=96, buckets=16, max_distance=24)
CASES = {
    "first": dict(),
    "gated": dict(gated=True),
    "stacked": dict(scan=True, remat=True),
    "wide_heads": dict(head_width=16),
}


class Model(nnx.Module):
    """Called, it gives the encoder's states and the logits."""

    def __init__(self, settings):
        self.inside = EncoderDecoder(**SIZES | settings, rngs=nnx.Rngs(0))

    def __call__(self, **options):
        encoded = self.inside(TOKENS, None, MASK, **options)
        return encoded, self.inside.logits(self.inside.decode(INPUTS, encoded, MASK, **options))


def pair(name, dropout=0.0):
    ours = nnx.eval_shape(lambda: Model(CASES[name] | dict(dropout=dropout)))
    config = transformers.AutoConfig.for_model(**interop.t5.settings(ours.inside))
    theirs = transformers.T5ForConditionalGeneration(config)
    if ours.inside.gated:  # it is tied at first, and parts when a file has another matrix there
        theirs.lm_head.weight = torch.nn.Parameter(theirs.lm_head.weight.detach().clone())
    theirs = randomize(theirs).eval()
    interop.t5.from_transformers(ours.inside, state_dict(theirs))
    return ours, theirs


def forward(theirs):
    labels = torch.tensor(np.where(TARGETS > 0, TARGETS, -100))
    inputs = dict(input_ids=torch.tensor(TOKENS), attention_mask=torch.tensor(MASK.astype(np.int64)))
    return theirs(**inputs, decoder_input_ids=torch.tensor(INPUTS), labels=labels)


@pytest.mark.parametrize("name", CASES)
def test_forward_equals_hugging_face(name, record_property):
    ours, theirs = pair(name)
    encoded, logits = run(ours)
    expected = forward(theirs)
    real = TARGETS > 0
    errors = [
        relative_error(np.asarray(encoded)[MASK], expected.encoder_last_hidden_state.detach().numpy()[MASK]),
        relative_error(np.asarray(logits)[real], expected.logits.detach().numpy()[real]),
    ]
    record_property("max_relative_error", float(max(errors)))
    assert max(errors) < 1e-5, errors


@pytest.mark.parametrize("name", ["first", "gated"])
def test_loss_and_gradient_equal_hugging_face(name, record_property):
    ours, theirs = pair(name)
    graph, state = nnx.split(ours)
    loss = lambda state: losses.span_corruption(nnx.merge(graph, state)()[1], TARGETS, WEIGHTS)
    value, gradients = jax.jit(jax.value_and_grad(loss))(state)
    expected = forward(theirs).loss
    expected.backward()
    assert abs(float(value) / expected.item() - 1) < 1e-5
    nnx.update(ours, gradients)
    found = interop.t5.to_transformers(ours.inside)
    scale = max(float(p.grad.abs().max()) for p in theirs.parameters())
    errors = {
        name: float(np.abs(found[name] - p.grad.numpy()).max() / max(float(p.grad.abs().max()), 1e-4 * scale))
        for name, p in theirs.named_parameters()
    }
    record_property("max_relative_error", float(max(errors.values())))
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.parametrize("name", ["first", "gated"])
def test_round_trip(name):
    ours, theirs = pair(name)
    back, published = interop.t5.to_transformers(ours.inside), state_dict(theirs)
    assert all((back[key] == published[key]).all() for key in back)
    tied = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    assert published.keys() - back.keys() == (tied if name == "gated" else tied | {"lm_head.weight"})


def test_what_does_not_fit_is_told():
    ours, theirs = pair("first")
    weights = state_dict(theirs)
    del weights["decoder.block.1.layer.1.EncDecAttention.k.weight"]
    weights["encoder.block.0.layer.1.DenseReluDense.wi.weight"] = np.zeros((95, 48), np.float32)
    with pytest.raises(UserError) as error:
        interop.t5.from_transformers(ours.inside, weights | {"extra": np.zeros(1)})
    assert "missing: decoder.block.1.layer.1.EncDecAttention.k.weight; unexpected: extra" in str(error.value)
    assert "misshapen: encoder.block.0.layer.1.DenseReluDense.wi.weight (95, 48) instead of (96, 48)" in str(
        error.value
    )


@pytest.mark.parametrize("buckets, max_distance", [(32, 128), (16, 24), (8, 20)])
@pytest.mark.parametrize("directed", [False, True])
def test_buckets_equal_hugging_face(buckets, max_distance, directed):
    from transformers.models.t5.modeling_t5 import T5Attention

    distances = np.arange(-600, 601)
    theirs = T5Attention._relative_position_bucket(
        torch.tensor(distances), bidirectional=not directed, num_buckets=buckets, max_distance=max_distance
    )
    ours = distance_buckets(distances, buckets=buckets, max_distance=max_distance, directed=directed)
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_dropout_changes_as_much_as_in_hugging_face():
    """The spread over draws of states and logits is the same: all rates and places of dropout agree."""
    ours, theirs = pair("first", dropout=0.1)
    keys = jax.random.split(jax.random.key(0, impl="unsafe_rbg"), 100)
    mine = jax.jit(jax.vmap(lambda key: ours(train=True, key=key)))(keys)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = [forward(theirs.train()) for _ in range(100)]
    other = [
        [output.encoder_last_hidden_state.numpy() for output in drawn],
        [output.logits.numpy() for output in drawn],
    ]
    for one, two, counted in zip(mine, other, (MASK, TARGETS > 0), strict=True):
        spread = [np.std(values, axis=0)[counted].mean() for values in (one, two)]
        assert abs(spread[0] / spread[1] - 1) < 0.03, spread
