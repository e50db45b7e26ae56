"""MAE's encoder and decoder, and the loss, against Hugging Face's ViTMAEForPreTraining."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop, losses  # noqa: E402
from ssl_jax.models import MAEDecoder, ViT  # noqa: E402

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 16, 16, 3)).astype(np.float32)
NOISE = RNG.uniform(size=(3, 16)).astype(np.float32)


class Model(nnx.Module):
    """Encoder, decoder and loss, with the order of patches given by noise as in the paper's code."""

    def __init__(self, scan):
        rngs = nnx.Rngs(0)
        self.encoder = ViT(width=48, depth=3, heads=4, mlp_dim=96, patch_size=4, image_size=16, scan=scan, rngs=rngs)
        self.decoder = MAEDecoder(
            48, grid=self.encoder.grid, patch_dim=48, width=32, depth=2, heads=4, mlp_dim=64, scan=scan, rngs=rngs
        )

    def __call__(self, train=False):
        order = np.argsort(NOISE, axis=1)
        restore, mask = np.argsort(order, axis=1), np.argsort(order, axis=1) >= 4
        tokens = self.encoder.embed_patches(IMAGES)
        visible = jnp.take_along_axis(tokens, jnp.asarray(order[:, :4, None]), axis=1)
        predictions = self.decoder(self.encoder.encode(visible, train=train), jnp.asarray(restore))
        targets = self.encoder.patchify(jnp.asarray(IMAGES))
        return predictions, losses.masked_patches(predictions, targets, jnp.asarray(mask, jnp.float32))


def build(scan):
    return nnx.eval_shape(lambda: Model(scan))


def peer():
    config = transformers.ViTMAEConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, image_size=16, patch_size=4,
        decoder_hidden_size=32, decoder_num_hidden_layers=2, decoder_num_attention_heads=4,
        decoder_intermediate_size=64, layer_norm_eps=1e-6, norm_pix_loss=True, mask_ratio=0.75,
    )  # fmt: skip
    model = transformers.ViTMAEForPreTraining(config)
    # transformers 5.23 leaves the positions of a new model at 0: it takes the projection's weights for loaded ones.
    model.vit.embeddings.patch_embeddings.projection._is_hf_initialized = False
    model.vit.embeddings.initialize_weights()
    model.decoder.initialize_weights(16)
    return randomize(model)


def forward(model):
    output = model(pixel_values=torch.tensor(IMAGES.transpose(0, 3, 1, 2)), noise=torch.tensor(NOISE))
    return output.logits, output.loss


def weights_of(model, published, folder):
    if not published:
        return state_dict(model)
    model.save_pretrained(folder)
    return interop.read(folder / "model.safetensors")


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("scan, published", [(False, False), (True, True)])
def test_forward_and_loss_equal_hugging_face(train, scan, published, tmp_path, record_property):
    ours, theirs = build(scan), peer()
    interop.mae.from_transformers(ours.encoder, ours.decoder, weights_of(theirs, published, tmp_path))
    errors = [relative_error(a, b) for a, b in zip(run(ours, train=train), forward(theirs.train(train)), strict=True)]
    record_property("max_relative_error", float(max(errors)))
    assert max(errors) < 1e-5


def test_gradient_of_the_loss_equals_hugging_face(record_property):
    ours, theirs = build(True), peer()
    interop.mae.from_transformers(ours.encoder, ours.decoder, state_dict(theirs))
    graph, state = nnx.split(ours)
    nnx.update(ours, jax.jit(jax.grad(lambda state: nnx.merge(graph, state)()[1]))(state))
    forward(theirs)[1].backward()
    # Both sides under the published names: theirs by way of a model of ours that holds their gradients.
    found, expected = interop.mae.to_transformers(ours.encoder, ours.decoder), build(False)
    gradients = {n: p.grad.numpy() for n, p in theirs.named_parameters() if p.grad is not None}
    interop.mae.from_transformers(expected.encoder, expected.decoder, gradients)
    expected = interop.mae.to_transformers(expected.encoder, expected.decoder)
    scale = max(np.abs(array).max() for name, array in expected.items() if "position" not in name)
    errors = {n: np.abs(found[n] - a).max() / max(np.abs(a).max(), 1e-4 * scale) for n, a in expected.items()}
    record_property("max_relative_error", float(max(errors.values())))
    assert max(errors.values()) < 1e-3, errors


def test_published_names_are_read_back():
    ours, other = nnx.jit(lambda: Model(True))(), build(False)
    weights = interop.mae.to_transformers(ours.encoder, ours.decoder)
    assert "decoder.decoder_layers.1.attention.attention.query.weight" in weights
    interop.mae.from_transformers(other.encoder, other.decoder, weights)
    np.testing.assert_allclose(run(ours)[0], run(other)[0], atol=1e-5)
