"""data2vec of text against Hugging Face's Data2VecTextModel as student and teacher: targets, loss and gradient."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.methods import METHODS  # noqa: E402
from ssl_jax.models import TextTransformer  # noqa: E402
from ssl_jax.models.targets import TargetWeight  # noqa: E402
from tests import small_text  # noqa: E402

TOP, BETA = 2, 4.0
LENGTH = small_text.LENGTH
CONFIG = dict(
    vocab_size=small_text.VOCABULARY, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
    max_position_embeddings=LENGTH + 1, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=small_text.PAD,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


def models():
    """Their student and teacher, and ours with the same weights."""
    student, teacher = (
        randomize(transformers.Data2VecTextModel(transformers.Data2VecTextConfig(**CONFIG)), seed) for seed in (0, 1)
    )
    sizes = dict(vocab_size=small_text.VOCABULARY, max_length=LENGTH, width=24, depth=3, heads=4, mlp_dim=48)
    encoder = lambda: TextTransformer(**sizes, segments=1, epsilon=1e-5, dropout=0.0, rngs=nnx.Rngs(0))
    slow, backbone = encoder(), encoder()
    interop.data2vec_text.from_transformers(slow, state_dict(teacher), pad_id=small_text.PAD)
    interop.data2vec_text.from_transformers(backbone, state_dict(student), pad_id=small_text.PAD)
    method = METHODS["data2vec_text"](backbone, small_text.view("token_spans"), top=TOP, beta=BETA, rngs=nnx.Rngs(3))
    weights = jax.tree.leaves(nnx.state(slow.stack, nnx.Param))
    old = nnx.state(method.teacher, TargetWeight)
    nnx.update(method.teacher, jax.tree.unflatten(jax.tree.structure(old), weights))
    # The teacher has the student's embeddings (ema_transformer_layers_only).
    teacher.embeddings.load_state_dict(student.embeddings.state_dict())
    return method, student, teacher


def their_targets(teacher, tokens, attend):
    """Mean of the last MLPs' outputs, each normalised over its features."""
    found = []
    hooks = [
        layer.output.dense.register_forward_hook(lambda module, inputs, output: found.append(output))
        for layer in teacher.encoder.layer
    ]
    with torch.no_grad():
        teacher(input_ids=tokens, attention_mask=attend)
    for hook in hooks:
        hook.remove()
    return sum(torch.nn.functional.layer_norm(y, y.shape[-1:]) for y in found[-TOP:]) / TOP


def test_targets_loss_and_gradient(record_property):
    method, student, teacher = models()
    views = method.views(small_text.batch(), jax.random.key(5))
    original, tokens = (torch.tensor(np.asarray(views[name], np.int64)) for name in ("original", "tokens"))
    attend = (original != small_text.PAD).long()
    targets = their_targets(teacher, original, attend)
    real = attend.bool().numpy()
    target_error = relative_error(np.asarray(method.targets(views))[real], targets.numpy()[real])

    graphdef, params, rest = nnx.split(method, nnx.Param, ...)
    loss = lambda params: nnx.merge(graphdef, params, rest).loss(views, jax.random.key(0))[0]
    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    head = torch.nn.Sequential(torch.nn.Linear(24, 48), torch.nn.GELU(), torch.nn.Linear(48, 24))
    for ours, theirs in ((method.hidden, head[0]), (method.prediction, head[2])):
        theirs.weight.data = torch.tensor(np.array(ours.kernel[...]).T)
        theirs.bias.data = torch.tensor(np.array(ours.bias[...]))
    states = student(input_ids=tokens, attention_mask=attend).last_hidden_state
    hidden = tokens == small_text.MASK
    expected = torch.nn.functional.smooth_l1_loss(head(states[hidden]), targets[hidden], beta=BETA)
    expected.backward()
    value_error = abs(float(value) / expected.item() - 1)

    nnx.update(method, gradient)
    found = interop.data2vec_text.to_transformers(method.backbone, pad_id=small_text.PAD)
    parameters = {f"data2vec_text.{name}": p for name, p in student.named_parameters() if p.grad is not None}
    scale = max(float(p.grad.abs().max()) for p in parameters.values())
    errors = {
        name: float(np.abs(found[name] - p.grad.numpy()).max() / max(float(p.grad.abs().max()), 1e-4 * scale))
        for name, p in parameters.items()
        if "pooler" not in name
    }
    record_property("target_error", target_error)
    record_property("value_error", value_error)
    record_property("gradient_error", max(errors.values()))
    print(f"targets {target_error:.1e} value {value_error:.1e} gradient {max(errors.values()):.1e}")
    assert target_error < 1e-5 and value_error < 1e-5
    assert max(errors.values()) < 1e-3, errors
