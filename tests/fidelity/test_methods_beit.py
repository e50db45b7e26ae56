"""BEiT, and the networks of the discrete VAE that gives its tokens, against transformers and openai/DALL-E."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import interop
from ssl_jax.errors import UserError
from ssl_jax.methods import BEiT
from ssl_jax.models import PixelDecoder, VisualTokenizer, ViT
from ssl_jax.models.hiding import hidden_states

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import (  # noqa: E402
    by_path,
    channels_first,
    check_step,
    descent,
    go_down,
    gradients_of,
    randomize,
    relative_error,
    state_dict,
)
from small_vit import OURS as SMALL  # noqa: E402
from small_vit import PATCHES, RATE, ROWS, SIDE, STEPS, View  # noqa: E402
from small_vit import THEIRS as THEIR_SMALL  # noqa: E402

TOKENS, HIDDEN = 50, 6
OURS = SMALL | dict(positions="relative", layer_scale=0.1)
THEIRS = THEIR_SMALL | dict(vocab_size=TOKENS, use_mask_token=True, use_mean_pooling=True)
THEIRS |= dict(use_shared_relative_position_bias=True, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


@pytest.fixture
def method(tmp_path):
    """Ours; its tokenizer has no weights, since tokens are given."""
    network = dict(name="visual_tokenizer", vocab_size=TOKENS, width=4, blocks=1, factor=4)
    (tmp_path / "config.json").write_text(json.dumps({"method": {"name": "dvae"}, "model": network}))
    make = lambda: BEiT(ViT(**OURS, rngs=nnx.Rngs(0)), View, tokenizer=str(tmp_path), rngs=nnx.Rngs(1))
    return nnx.jit(make)()


def parts(method):
    return dict(mask_token=method.mask_token, prediction=method.prediction)


def peer(seed=0, **settings):
    return randomize(transformers.BeitForMaskedImageModeling(transformers.BeitConfig(**THEIRS | settings)), seed).eval()


def views_of(step):
    rng = np.random.default_rng(step)
    places = np.sort(np.argsort(rng.uniform(size=(ROWS, PATCHES)), 1)[:, :HIDDEN], 1).astype(np.int32)
    hidden = np.zeros((ROWS, PATCHES), bool)
    np.put_along_axis(hidden, places, True, 1)
    images = rng.normal(size=(ROWS, SIDE, SIDE, 3)).astype(np.float32)
    tokens = rng.integers(TOKENS, size=(ROWS, HIDDEN)).astype(np.int32)
    return jax.tree.map(jnp.asarray, dict(image=images, hidden=hidden, places=places, tokens=tokens))


def forward(model, views):
    images, hidden = channels_first(views["image"]), torch.tensor(np.asarray(views["hidden"]))
    labels = torch.tensor(np.asarray(views["tokens"]), dtype=torch.int64).reshape(-1)
    return model(images, bool_masked_pos=hidden, labels=labels)


@nnx.jit
def logits_of(method, views):
    states = hidden_states(method.backbone, views, method.mask_token[...], train=False, key=jax.random.key(0))
    return method.prediction(states)


def test_beit_is_transformers_masked_image_modeling(method):
    model = peer()
    interop.beit.from_transformers(method.backbone, state_dict(model), **parts(method))
    descend = descent(method, RATE)
    for step in range(STEPS):
        views = views_of(step)
        out = forward(model, views)
        out.loss.backward()
        theirs = out.logits[torch.tensor(np.asarray(views["hidden"]))].reshape(ROWS, HIDDEN, TOKENS)
        assert relative_error(logits_of(method, views), theirs) < 1e-5
        loss, ours = descend(views)
        carry = lambda copy: interop.beit.from_transformers(copy.backbone, gradients_of(model), **parts(copy))  # noqa: B023
        check_step(loss, out.loss, by_path(ours, carry))
        go_down(model.parameters(), RATE)


def test_what_is_written_is_read_by_hugging_face(method, tmp_path):
    method.backbone.relative[...] = jax.random.normal(jax.random.key(0), method.backbone.relative.shape)
    named = interop.beit.to_transformers(method.backbone, **parts(method))
    interop.write(tmp_path / "model.safetensors", named)
    transformers.BeitConfig(**THEIRS).save_pretrained(tmp_path)
    load = transformers.BeitForMaskedImageModeling.from_pretrained
    model, found = load(tmp_path, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    views = views_of(0)
    theirs = forward(model.eval(), views).logits[torch.tensor(np.asarray(views["hidden"]))]
    assert relative_error(logits_of(method, views), theirs.reshape(ROWS, HIDDEN, TOKENS)) < 1e-5


def test_two_last_normalisations_are_refused(method):
    with pytest.raises(UserError, match="two last layer normalisations.*use_mean_pooling True"):
        interop.beit.from_transformers(method.backbone, state_dict(peer(use_mean_pooling=False)), **parts(method))


def test_a_network_alone_is_read_from_a_file_with_its_head(method):
    model, before = peer(), np.asarray(method.prediction.kernel[...])
    interop.beit.from_transformers(method.backbone, state_dict(model))
    np.testing.assert_array_equal(method.backbone.norm.scale[...], model.layernorm.weight.detach().numpy())
    np.testing.assert_array_equal(method.prediction.kernel[...], before)


def convolutions(network, first):
    """Ours in the order of theirs: in a block that changes the width, the shortcut before the others."""
    yield first
    for group in network.groups:
        for block in group:
            yield from [*([] if block.shortcut is None else [block.shortcut]), *block.convs]
    yield network.output


def cubes(network, call):
    """What `call` makes of a network, and the gradients of its mean cube, as a network."""
    graph, state = nnx.split(network)

    def mean(state):
        found = call(nnx.merge(graph, state))
        return (found**3).mean(), found

    gradients, found = jax.jit(jax.grad(mean, has_aux=True))(state)
    return found, nnx.merge(graph, gradients)


def test_the_tokenizer_is_flavas_codebook():
    """transformers' copy of the encoder of openai/DALL-E: logits, gradients of all weights, and the tokens."""
    sizes = dict(hidden_size=8, vocab_size=30, num_blocks_per_group=2, freeze=False)
    model = randomize(transformers.FlavaImageCodebook(transformers.FlavaImageCodebookConfig(**sizes))).eval()
    theirs = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    ours = nnx.jit(lambda: VisualTokenizer(vocab_size=30, width=8, rngs=nnx.Rngs(0)))()
    for mine, their in zip(convolutions(ours, ours.stem), theirs, strict=True):
        mine.kernel[...] = their.weight.detach().numpy().transpose(2, 3, 1, 0)
        mine.bias[...] = their.bias.detach().numpy()
    images = np.random.default_rng(0).uniform(0.1, 0.9, size=(3, 32, 32, 3)).astype(np.float32)
    logits = model(channels_first(images))
    (logits**3).mean().backward()
    found, gradients = cubes(ours, lambda network: network.logits(images))
    of_logits = relative_error(found, logits.permute(0, 2, 3, 1))
    errors = []
    for mine, their in zip(convolutions(gradients, gradients.stem), theirs, strict=True):
        errors += [relative_error(mine.kernel[...], their.weight.grad.permute(2, 3, 1, 0))]
        errors += [relative_error(mine.bias[...], their.bias.grad)]
    print(f"logits {of_logits:.1e} gradients {max(errors):.1e}")
    assert of_logits < 1e-5 and max(errors) < 1e-4
    tokens = model.get_codebook_indices(channels_first(images)).flatten(1)
    np.testing.assert_array_equal(nnx.jit(lambda m: m.tokens(images))(ours), tokens)


