"""BEiT's form of a ViT (relative positions, layer scale, masked patches) against Hugging Face's."""

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
from ssl_jax.models import ViT  # noqa: E402

RNG = np.random.default_rng(0)
IMAGES, HIDDEN = RNG.normal(size=(3, 16, 16, 3)).astype(np.float32), RNG.uniform(size=(3, 16)) < 0.4
SIZES = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=16)
SIZES |= dict(patch_size=4, layer_norm_eps=1e-6, use_mask_token=True, use_shared_relative_position_bias=True)
SIZES |= dict(use_mean_pooling=False, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
KINDS = {"BeitModel": "BeitConfig", "Data2VecVisionModel": "Data2VecVisionConfig"}


class Model(nnx.Module):
    """Encoder and mask token."""

    def __init__(self, **settings):
        sizes = dict(width=24, depth=2, heads=3, mlp_dim=48, patch_size=4, image_size=16, layer_scale=0.1)
        self.encoder = ViT(**sizes, positions="relative", **settings, rngs=nnx.Rngs(0))
        self.mask_token = nnx.Param(jnp.zeros(24))

    def __call__(self, train=False):
        embedded = self.encoder.embed_patches(IMAGES, hidden=jnp.asarray(HIDDEN), mask_token=self.mask_token[...])
        return self.encoder.encode(embedded, train=train)


def peer(kind):
    model = getattr(transformers, kind)(getattr(transformers, KINDS[kind])(**SIZES))
    return randomize(model).eval()


def forward(model):
    pixels, hidden = torch.tensor(IMAGES.transpose(0, 3, 1, 2)), torch.tensor(HIDDEN)
    return model(pixel_values=pixels, bool_masked_pos=hidden).last_hidden_state


def filled(kind, **settings):
    """Our model with the weights of theirs, and theirs."""
    ours, theirs = nnx.jit(lambda: Model(**settings))(), peer(kind)
    interop.beit.from_transformers(ours.encoder, state_dict(theirs), mask_token=ours.mask_token)
    return ours, theirs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"scan": True}, {"accumulate": 3}])
def test_states_equal_hugging_face(kind, settings, record_property):
    ours, theirs = filled(kind, **settings)
    error = relative_error(run(ours), forward(theirs))
    record_property("max_relative_error", error)
    assert error < 1e-5


@pytest.mark.parametrize("settings", [{}, {"accumulate": 3, "scan": True}])
def test_gradients_equal_hugging_face(settings, record_property):
    ours, theirs = filled("BeitModel", **settings)
    graph, state = nnx.split(ours)
    nnx.update(ours, jax.jit(jax.grad(lambda state: (nnx.merge(graph, state)() ** 3).mean()))(state))
    (forward(theirs) ** 3).mean().backward()
    found = interop.beit.to_transformers(ours.encoder, mask_token=ours.mask_token)
    other = nnx.jit(Model)()
    gradients = {name: weight.grad.numpy() for name, weight in theirs.named_parameters() if weight.grad is not None}
    interop.beit.from_transformers(other.encoder, gradients, mask_token=other.mask_token)
    expected = interop.beit.to_transformers(other.encoder, mask_token=other.mask_token)
    errors = {n: np.abs(found[n] - a).max() / max(np.abs(a).max(), 1e-4) for n, a in expected.items()}
    record_property("max_relative_error", float(max(errors.values())))
    assert max(errors.values()) < 1e-4, errors


def test_what_is_written_is_read_by_hugging_face(tmp_path):
    ours = nnx.jit(Model)()
    ours.encoder.relative[...] = jax.random.normal(jax.random.key(0), ours.encoder.relative.shape)
    interop.write(
        tmp_path / "model.safetensors", interop.beit.to_transformers(ours.encoder, mask_token=ours.mask_token)
    )
    transformers.BeitConfig(**SIZES).save_pretrained(tmp_path)
    model, found = transformers.BeitModel.from_pretrained(tmp_path, output_loading_info=True, add_pooling_layer=False)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    assert relative_error(run(ours), forward(model.eval())) < 1e-5


def test_another_form_is_refused():
    vit = nnx.eval_shape(
        lambda: ViT(width=24, depth=2, heads=3, mlp_dim=48, patch_size=4, image_size=16, rngs=nnx.Rngs(0))
    )
    with pytest.raises(UserError, match="set config.model.positions to 'relative'"):
        interop.beit.to_transformers(vit)


def test_a_table_for_each_block_does_not_fit():
    weights = state_dict(peer("BeitModel"))
    table = next(name for name in weights if "relative_position_bias_table" in name)
    weights["layers.0.attention.relative_position_bias.relative_position_bias_table"] = weights.pop(table)
    ours = nnx.jit(Model)()
    with pytest.raises(UserError, match="missing: encoder.relative_position_bias.relative_position_bias_table"):
        interop.beit.from_transformers(ours.encoder, weights, mask_token=ours.mask_token)
