"""Losses of what was hidden against those of other projects."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from peers import check_loss, largest_error, random  # noqa: E402


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("image, patch, channels", [(16, 4, 3), (32, 8, 1)])
def test_masked_patches_is_transformers(image, patch, channels, normalize, record_property):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTMAEConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, decoder_hidden_size=8,
        decoder_num_hidden_layers=1, decoder_num_attention_heads=1, decoder_intermediate_size=8,
        image_size=image, patch_size=patch, num_channels=channels, norm_pix_loss=normalize,
    )  # fmt: skip
    model = transformers.ViTMAEForPreTraining(config)
    pixels = random(5, channels, image, image, seed=2).detach()
    out = model(pixels)
    out.logits.retain_grad()
    targets, mask = model.patchify(pixels).numpy(), out.mask.numpy()
    ours = lambda p: losses.masked_patches(p, targets, mask, normalize_targets=normalize)
    check_loss(
        record_property, loss="masked_patches", peer="transformers ViTMAEForPreTraining",
        ours=ours, theirs=out.loss, inputs=(out.logits,),
    )  # fmt: skip


@pytest.mark.parametrize("batch, length, seed", [(3, 16, 0), (8, 12, 1)])
def test_bert_is_transformers(batch, length, seed, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    model = transformers.BertForPreTraining(config).eval()
    model.requires_grad_(True)
    tokens = torch.randint(50, (batch, length))
    chosen = torch.stack([torch.randperm(length)[:5].sort().values for _ in range(batch)])
    weights = (torch.rand(batch, 5) < 0.7).float()
    labels = torch.full((batch, length), -100)
    labels.scatter_(1, chosen, torch.where(weights > 0, tokens.gather(1, chosen), -100))
    following = torch.randint(2, (batch,))
    out = model(input_ids=tokens, labels=labels, next_sentence_label=following)
    out.prediction_logits.retain_grad()
    out.seq_relationship_logits.retain_grad()
    targets = tokens.gather(1, chosen).numpy()

    chosen_logits = lambda every: jnp.take_along_axis(jnp.asarray(every), chosen.numpy()[..., None], axis=1)
    cross_entropy = torch.nn.functional.cross_entropy
    check_loss(
        record_property, loss="masked_lm", peer="transformers BertForPreTraining",
        ours=lambda every: losses.masked_lm(chosen_logits(every), targets, weights.numpy()),
        theirs=out.loss - cross_entropy(out.seq_relationship_logits, following).detach(),
        inputs=(out.prediction_logits,),
    )  # fmt: skip


SMALL = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)


def some(*shape, seed, share=0.5):
    """A mask: True at about that share of places."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < share


