"""The waveform transformer and the quantizer against Hugging Face's wav2vec 2.0, HuBERT and data2vec."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.models import FrameGRU, GumbelQuantizer, WaveformTransformer  # noqa: E402

RNG = np.random.default_rng(0)
SAMPLES = 1000
WAVEFORM = RNG.normal(size=(3, SAMPLES)).astype(np.float32)
LENGTHS = np.array([1000, 704, 333])
FULL = np.array([SAMPLES] * 3)
FRAMES = 49
MASK = RNG.random((3, FRAMES)) < 0.4
MASK[:, :3] = True  # also in the shortest
REAL = np.arange(FRAMES)[None, :] < np.array([[49], [34], [16]])
TOLERANCE = 1e-5  # of relative errors; 1e-4 is asked for


class Kind(NamedTuple):
    """One of their classes, its settings and ours."""

    theirs: type
    config: type
    interop: Any
    settings: dict
    ours: dict


COMMON = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, conv_dim=(16, 24, 16),
    conv_kernel=(10, 3, 2), conv_stride=(5, 2, 2), num_feat_extract_layers=3, num_conv_pos_embedding_groups=4,
)  # fmt: skip
OURS = dict(
    width=32, depth=2, heads=4, mlp_dim=64, conv_channels=(16, 24, 16), conv_kernels=(10, 3, 2),
    conv_strides=(5, 2, 2), position_groups=4,
)  # fmt: skip
WAV2VEC2 = (transformers.Wav2Vec2Model, transformers.Wav2Vec2Config, interop.wav2vec2)
LARGE = dict(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)
KINDS = {
    "base": Kind(*WAV2VEC2, dict(num_conv_pos_embeddings=8), dict(position_kernel=8)),
    "large": Kind(
        *WAV2VEC2, dict(num_conv_pos_embeddings=7, **LARGE),
        dict(position_kernel=7, norm_first=True, conv_norm="layer", conv_bias=True),
    ),
    "hubert": Kind(
        transformers.HubertModel, transformers.HubertConfig, interop.hubert, dict(num_conv_pos_embeddings=8),
        dict(position_kernel=8),
    ),
    "data2vec": Kind(
        transformers.Data2VecAudioModel, transformers.Data2VecAudioConfig, interop.data2vec_audio,
        dict(num_conv_pos_embeddings=3, conv_pos_kernel_size=5),
        dict(position_kernel=5, position_depth=3, conv_norm="layer"),
    ),
}  # fmt: skip


def build(kind, **settings):
    make = functools.partial(WaveformTransformer, **OURS | KINDS[kind].ours | settings)
    return nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))


def pair(kind, **settings):
    ours, of = build(kind, **settings), KINDS[kind]
    theirs = randomize(of.theirs(of.config(**COMMON, **of.settings))).eval()
    of.interop.from_transformers(ours, state_dict(theirs))
    return ours, theirs


def forward(model, waveform, mask=None, lengths=None):
    options = {} if mask is None else {"mask_time_indices": torch.tensor(mask)}
    if lengths is not None:
        options["attention_mask"] = torch.tensor(np.arange(SAMPLES)[None] < lengths[:, None]).long()
    return model(torch.tensor(waveform), output_hidden_states=True, **options)


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_equals_hugging_face(kind, scan, record_property):
    ours, theirs = pair(kind, scan=scan)
    with torch.no_grad():
        their = forward(theirs, WAVEFORM, MASK)
    errors = [relative_error(run(ours, WAVEFORM, FULL, mask=MASK), their.last_hidden_state)]
    errors.append(relative_error(run(Of(ours, "states"), WAVEFORM, FULL, mask=MASK)[0], their.hidden_states[1]))
    record_property("max_relative_error", max(errors))
    assert max(errors) < TOLERANCE


class Of(nnx.Module):
    """Calls a method of a module."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self, *inputs, **options):
        return getattr(self.module, self.name)(*inputs, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_padded_batch_equals_each_of_its_waveforms_alone(kind, record_property):
    """Whatever their statistics over time make of padding, ours are theirs of the utterance by itself."""
    ours, theirs = pair(kind)
    states = run(ours, np.where(np.arange(SAMPLES)[None] < LENGTHS[:, None], WAVEFORM, 5.0), LENGTHS, mask=MASK)
    errors = []
    for row, (length, frames) in enumerate(zip(LENGTHS, REAL.sum(1))):
        with torch.no_grad():
            alone = forward(theirs, WAVEFORM[row : row + 1, :length], MASK[row : row + 1, :frames])
        errors.append(relative_error(states[row, :frames], alone.last_hidden_state[0]))
    record_property("max_relative_error", max(errors))
    assert max(errors) < TOLERANCE


def test_a_padded_batch_equals_theirs_where_nothing_is_normalised_over_time(record_property):
    ours, theirs = pair("large")
    with torch.no_grad():
        their = forward(theirs, WAVEFORM, MASK, LENGTHS).last_hidden_state.numpy()
    states = run(ours, WAVEFORM, LENGTHS, mask=MASK)
    error = relative_error(np.where(REAL[:, :, None], states, 0), np.where(REAL[:, :, None], their, 0))
    record_property("max_relative_error", error)
    assert error < TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_hugging_face(kind, record_property):
    ours, theirs = pair(kind)
    graph, state = nnx.split(ours)
    total = lambda state: (nnx.merge(graph, state)(WAVEFORM, FULL, mask=MASK)[:, :, :5] ** 2).mean()
    nnx.update(ours, jax.jit(jax.grad(total))(state))
    (forward(theirs, WAVEFORM, MASK).last_hidden_state[:, :, :5] ** 2).mean().backward()
    found = {name.removeprefix("wav2vec2."): g for name, g in KINDS[kind].interop.to_transformers(ours).items()}
    scale = max(float(p.grad.abs().max()) for p in theirs.parameters())
    errors = {
        name: float(np.abs(found[name] - p.grad.numpy()).max() / max(float(p.grad.abs().max()), 1e-4 * scale))
        for name, p in theirs.named_parameters()
    }
    record_property("max_relative_error", max(errors.values()))
    assert max(errors.values()) < 1e-3, errors


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_by_transformers(kind, tmp_path):
    ours, theirs = pair(kind)
    weights = KINDS[kind].interop.to_transformers(ours)
    interop.write(tmp_path / "model.safetensors", weights)
    theirs.config.save_pretrained(tmp_path)
    loaded, report = KINDS[kind].theirs.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, array in state_dict(theirs).items():
        np.testing.assert_array_equal(state_dict(loaded)[name], array, err_msg=name)


def test_published_names_and_classifiers_are_known():
    ours, theirs = pair("base")
    weights = state_dict(theirs)
    of_weight = "encoder.pos_conv_embed.conv.parametrizations.weight.original"
    weights["encoder.pos_conv_embed.conv.weight_g"] = weights.pop(f"{of_weight}0")
    weights["encoder.pos_conv_embed.conv.weight_v"] = weights.pop(f"{of_weight}1")
    for of, prefix in ((interop.wav2vec2, "wav2vec2."), (interop.hubert, "hubert.")):
        encoder = build("base")
        published = {prefix + name: array for name, array in weights.items()} | {"lm_head.bias": np.zeros(3)}
        of.from_transformers(encoder, published)
        np.testing.assert_array_equal(encoder.positions.kernel[...], ours.positions.kernel[...])


class Pretraining(nnx.Module):
    """Encoder, quantizer and both projections, called as Wav2Vec2ForPreTraining is."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.encoder = WaveformTransformer(**OURS, position_kernel=8, rngs=rngs)
        self.heads = nnx.Dict(
            quantizer=GumbelQuantizer(16, groups=2, codes=6, width=8, rngs=rngs),
            project_context=nnx.Linear(32, 12, rngs=rngs),
            project_quantized=nnx.Linear(8, 12, rngs=rngs),
        )

    def __call__(self, waveform, length, mask):
        features = self.encoder.feature_norm(self.encoder.convolve(waveform, length))
        context = self.encoder.encode(features, self.encoder.frames(length), mask=mask)
        quantized = self.heads.quantizer(features)
        return self.heads.project_context(context), self.heads.project_quantized(quantized.vectors), quantized


def test_quantizer_and_projections_equal_hugging_face(record_property):
    config = transformers.Wav2Vec2Config(
        **COMMON, num_conv_pos_embeddings=8, num_codevectors_per_group=6, num_codevector_groups=2, codevector_dim=8,
        proj_codevector_dim=12,
    )  # fmt: skip
    theirs, ours = randomize(transformers.Wav2Vec2ForPreTraining(config)).eval(), nnx.eval_shape(Pretraining)
    interop.wav2vec2.from_transformers(ours.encoder, state_dict(theirs), **ours.heads)
    with torch.no_grad():
        their = theirs(torch.tensor(WAVEFORM), mask_time_indices=torch.tensor(MASK))
    context, quantized, all_of_it = run(ours, WAVEFORM, FULL, MASK)
    errors = [relative_error(context, their.projected_states)]
    errors.append(relative_error(quantized, their.projected_quantized_states))
    record_property("max_relative_error", max(errors))
    assert max(errors) < TOLERANCE
    assert all_of_it.codes.min() == 0 and all_of_it.codes.max() == 5
    back = interop.wav2vec2.to_transformers(ours.encoder, **ours.heads)
    assert back.keys() == state_dict(theirs).keys()
    assert all((back[name] == array).all() for name, array in state_dict(theirs).items())


@pytest.mark.parametrize("depth, residual", [(1, False), (3, True)])
def test_gru_is_torchs(depth, residual, record_property):
    """A residual around every GRU but the first, whose input is narrower, as in the authors' code of APC."""
    frames = RNG.normal(size=(3, 20, 7)).astype(np.float32)
    ours = FrameGRU(mels=7, width=10, depth=depth, residual=residual, rngs=nnx.Rngs(0))
    theirs = [randomize(torch.nn.GRU(10 if number else 7, 10, batch_first=True), number) for number in range(depth)]
    for mine, their in zip(ours.layers, theirs, strict=True):
        pairs = dict(
            kernel="weight_ih_l0", recurrent_kernel="weight_hh_l0", bias="bias_ih_l0", recurrent_bias="bias_hh_l0"
        )
        for name, other in pairs.items():
            getattr(mine, name)[...] = getattr(their, other).detach().numpy().T
    x, states = torch.tensor(frames, requires_grad=True), []
    for number, layer in enumerate(theirs):
        y = layer(states[-1] if number else x)[0]
        states.append(y + states[-1] if residual and number else y)
    (states[-1] ** 2).mean().backward()
    graph, state = nnx.split(ours)
    lengths = np.full(3, 20)
    total = lambda state, frames: (nnx.merge(graph, state)(frames, lengths) ** 2).mean()
    gradients, into = jax.jit(jax.grad(total, (0, 1)))(state, frames)
    errors = [relative_error(run(Of(ours, "states"), frames, lengths)[n], states[n]) for n in range(depth)]
    errors.append(relative_error(into, x.grad))
    nnx.update(ours, gradients)
    for mine, their in zip(ours.layers, theirs):
        errors.append(relative_error(mine.recurrent_kernel[...].T, their.weight_hh_l0.grad))
        errors.append(relative_error(mine.bias[...], their.bias_ih_l0.grad))
    record_property("max_relative_error", max(errors))
    assert max(errors) < TOLERANCE
