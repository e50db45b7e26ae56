"""CLIP and SigLIP against Hugging Face's models: towers, logits, loss and all gradients, on the same weights."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.errors import UserError  # noqa: E402
from ssl_jax.methods import METHODS  # noqa: E402
from ssl_jax.models import ViT  # noqa: E402

RNG = np.random.default_rng(0)
BATCH, LENGTH, WORDS, PAD, SEP = 5, 7, 30, 0, 3
IMAGES = RNG.normal(size=(BATCH, 16, 16, 3)).astype(np.float32)
TOKENS = RNG.integers(5, WORDS, (BATCH, LENGTH))
for row, end in enumerate((6, 4, 2, 6, 3)):
    TOKENS[row, end], TOKENS[row, end + 1 :] = SEP, PAD
SPEC = types.SimpleNamespace(
    shapes={"image": (16, 16, 3), "tokens": (2, LENGTH)}, vocab_size=WORDS, pad_id=PAD, sep_id=SEP
)
VISION = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48)
VISION |= dict(image_size=16, patch_size=4)
TEXT = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=WORDS)
TEXT |= dict(max_position_embeddings=LENGTH, pad_token_id=PAD, bos_token_id=2, eos_token_id=SEP)
FORMS = {
    "clip": dict(pooling="cls", pre_norm=True, gelu="quick", epsilon=1e-5),
    "siglip": dict(pooling="mean", gelu="tanh"),
}


def ours(name, method=(), **model):
    """A method on a tiny ViT in its paper's form."""
    sizes = dict(width=24, depth=2, heads=3, mlp_dim=48, patch_size=4, image_size=16, positions="learned")
    widths = dict(text_width=16, text_depth=2, text_heads=2) | (dict(joint_width=12) if name == "clip" else {})

    @nnx.jit
    def make():
        backbone = ViT(**sizes | FORMS[name] | model, rngs=nnx.Rngs(0))
        view = types.SimpleNamespace(spec=SPEC)
        return METHODS[name](backbone, view, **widths | dict(method), rngs=nnx.Rngs(1))

    return make()


def theirs(name):
    """Their model with random weights, at a temperature at which the loss is neither 0 nor that of chance."""
    if name == "clip":
        config = transformers.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)
        model = transformers.CLIPModel(config)
    else:
        config = transformers.SiglipConfig(text_config=TEXT | dict(projection_size=24), vision_config=VISION)
        model = transformers.SiglipModel(config)
    randomize(model)
    with torch.no_grad():
        model.logit_scale.fill_(1.5)
        if name == "siglip":
            model.logit_bias.fill_(-1.0)
    return model.eval()


def run_theirs(model, name):
    inputs = dict(input_ids=torch.tensor(TOKENS), pixel_values=torch.tensor(IMAGES.transpose(0, 3, 1, 2)))
    if name == "clip":
        inputs["attention_mask"] = torch.tensor((TOKENS != PAD).astype(np.int64))
    return model(**inputs, return_loss=True)


def table(name):
    return getattr(interop, name)


def towers(method):
    """Both in the common space, of unit length, and their logits."""
    name = type(method).__name__

    @jax.jit
    def run(state):
        own = nnx.merge(graph, state)
        images = own.look(IMAGES) if name == "SigLIP" else own.image_map(own.backbone(IMAGES))
        texts = own.project_texts(jnp.asarray(TOKENS, jnp.int32))
        images, texts = (z / jnp.linalg.norm(z, axis=1, keepdims=True) for z in (images, texts))
        bias = own.bias[...] if name == "SigLIP" else 0.0
        return images, texts, images @ texts.T * jnp.exp(own.log_scale[...]) + bias

    graph, state = nnx.split(method)
    return run(state)


@pytest.mark.parametrize("name", FORMS)
def test_towers_and_logits_equal_hugging_face(name, record_property):
    method, model = ours(name), theirs(name)
    table(name).from_transformers(method, state_dict(model))
    expected = run_theirs(model, name)
    pairs = zip(towers(method), (expected.image_embeds, expected.text_embeds, expected.logits_per_image), strict=True)
    error = max(relative_error(found, wanted) for found, wanted in pairs)
    record_property("max_relative_error", error)
    assert error < 1e-5


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("method", "model"), [({}, {}), ({"block_size": 2}, {"scan": True, "accumulate": 5})], ids=["plain", "blocks"]
)
def test_loss_and_gradients_equal_hugging_face(name, method, model, record_property):
    own, peer = ours(name, method, **model), theirs(name)
    table(name).from_transformers(own, state_dict(peer))
    expected = run_theirs(peer, name).loss
    expected.backward()
    graph, params, rest = nnx.split(own, nnx.Param, ...)
    views = {"image": IMAGES, "tokens": jnp.asarray(TOKENS, jnp.int32)}
    loss_of = lambda params: nnx.merge(graph, params, rest, copy=True).loss(views, jax.random.key(0))[0]
    loss, gradients = jax.jit(jax.value_and_grad(loss_of))(params)
    nnx.update(own, gradients)
    if name == "clip":  # theirs has no such bias, and ours would be written into the positions
        own.backbone.patch_embedding.bias[...] *= 0
    found = table(name).to_transformers(own)
    exact = {key: weight.grad.numpy() for key, weight in peer.named_parameters()}
    assert found.keys() == exact.keys()
    # A key's bias shifts all scores of a query alike: its gradient is 0 but for rounding of the size of its matrix's.
    sizes = {key: np.abs(exact[key.replace("k_proj.bias", "k_proj.weight")]).max() for key in exact}
    errors = {key: np.abs(found[key] - gradient).max() / sizes[key] for key, gradient in exact.items()}
    value_error = abs(float(loss) / expected.item() - 1)
    record_property("max_relative_error", float(max(value_error, *errors.values())))
    assert value_error < 1e-5 and max(errors.values()) < 1e-4, max(errors, key=errors.get)


@pytest.mark.parametrize("name", FORMS)
def test_what_is_written_is_read_by_hugging_face(name, tmp_path):
    method, model = ours(name), theirs(name)
    method.backbone.patch_embedding.bias[...] += jnp.arange(24) / 24
    interop.write(tmp_path / "model.safetensors", table(name).to_transformers(method))
    model.config.save_pretrained(tmp_path)
    read, found = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    expected = run_theirs(read.eval(), name)
    for mine, wanted in zip(towers(method), (expected.image_embeds, expected.text_embeds, expected.logits_per_image)):
        assert relative_error(mine, wanted) < 1e-5


def test_another_form_is_refused():
    with pytest.raises(UserError, match="set config.model.pooling to 'cls'.*config.model.pre_norm to True"):
        interop.clip.to_transformers(ours("clip", pre_norm=False))
    with pytest.raises(UserError, match="config.model.positions to 'learned' and leave out pre_norm"):
        interop.siglip.to_transformers(ours("siglip", pre_norm=True))


def test_weights_of_another_size_do_not_fit():
    weights = state_dict(theirs("siglip"))
    joined = "vision_model.head.attention.in_proj_weight"
    for shape, found in ((72, 12), r"\(24, 12\)"), ((70, 24), r"\(23, 24\)"):
        message = rf"misshapen: .*{joined} of (queries|keys|values) {found} instead of \(24, 24\)"
        with pytest.raises(UserError, match=message):
            interop.siglip.from_transformers(ours("siglip"), weights | {joined: np.zeros(shape, np.float32)})
