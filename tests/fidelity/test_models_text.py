"""The text transformer in its other forms against Hugging Face's: the same random weights, the same tokens."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.errors import UserError  # noqa: E402
from ssl_jax.models import MLMHead, NextSentenceHead, Pooler, ReplacedTokenHead, TextTransformer  # noqa: E402

RNG = np.random.default_rng(0)
MASK = np.arange(16)[None, :] < np.array([[16], [9], [4]])
PAD = 1  # RoBERTa counts its positions over what is no padding, so that must be it
TOKENS = np.where(MASK, RNG.integers(2, 100, (3, 16)), PAD)
SEGMENTS = RNG.integers(0, 2, (3, 16))
SIZES = dict(vocab_size=100, max_length=20, width=48, depth=3, heads=4, mlp_dim=96, dropout=0.0)
THEIRS = dict(
    vocab_size=100, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
    max_position_embeddings=20,
)  # fmt: skip


def mlm_head(encoder, rngs):
    return MLMHead(
        48, 100, embedding_width=encoder.embedding_width, gelu=encoder.gelu, epsilon=encoder.epsilon, rngs=rngs
    )


HEADS = {
    "mlm_head": mlm_head,
    "pooler": lambda encoder, rngs: Pooler(48, rngs=rngs),
    "order_head": lambda encoder, rngs: NextSentenceHead(48, rngs=rngs),
    "replaced_head": lambda encoder, rngs: ReplacedTokenHead(48, rngs=rngs),
}


class Model(nnx.Module):
    """Encoder and heads; called, it gives the last states and what each head says."""

    def __init__(self, settings, heads, rngs):
        self.encoder = TextTransformer(**SIZES | settings, rngs=rngs)
        self.heads = nnx.Dict({name: HEADS[name](self.encoder, rngs) for name in heads})

    def __call__(self):
        hidden = self.encoder(TOKENS, SEGMENTS if self.segments else SEGMENTS * 0, MASK)
        found = [hidden]
        if "mlm_head" in self.heads:
            found.append(self.heads.mlm_head(hidden, self.encoder.token_embedding))
        if "order_head" in self.heads:
            found.append(self.heads.order_head(self.heads.pooler(hidden)))
        if "replaced_head" in self.heads:
            found.append(self.heads.replaced_head(hidden))
        return found

    @property
    def segments(self):
        """Whether there is more than one kind."""
        return self.encoder.segments is not None and self.encoder.segments.num_embeddings > 1


@dataclass(frozen=True)
class Case:
    """One model of transformers and how ours is built to be it.

    Attributes:
      module: of `interop`.
      peer: their class.
      config: its configuration.
      settings: of our encoder.
      heads: the names of our heads.
      outputs: of theirs, beside the hidden states.
    """

    module: ModuleType
    peer: str
    config: Any
    settings: dict
    heads: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


ROBERTA = dict(THEIRS, max_position_embeddings=22, layer_norm_eps=1e-5, type_vocab_size=1, pad_token_id=PAD)
NARROW = dict(embedding_width=24)
CASES = {
    "roberta": Case(
        interop.roberta, "RobertaForMaskedLM", transformers.RobertaConfig(**ROBERTA), dict(segments=1, epsilon=1e-5),
        ("mlm_head",), ("logits",),
    ),
    "roberta_stacked": Case(
        interop.roberta, "RobertaModel", transformers.RobertaConfig(**ROBERTA),
        dict(segments=1, epsilon=1e-5, scan=True), ("pooler",),
    ),
    "data2vec_text": Case(
        interop.data2vec_text, "Data2VecTextModel", transformers.Data2VecTextConfig(**ROBERTA),
        dict(segments=1, epsilon=1e-5), ("pooler",),
    ),
    "data2vec_text_mlm": Case(
        interop.data2vec_text, "Data2VecTextForMaskedLM", transformers.Data2VecTextConfig(**ROBERTA),
        dict(segments=1, epsilon=1e-5), ("mlm_head",), ("logits",),
    ),
    "electra_discriminator": Case(
        interop.electra, "ElectraForPreTraining", transformers.ElectraConfig(**THEIRS, embedding_size=24), NARROW,
        ("replaced_head",), ("logits",),
    ),
    "electra_generator": Case(
        interop.electra, "ElectraForMaskedLM", transformers.ElectraConfig(**THEIRS, embedding_size=24), NARROW,
        ("mlm_head",), ("logits",),
    ),
    "electra_base": Case(
        interop.electra, "ElectraForPreTraining", transformers.ElectraConfig(**THEIRS, embedding_size=48), {},
        ("replaced_head",), ("logits",),
    ),
    "albert": Case(
        interop.albert, "AlbertForPreTraining",
        transformers.AlbertConfig(**THEIRS, embedding_size=24, hidden_act="gelu_new"),
        NARROW | dict(share_layers=True, gelu="tanh"), ("mlm_head", "pooler", "order_head"),
        ("prediction_logits", "sop_logits"),
    ),
    "albert_scanned": Case(
        interop.albert, "AlbertModel", transformers.AlbertConfig(**THEIRS, embedding_size=24, hidden_act="gelu"),
        NARROW | dict(share_layers=True, scan=True), ("pooler",),
    ),
    "gpt2": Case(
        interop.gpt2, "GPT2LMHeadModel",
        transformers.GPT2Config(
            vocab_size=100, n_positions=20, n_embd=48, n_layer=3, n_head=4, n_inner=96, bos_token_id=0, eos_token_id=0,
        ),
        dict(segments=0, causal=True, norm_first=True, gelu="tanh", epsilon=1e-5),
    ),
    "gpt2_stacked": Case(
        interop.gpt2, "GPT2Model",
        transformers.GPT2Config(
            vocab_size=100, n_positions=20, n_embd=48, n_layer=3, n_head=4, n_inner=96, bos_token_id=0, eos_token_id=0,
        ),
        dict(segments=0, causal=True, norm_first=True, gelu="tanh", epsilon=1e-5, scan=True),
    ),
}  # fmt: skip


def build(case):
    return nnx.eval_shape(lambda: Model(case.settings, case.heads, nnx.Rngs(0)))


def peer(case):
    return randomize(getattr(transformers, case.peer)(case.config)).eval()


def pair(case):
    ours, theirs = build(case), peer(case)
    case.module.from_transformers(ours.encoder, state_dict(theirs), **ours.heads)
    return ours, theirs


def forward(case, theirs, ours):
    """Their last states and the outputs that are asked for; states of padding are of no consequence."""
    inputs = dict(input_ids=torch.tensor(TOKENS), attention_mask=torch.tensor(MASK.astype(np.int64)))
    if ours.segments:
        inputs["token_type_ids"] = torch.tensor(SEGMENTS)
    output = theirs(**inputs, output_hidden_states=True)
    return [output.hidden_states[-1], *(output[name] for name in case.outputs)]


def counted(array):
    """Without what stands at padding, [B, S, ...]; [B, 2] as it is."""
    array = array.detach().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    return array[MASK] if array.shape[:2] == MASK.shape else array


@pytest.mark.parametrize("name", CASES)
def test_forward_equals_hugging_face(name, record_property):
    case = CASES[name]
    ours, theirs = pair(case)
    found, expected = run(ours), forward(case, theirs, ours)
    errors = [relative_error(counted(a), counted(b)) for a, b in zip(found, expected, strict=True)]
    record_property("max_relative_error", float(max(errors)))
    assert max(errors) < 1e-5, errors


def test_gpt2s_logits_are_its_states_times_its_embedding():
    ours, theirs = pair(CASES["gpt2"])
    logits = run(ours)[0] @ ours.encoder.token_embedding.T
    inputs = dict(input_ids=torch.tensor(TOKENS), attention_mask=torch.tensor(MASK.astype(np.int64)))
    assert relative_error(counted(logits), counted(theirs(**inputs).logits)) < 1e-5


def test_states_of_all_layers_equal_hugging_face():
    case = CASES["data2vec_text"]
    ours, theirs = pair(case)
    states = nnx.jit(lambda model: model.states(TOKENS, SEGMENTS * 0, MASK))(ours.encoder)
    inputs = dict(input_ids=torch.tensor(TOKENS), attention_mask=torch.tensor(MASK.astype(np.int64)))
    expected = theirs(**inputs, output_hidden_states=True).hidden_states[1:]
    for layer, other in zip(states, expected, strict=True):
        assert relative_error(counted(layer), counted(other)) < 1e-5


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.heads or "gpt2" in name])
def test_round_trip(name):
    """What is written is what was read; nothing is left out but what is tied, and rows that are used at padding."""
    case = CASES[name]
    ours, theirs = pair(case)
    back = case.module.to_transformers(ours.encoder, **ours.heads)
    published = state_dict(theirs)
    prefix = theirs.base_model_prefix + "." if type(theirs).__name__.endswith("Model") else ""
    for key, array in back.items():
        expected = published[key.removeprefix(prefix) if prefix and key not in published else key]
        skipped = 2 if case.config.pad_token_id == PAD and "position" in key else 0
        np.testing.assert_array_equal(array[skipped:], expected[skipped:], err_msg=key)
    tied = ("decoder.weight", "decoder.bias", "lm_head.weight")
    left_out = {key for key in published if prefix + key not in back and key not in back}
    assert all(key.endswith(tied) for key in left_out), left_out


@pytest.mark.parametrize("name", CASES)
def test_their_class_reads_the_settings_that_we_write(name):
    case = CASES[name]
    written = case.module.settings(build(case).encoder)
    config = transformers.AutoConfig.for_model(**written)
    assert type(config) is type(case.config)
    for key in written.keys() - {"model_type"}:
        if "drop" not in key:
            assert getattr(config, key) == getattr(case.config, key), key


def test_what_does_not_fit_is_told():
    case = CASES["electra_discriminator"]
    weights = state_dict(peer(case))
    del weights["electra.encoder.layer.1.output.dense.bias"]
    weights["electra.extra"] = np.zeros(3)
    weights["electra.embeddings_project.weight"] = np.zeros((48, 23), np.float32)
    ours = build(case)
    with pytest.raises(UserError) as error:
        case.module.from_transformers(ours.encoder, weights, **ours.heads)
    message = str(error.value)
    assert "missing: electra.encoder.layer.1.output.dense.bias" in message
    assert "unexpected: electra.extra" in message
    assert "misshapen: electra.embeddings_project.weight (48, 23) instead of (48, 24)" in message


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("roberta", dict(causal=True), "config.model.causal=False"),
        ("roberta", dict(segments=0), "set config.model.segments to 1 or more"),
        ("albert", dict(share_layers=False), "config.model.share_layers=True"),
        ("albert", dict(embedding_width=None), "set config.model.embedding_width"),
        ("gpt2", dict(norm_first=False), "config.model.norm_first=True"),
        ("gpt2", dict(segments=2), "config.model.segments=0"),
    ],
)
def test_an_encoder_of_another_form_has_no_settings_there(name, settings, message):
    case = CASES[name]
    encoder = nnx.eval_shape(lambda: TextTransformer(**SIZES | case.settings | settings, rngs=nnx.Rngs(0)))
    with pytest.raises(UserError, match=message):
        case.module.settings(encoder)


def test_dropout_of_gpt2_changes_as_much_as_in_hugging_face():
    """The spread over draws of a hidden state is the same: all rates and places of dropout agree."""
    case = CASES["gpt2"]
    ours, theirs = nnx.eval_shape(lambda: Model(case.settings | dict(dropout=0.1), (), nnx.Rngs(0))), peer(case)
    case.module.from_transformers(ours.encoder, state_dict(theirs))
    call = lambda key: ours.encoder(TOKENS, SEGMENTS, MASK, train=True, key=key)
    mine = np.std(jax.jit(jax.vmap(call))(jax.random.split(jax.random.key(0, impl="unsafe_rbg"), 100)), axis=0)
    torch.manual_seed(0)
    with torch.no_grad():
        other = np.std([forward(case, theirs.train(), ours)[0].numpy() for _ in range(100)], axis=0)
    assert abs(mine[MASK].mean() / other[MASK].mean() - 1) < 0.03
    assert jnp.isfinite(mine).all()
