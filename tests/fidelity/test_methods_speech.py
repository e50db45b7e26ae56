"""Methods of speech against Hugging Face's classes for pretraining, on the same weights, masks and draws."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop, methods, models  # noqa: E402

RNG = np.random.default_rng(0)
SAMPLES, FRAMES = 1000, 49
WAVEFORM = RNG.normal(size=(3, SAMPLES)).astype(np.float32)
COMMON = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, conv_dim=(16, 24, 16),
    conv_kernel=(10, 3, 2), conv_stride=(5, 2, 2), num_feat_extract_layers=3, num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=4, hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, layerdrop=0.0,
    feat_proj_dropout=0.0,
)  # fmt: skip
OURS = dict(
    width=32, depth=2, heads=4, mlp_dim=64, conv_channels=(16, 24, 16), conv_kernels=(10, 3, 2),
    conv_strides=(5, 2, 2), position_kernel=8, position_groups=4, dropout=0.0,
)  # fmt: skip
LARGE = dict(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)
OUR_LARGE = dict(norm_first=True, conv_norm="layer", conv_bias=True)


def value_and_gradients(method, views, key):
    """The loss in training, and a module that holds the gradients in place of the parameters."""
    graph, params, rest = nnx.split(method, nnx.Param, ...)
    loss_of = lambda params: nnx.merge(graph, params, rest, copy=True).loss(views, key)[0]
    loss, gradients = jax.jit(jax.value_and_grad(loss_of))(params)
    nnx.update(method, gradients)
    return loss, method


def worst(found, model):
    """Largest difference of any parameter's gradient, over its largest entry."""
    scale = max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
    errors = {}
    for name, p in model.named_parameters():
        theirs = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        errors[name] = float(np.abs(found[name] - theirs).max() / max(np.abs(theirs).max(), 1e-4 * scale))
    return max(errors.values()), errors


@pytest.mark.parametrize("tau", [2.0, 0.5])
@pytest.mark.parametrize("padded", [False, True])
def test_wav2vec2_is_hugging_faces(padded, tau, monkeypatch, record_property):
    """Padded in the large form, whose statistics see no padding there either. Their loss is the sum over the frames."""
    lengths = np.array([1000, 704, 333] if padded else [SAMPLES] * 3)
    config = transformers.Wav2Vec2Config(
        **COMMON, **(LARGE if padded else {}), num_codevectors_per_group=6, num_codevector_groups=2, codevector_dim=8,
        proj_codevector_dim=12, num_negatives=10, diversity_loss_weight=0.1, feat_quantizer_dropout=0.0,
    )  # fmt: skip
    theirs = randomize(transformers.Wav2Vec2ForPreTraining(config)).train()
    backbone = models.WaveformTransformer(**OURS | (OUR_LARGE if padded else {}), rngs=nnx.Rngs(0))
    ours = methods.METHODS["wav2vec2"](
        backbone, None, codes=6, code_width=8, projection_width=12, negatives=10, gumbel_start=tau, gumbel_end=0.1,
        quantizer_dropout=0.0, feature_penalty=0.0, rngs=nnx.Rngs(1),
    )  # fmt: skip
    heads = {name: getattr(ours, name) for name in ("quantizer", "project_context", "project_quantized")}
    interop.wav2vec2.from_transformers(ours.backbone, state_dict(theirs), **heads)
    ours.view = types.SimpleNamespace(train=lambda key, example: example)
    key = jax.random.key(3)
    views = jax.jit(ours.views)({"waveform": WAVEFORM, "length": jnp.asarray(lengths)}, jax.random.key(7))
    mask, negatives = np.asarray(views["mask"]), np.asarray(views["negatives"])
    assert mask.sum() > 30 and (mask * (np.arange(FRAMES) >= np.asarray(backbone.frames(lengths))[:, None])).sum() == 0

    noise = jax.random.gumbel(jax.random.split(key, 3)[1], (3, FRAMES, 2, 6))

    def gumbel_softmax(logits, tau, hard):
        soft = torch.softmax((logits + torch.tensor(np.array(noise)).reshape(logits.shape)) / tau, -1)
        assert hard
        return torch.nn.functional.one_hot(soft.argmax(-1), 6) + (soft - soft.detach())

    monkeypatch.setattr(torch.nn.functional, "gumbel_softmax", gumbel_softmax)
    theirs.set_gumbel_temperature(tau)
    out = theirs(
        torch.tensor(WAVEFORM), mask_time_indices=torch.tensor(mask).long(),
        attention_mask=torch.tensor(np.arange(SAMPLES)[None] < lengths[:, None]).long() if padded else None,
        sampled_negative_indices=torch.tensor(negatives + FRAMES * np.arange(3)[:, None, None]),
    )  # fmt: skip
    their_loss = out.loss / mask.sum()
    their_loss.backward()
    loss, gradients = value_and_gradients(ours, views, key)
    heads = {name: getattr(gradients, name) for name in heads}
    error, errors = worst(interop.wav2vec2.to_transformers(gradients.backbone, **heads), theirs)
    value_error = abs(float(loss) / their_loss.item() - 1)
    record_property("max_relative_error", max(error, value_error))
    assert value_error < 1e-5 and error < 1e-3, errors


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_hubert_is_the_authors_loss_on_hugging_faces_network(alpha, record_property):
    """Hugging Face has no head for pretraining; the head is fairseq's formula, for the large form, with padding."""
    lengths = np.array([1000, 704, 333])
    theirs = randomize(transformers.HubertModel(transformers.HubertConfig(**COMMON, **LARGE))).train()
    backbone = models.WaveformTransformer(**OURS | OUR_LARGE, rngs=nnx.Rngs(0))
    ours = methods.METHODS["hubert"](
        backbone, None, clusters=7, projection_width=12, alpha=alpha, feature_penalty=0.0, rngs=nnx.Rngs(1)
    )
    interop.hubert.from_transformers(ours.backbone, state_dict(theirs))
    mask = RNG.random((3, FRAMES)) < 0.5
    there = np.arange(FRAMES)[None] < np.asarray(backbone.frames(lengths))[:, None]
    labels = RNG.integers(0, 7, (3, FRAMES))
    views = dict(waveform=WAVEFORM, length=lengths, mask=(mask & there).astype(np.float32), labels=labels)

    projection = torch.nn.Linear(32, 12)
    with torch.no_grad():
        projection.weight.copy_(torch.tensor(np.array(ours.projection.kernel[...].T)))
        projection.bias.copy_(torch.tensor(np.array(ours.projection.bias[...])))
    codewords = torch.tensor(np.array(ours.codewords[...]), requires_grad=True)
    attention = torch.tensor(np.arange(SAMPLES)[None] < lengths[:, None]).long()
    states = theirs(torch.tensor(WAVEFORM), attention_mask=attention, mask_time_indices=torch.tensor(mask & there))
    context = projection(states.last_hidden_state)
    logits = torch.cosine_similarity(context[:, :, None], codewords[None, None], dim=-1) / 0.1
    places = [(alpha, mask & there), (1 - alpha, ~mask & there)]
    of = lambda part: torch.nn.functional.cross_entropy(logits[part], torch.tensor(labels[part]), reduction="sum")
    counted = [(weight, part) for weight, part in places if weight > 0]
    their_loss = sum(weight * of(part) for weight, part in counted) / sum(part.sum() for _, part in counted)
    their_loss.backward()
    loss, gradients = value_and_gradients(ours, jax.tree.map(jnp.asarray, views), jax.random.key(0))
    error, errors = worst(interop.hubert.to_transformers(gradients.backbone), theirs)
    heads = [(gradients.codewords[...], codewords.grad), (gradients.projection.kernel[...].T, projection.weight.grad)]
    error = max(error, *(float(np.abs(a - b.numpy()).max() / b.abs().max()) for a, b in heads))
    value_error = abs(float(loss) / their_loss.item() - 1)
    record_property("max_relative_error", max(error, value_error))
    assert value_error < 1e-5 and error < 1e-3, errors


