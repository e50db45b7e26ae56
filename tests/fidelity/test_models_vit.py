"""ViT against timm and Hugging Face: the same random weights, the same images."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
transformers = pytest.importorskip("transformers")

import videomae  # noqa: E402
from comparison import randomize, relative_error, run, state_dict  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.models import ViT  # noqa: E402

SMALL = dict(width=48, depth=3, heads=4, mlp_dim=96, patch_size=4, image_size=16)


def build(**settings):
    return nnx.eval_shape(lambda: ViT(**{**SMALL, "positions": "learned", **settings}, rngs=nnx.Rngs(0)))


def theirs(model: ViT, **settings):
    depth, mlp = model.stack.depth, 2.0
    model = timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=48, depth=depth, num_heads=4, mlp_ratio=mlp, num_classes=0, **settings
    )
    return randomize(model)


CASES = {
    "cls": (dict(), dict()),
    "mean": (dict(pooling="mean"), dict(global_pool="avg", class_token=False, fc_norm=False)),
    "layer_scale": (dict(layer_scale=0.1), dict(init_values=0.1)),
    "scan": (dict(scan=True), dict()),
    "scan_remat": (dict(scan=True, remat=True, depth=5), dict()),
    "channels": (dict(channels=1), dict(in_chans=1)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("train", [False, True])
def test_forward_equals_timm(case, train, record_property):
    settings, timm_settings = CASES[case]
    ours = build(**settings)
    peer = theirs(ours, **timm_settings).train(train)
    interop.vit.from_timm(ours, state_dict(peer))
    images = np.random.default_rng(0).normal(size=(3, *ours.image_shape)).astype(np.float32)
    error = relative_error(run(ours, images, train=train), peer(torch.tensor(images.transpose(0, 3, 1, 2))))
    record_property("max_relative_error", float(error))
    assert error < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_gradient_equals_timm(case, record_property):
    settings, timm_settings = CASES[case]
    ours = build(**settings)
    peer = theirs(ours, **timm_settings)
    interop.vit.from_timm(ours, state_dict(peer))
    images = np.random.default_rng(0).normal(size=(3, *ours.image_shape)).astype(np.float32)
    graph, state = nnx.split(ours)
    gradient = jax.jit(jax.grad(lambda state: (nnx.merge(graph, state)(images) ** 3).mean()))(state)
    (peer(torch.tensor(images.transpose(0, 3, 1, 2))) ** 3).mean().backward()
    nnx.update(ours, gradient)
    ours, exact = interop.vit.to_timm(ours), {name: p.grad.numpy() for name, p in peer.named_parameters()}
    errors = {n: np.abs(ours[n] - g).max() / max(np.abs(g).max(), 1e-4) for n, g in exact.items()}
    record_property("max_relative_error", float(max(errors.values())))
    assert max(errors.values()) < 1e-4, max(errors, key=errors.get)


def test_named_size_equals_timm(record_property):
    ours = nnx.eval_shape(lambda: ViT(size="Ti", positions="learned", image_size=32, patch_size=8, rngs=nnx.Rngs(0)))
    peer = randomize(timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, num_classes=0)).eval()
    interop.vit.from_timm(ours, state_dict(peer))
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    error = relative_error(run(ours, images), peer(torch.tensor(images.transpose(0, 3, 1, 2))))
    record_property("max_relative_error", float(error))
    assert error < 1e-5


@pytest.mark.parametrize("scan", [False, True])
def test_round_trip_through_timm(scan):
    ours = build(scan=scan)
    weights = state_dict(theirs(ours))
    interop.vit.from_timm(ours, weights)
    back = interop.vit.to_timm(ours)
    assert set(back) == set(weights)
    assert all((back[name] == weights[name]).all() for name in weights)


def hugging_face():
    config = transformers.ViTConfig(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, image_size=16, patch_size=4,
        layer_norm_eps=1e-6,
    )  # fmt: skip
    return randomize(transformers.ViTModel(config, add_pooling_layer=False)).eval()


@pytest.mark.parametrize("published", [False, True])
def test_forward_equals_hugging_face(published, tmp_path, record_property):
    ours, peer = build(), hugging_face()
    weights = state_dict(peer)
    if published:
        peer.save_pretrained(tmp_path)
        weights = interop.read(tmp_path / "model.safetensors")
    interop.vit.from_transformers(ours, weights)
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)
    tokens = peer(torch.tensor(images.transpose(0, 3, 1, 2))).last_hidden_state
    error = relative_error(nnx.jit(lambda model: model.encode(model.embed_patches(images)))(ours), tokens)
    record_property("max_relative_error", float(error))
    assert error < 1e-5


def test_clips_are_encoded_as_by_videomae(record_property):
    ours = build(depth=2, image_size=12, frames=6, tubelet_size=2, positions="sincos3d", pooling="mean")
    peer = videomae.alike(ours)
    videomae.carry_over(ours, state_dict(peer))
    clips = np.random.default_rng(0).normal(size=(2, 6, 12, 12, 3)).astype(np.float32)
    tokens = peer(videomae.frames_first(clips)).last_hidden_state
    error = relative_error(nnx.jit(lambda model: model.encode(model.embed_patches(clips)))(ours), tokens)
    record_property("max_relative_error", float(error))
    assert error < 1e-5