def into_patches(images, patch):
    """[B, C, H, W] -> [B, N, patch * patch * C]."""
    b, c, h, w = images.shape
    cut = images.reshape(b, c, h // patch, patch, w // patch, patch)
    return cut.transpose(0, 2, 4, 3, 5, 1).reshape(b, (h // patch) * (w // patch), -1)


@pytest.mark.parametrize("kind", ["Swin", "ViT"])
@pytest.mark.parametrize("image, patch, channels", [(32, 2, 3), (64, 4, 1)])
def test_simmim_is_transformers(image, patch, channels, kind, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(image)
    if kind == "Swin":
        config = transformers.SwinConfig(
            image_size=image, patch_size=patch, num_channels=channels, embed_dim=8, depths=[1, 1], num_heads=[1, 2],
            window_size=4, encoder_stride=2 * patch,
        )  # fmt: skip
    else:
        config = transformers.ViTConfig(
            image_size=image, patch_size=patch, num_channels=channels, encoder_stride=patch, **SMALL
        )
    model = getattr(transformers, f"{kind}ForMaskedImageModeling")(config)
    pixels, mask = random(3, channels, image, image, seed=3).detach(), some(3, (image // patch) ** 2, seed=4)
    out = model(pixels, bool_masked_pos=mask)
    out.reconstruction.retain_grad()
    targets = into_patches(pixels.numpy(), patch)
    check_loss(
        record_property, loss="simmim", peer=f"transformers {kind}ForMaskedImageModeling",
        ours=lambda images: losses.simmim(into_patches(images, patch), targets, mask.numpy()),
        theirs=out.loss, inputs=(out.reconstruction,),
    )  # fmt: skip


def pixels_of(mask, image, patch):
    """A mask of patches, [B, N], as one of pixels, [B, 1, H, W]."""
    side = image // patch
    return F.interpolate(mask.reshape(-1, 1, side, side).float(), scale_factor=patch)


@pytest.mark.parametrize("image, patch, channels, share", [(32, 4, 3, 0.6), (24, 8, 1, 0.2), (16, 2, 2, 1.0)])
def test_simmim_is_the_authors(image, patch, channels, share, record_property):
    predictions, targets = (random(4, channels, image, image, seed=seed) for seed in (5, 6))
    mask = some(4, (image // patch) ** 2, seed=7, share=share)
    hidden = pixels_of(mask, image, patch)
    check_loss(
        record_property, loss="simmim", peer="formula of microsoft/SimMIM",
        ours=lambda p, t: losses.simmim(into_patches(p, patch), into_patches(t, patch), mask.numpy()),
        theirs=((predictions - targets).abs() * hidden).sum() / (hidden.sum() + 1e-5) / channels,
        inputs=(predictions, targets),
    )  # fmt: skip


def windowed(images, window):
    """Targets of SimMIM for Swin V2: each pixel by mean and unbiased deviation of its window, cut at the border."""
    half = window // 2
    counted = F.pad(torch.ones_like(images), [half] * 4).unfold(2, window, 1).unfold(3, window, 1)
    values = F.pad(images, [half] * 4).unfold(2, window, 1).unfold(3, window, 1)
    count = counted.sum((-1, -2), keepdim=True)
    mean = values.sum((-1, -2), keepdim=True) / count
    variance = (counted * (values - mean) ** 2).sum((-1, -2), keepdim=True) / (count - 1)
    return (images - mean[..., 0, 0]) / (variance[..., 0, 0] + 1e-6) ** 0.5


@pytest.mark.parametrize("height, width, window, offset", [(12, 9, 3, 0), (24, 24, 47, 0.5), (16, 20, 7, 100)])
def test_normalize_windows_is_the_authors(height, width, window, offset, record_property):
    images = (random(2, 3, height, width, seed=8).detach() + offset).requires_grad_()
    factors = random(2, 3, height, width, seed=9)
    last = lambda x: jnp.moveaxis(jnp.asarray(x), 1, 3)
    check_loss(
        record_property, loss="normalize_windows", peer="formula of microsoft/Swin-Transformer",
        ours=lambda x, f: jnp.sum(losses.normalize_windows(last(x), window=window) * last(f)),
        theirs=(windowed(images.double(), window) * factors.double()).sum(),
        inputs=(images, factors),
    )  # fmt: skip


def hog_of_maskfeat(images, patch, cell, bins):
    """[B, C, H, W] -> [B, N, D]."""
    channels = images.shape[1]
    kernel = torch.tensor([1.0, 2, 1])[:, None] * torch.tensor([1.0, 0, -1])[None]
    kernels = torch.stack([kernel, kernel.T])[:, None].repeat(channels, 1, 1, 1).to(images.dtype)
    gradients = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), kernels, groups=channels)
    gx, gy = gradients[:, ::2], gradients[:, 1::2]
    bin_of = (torch.atan2(gx, gy) / math.pi * bins).floor().long() % bins
    votes = F.one_hot(bin_of, bins) * torch.hypot(gx, gy)[..., None]  # B C H W bins
    cells = votes.unfold(2, cell, cell).unfold(3, cell, cell).sum((-1, -2))  # B C h w bins
    cells = F.normalize(cells, dim=-1).movedim(-1, 2).flatten(1, 2)  # B (C bins) h w
    return F.unfold(cells, patch // cell, stride=patch // cell).transpose(1, 2)


SIZES = [(32, 32, 3, 16, 8, 9), (16, 48, 3, 16, 8, 9), (24, 36, 1, 12, 4, 6), (28, 28, 3, 14, 14, 9)]


@pytest.mark.parametrize("height, width, channels, patch, cell, bins", SIZES)
@pytest.mark.parametrize("bytes_", [True, False])
def test_hog_is_the_authors(height, width, channels, patch, cell, bins, bytes_, record_property):
    images = random(3, channels, height, width, seed=10).detach()
    images = (images * 40 + 128).round() if bytes_ else images
    expected = hog_of_maskfeat(images.double(), patch, cell, bins).float()
    factors = torch.rand(*expected.shape).requires_grad_()  # the gradient of their sum is the histograms
    check_loss(
        record_property, loss="hog", peer="formula of facebookresearch/SlowFast",
        ours=lambda f: jnp.sum(
            f * losses.hog(np.moveaxis(images.numpy(), 1, 3), patch_size=patch, cell=cell, bins=bins)
        ),
        theirs=(expected * factors).sum(), inputs=(factors,),
    )  # fmt: skip


LAYER = [
    [0.451153, 0.199292, 0, 0, 0.697236, 0.199292, 0, 0.480508, 0],
    [0.813004, 0, 0, 0, 0.264226, 0, 0, 0.446071, 0.265007],
    [0.656905, 0.399107, 0, 0, 0.400552, 0.23356, 0, 0.140136, 0.417804],
]


def test_the_restated_hog_is_that_of_the_authors_layer():
    """Against numbers of HOGLayerC itself, run once: 4 x 4 pixels, one cell."""
    images = torch.arange(48).reshape(1, 3, 4, 4) ** 2 % 17.0
    found = hog_of_maskfeat(images, 4, 4, 9).reshape(3, 9)
    np.testing.assert_allclose(found, np.array(LAYER), atol=2e-6)
    ours = jax.jit(lambda x: losses.hog(x, patch_size=4, cell=4))(np.moveaxis(images.numpy(), 1, 3))
    assert largest_error(ours.reshape(3, 9), found) < 1e-6


@pytest.mark.parametrize("batch, size, share", [(4, 32, 0.4), (2, 64, 1.0)])
def test_mask_feat_is_the_authors(batch, size, share, record_property):
    images = random(batch, 3, size, size, seed=11).detach()
    targets = hog_of_maskfeat(images, 16, 8, 9)
    mask = some(*targets.shape[:2], seed=12, share=share)
    predictions = random(*targets.shape, seed=13)
    check_loss(
        record_property, loss="mask_feat", peer="formula of facebookresearch/SlowFast",
        ours=lambda p: losses.mask_feat(p, losses.hog(np.moveaxis(images.numpy(), 1, 3)), mask.numpy()),
        theirs=F.mse_loss(predictions[mask], targets[mask]), inputs=(predictions,),
    )  # fmt: skip


@pytest.mark.parametrize("share, seed", [(0.4, 0), (0.9, 1)])
def test_beit_is_transformers(share, seed, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.BeitConfig(image_size=32, patch_size=8, vocab_size=50, use_mask_token=True, **SMALL)
    model = transformers.BeitForMaskedImageModeling(config).eval()
    mask, tokens = some(3, 16, seed=seed, share=share), torch.randint(50, (3, 16))
    out = model(torch.randn(3, 3, 32, 32), bool_masked_pos=mask, labels=tokens[mask])
    out.logits.retain_grad()
    check_loss(
        record_property, loss="beit", peer="transformers BeitForMaskedImageModeling",
        ours=lambda logits: losses.beit(logits, tokens.numpy(), mask.numpy()), theirs=out.loss, inputs=(out.logits,),
    )  # fmt: skip


@pytest.mark.parametrize("batch, seed", [(1, 0), (9, 1)])
def test_next_sentence_is_transformers(batch, seed, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    model = transformers.BertForNextSentencePrediction(transformers.BertConfig(vocab_size=50, **SMALL)).eval()
    labels = torch.randint(2, (batch,))
    out = model(input_ids=torch.randint(50, (batch, 12)), labels=labels)
    out.logits.retain_grad()
    check_loss(
        record_property, loss="next_sentence", peer="transformers BertForNextSentencePrediction",
        ours=lambda logits: losses.next_sentence(logits, labels.numpy()), theirs=out.loss, inputs=(out.logits,),
    )  # fmt: skip


@pytest.mark.parametrize("batch, seed", [(1, 0), (9, 1)])
def test_sentence_order_is_transformers(batch, seed, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.AlbertConfig(vocab_size=50, embedding_size=8, **SMALL)
    model = transformers.AlbertForPreTraining(config).eval()
    words, labels = torch.randint(50, (batch, 12)), torch.randint(2, (batch,))
    out = model(input_ids=words, labels=words, sentence_order_label=labels)
    out.sop_logits.retain_grad()
    masked_lm = F.cross_entropy(out.prediction_logits.flatten(0, 1), words.flatten()).detach()
    check_loss(
        record_property, loss="sentence_order", peer="transformers AlbertForPreTraining",
        ours=lambda logits: losses.sentence_order(logits, labels.numpy()),
        theirs=out.loss - masked_lm, inputs=(out.sop_logits,),
    )  # fmt: skip


@pytest.mark.parametrize("batch, length, seed", [(3, 16, 0), (8, 12, 1)])
def test_replaced_tokens_is_transformers(batch, length, seed, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.ElectraConfig(vocab_size=50, embedding_size=8, **SMALL)
    model = transformers.ElectraForPreTraining(config).eval()
    real = (torch.arange(length)[None] < torch.randint(2, length + 1, (batch, 1))).long()
    replaced = torch.randint(2, (batch, length))
    out = model(input_ids=torch.randint(50, (batch, length)), attention_mask=real, labels=replaced)
    out.logits.retain_grad()
    check_loss(
        record_property, loss="replaced_tokens", peer="transformers ElectraForPreTraining",
        ours=lambda logits: losses.replaced_tokens(logits, replaced.numpy(), real.numpy()),
        theirs=out.loss, inputs=(out.logits,),
    )  # fmt: skip


@pytest.mark.parametrize("batch, length, scale", [(3, 16, 1), (8, 128, 10)])
def test_replaced_tokens_is_the_authors(batch, length, scale, record_property):
    logits = (scale * random(batch, length, seed=14).detach()).requires_grad_()
    replaced, real = some(batch, length, seed=15, share=0.1).float(), some(batch, length, seed=16, share=0.8).float()
    each = F.binary_cross_entropy_with_logits(logits, replaced, reduction="none")
    check_loss(
        record_property, loss="replaced_tokens", peer="formula of google-research/electra",
        ours=lambda x: losses.replaced_tokens(x, replaced.numpy(), real.numpy()),
        theirs=(each * real).sum() / (1e-6 + real.sum()), inputs=(logits,),
    )  # fmt: skip


@pytest.mark.parametrize("batch, length, seed", [(3, 7, 0), (5, 12, 1)])
def test_span_corruption_is_transformers(batch, length, seed, record_property):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(seed)
    config = transformers.T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config).eval()
    real, targets = some(batch, length, seed=seed, share=0.7), torch.randint(1, 50, (batch, length))
    out = model(input_ids=torch.randint(1, 50, (batch, 9)), labels=torch.where(real, targets, -100))
    out.logits.retain_grad()
    check_loss(
        record_property, loss="span_corruption", peer="transformers T5ForConditionalGeneration",
        ours=lambda logits: losses.span_corruption(logits, targets.numpy(), real.numpy()),
        theirs=out.loss, inputs=(out.logits,),
    )  # fmt: skip


def t5x(logits, targets, weights, z_loss, smoothing):
    """The weighted sum over the sum of weights (`NUM_REAL_TARGET_TOKENS`)."""
    words = logits.shape[-1]
    soft = torch.full_like(logits, smoothing / (words - 1)).scatter(-1, targets[..., None], 1 - smoothing)
    each = F.kl_div(logits.log_softmax(-1), soft, reduction="none").sum(-1) + z_loss * logits.logsumexp(-1) ** 2
    return (each * weights).sum() / weights.sum()


@pytest.mark.parametrize("z_loss, smoothing", [(0.0, 0.0), (1e-4, 0.0), (0.1, 0.1), (0.0, 0.3)])
@pytest.mark.parametrize("batch, length, words", [(3, 7, 11), (2, 20, 1000)])
def test_span_corruption_is_t5xs(batch, length, words, z_loss, smoothing, record_property):
    logits, targets = random(batch, length, words, seed=17), torch.randint(words, (batch, length))
    weights = torch.rand(batch, length) * some(batch, length, seed=18, share=0.8)
    check_loss(
        record_property, loss="span_corruption", peer="formula of google-research/t5x",
        ours=lambda x: losses.span_corruption(
            x, targets.numpy(), weights.numpy(), z_loss=z_loss, label_smoothing=smoothing
        ),
        theirs=t5x(logits, targets, weights, z_loss, smoothing), inputs=(logits,),
    )  # fmt: skip