@pytest.mark.parametrize("top", [1, 2])
def test_data2vec_is_fairseqs_on_hugging_faces_network(top, record_property):
    """Student and teacher of different weights, without padding; fairseq sums over features, over their root."""
    settings = dict(COMMON, num_conv_pos_embeddings=3, conv_pos_kernel_size=5)
    student, teacher = (
        randomize(transformers.Data2VecAudioModel(transformers.Data2VecAudioConfig(**settings)), seed)
        for seed in (0, 1)
    )
    shape = dict(OURS, position_depth=3, position_kernel=5, conv_norm="layer")
    backbone = models.WaveformTransformer(**shape, rngs=nnx.Rngs(0))
    other = models.WaveformTransformer(**shape, rngs=nnx.Rngs(0))
    ours = methods.METHODS["data2vec"](backbone, None, top=top, rngs=nnx.Rngs(1))
    interop.data2vec_audio.from_transformers(backbone, state_dict(student))
    interop.data2vec_audio.from_transformers(other, state_dict(teacher))
    models.targets.follow(ours.teacher, other.stack, 0.0)
    models.targets.follow(ours.teacher_norm, other.norm, 0.0)
    mask = RNG.random((3, FRAMES)) < 0.5
    views = dict(waveform=WAVEFORM, length=np.array([SAMPLES] * 3), mask=mask.astype(np.float32))

    prediction = torch.nn.Linear(32, 32)
    with torch.no_grad():
        prediction.weight.copy_(torch.tensor(np.array(ours.prediction.kernel[...].T)))
        prediction.bias.copy_(torch.tensor(np.array(ours.prediction.bias[...])))
    branches = []
    for layer in teacher.encoder.layers:
        layer.feed_forward.register_forward_hook(lambda module, given, output: branches.append(output.detach()))
    for name in ("feature_extractor", "feature_projection"):  # shared, as are the positions
        setattr(teacher, name, getattr(student, name))
    teacher.encoder.pos_conv_embed = student.encoder.pos_conv_embed
    with torch.no_grad():
        teacher.eval()(torch.tensor(WAVEFORM))
    norm = lambda x: torch.nn.functional.instance_norm(x.transpose(1, 2)).transpose(1, 2)
    truths = sum(norm(branch) for branch in branches[-top:]) / top
    states = student.train()(torch.tensor(WAVEFORM), mask_time_indices=torch.tensor(mask)).last_hidden_state
    squares = torch.nn.functional.mse_loss(prediction(states)[mask], truths[mask], reduction="none").sum(-1)
    their_loss = squares.mean() / 32
    their_loss.backward()
    loss, gradients = value_and_gradients(ours, jax.tree.map(jnp.asarray, views), jax.random.key(0))
    error, errors = worst(interop.data2vec_audio.to_transformers(gradients.backbone), student)
    value_error = abs(float(loss) / their_loss.item() - 1)
    record_property("max_relative_error", max(error, value_error))
    assert value_error < 1e-5 and error < 1e-3, errors