def decoded(shares, weights, widths, blocks):
    """The decoder of openai/DALL-E (`dall_e/decoder.py`), restated: `weights` are (kernel, bias), in its order."""
    weights, relu = iter(weights), torch.nn.functional.relu

    def conv(x):
        kernel, bias = next(weights)
        return torch.nn.functional.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)

    x = conv(shares)
    for number, width in enumerate(widths):
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest") if number else x
        for _ in range(blocks):
            short, y = x if x.shape[1] == width else conv(x), x
            for _ in range(4):
                y = conv(relu(y))
            x = short + y / (len(widths) * blocks) ** 2
    return conv(relu(x))


def test_the_decoder_is_dall_es():
    sizes = dict(vocab_size=30, width=8, blocks=2, factor=8, channels=3, code_width=12, dtype="float32")
    ours = nnx.jit(lambda: PixelDecoder(**sizes, rngs=nnx.Rngs(0)))()
    own = list(convolutions(ours, ours.codes))
    rng = np.random.default_rng(0)
    for conv in own:
        conv.bias[...] = rng.normal(size=conv.bias.shape)
    tensor = lambda array: torch.tensor(np.array(array)).requires_grad_()
    weights = [(tensor(conv.kernel[...].transpose(3, 2, 0, 1)), tensor(conv.bias[...])) for conv in own]
    assert [kernel.shape[-1] for kernel, _ in weights] == [1, *[1, 1, 3, 3, 3, 1, 3, 3, 3] * 4, 1]
    shares = rng.dirichlet(np.full(30, 0.1), size=(2, 3, 3)).astype(np.float32)
    theirs = decoded(channels_first(shares), weights, (64, 32, 16, 8), 2)
    (theirs**3).mean().backward()
    found, gradients = cubes(ours, lambda network: network(shares))
    of_output = relative_error(found, theirs.permute(0, 2, 3, 1))
    errors = []
    for mine, (kernel, bias) in zip(convolutions(gradients, gradients.codes), weights, strict=True):
        errors += [relative_error(mine.kernel[...], kernel.grad.permute(2, 3, 1, 0))]
        errors += [relative_error(mine.bias[...], bias.grad)]
    print(f"output {of_output:.1e} gradients {max(errors):.1e}")
    assert of_output < 1e-5 and max(errors) < 1e-4
