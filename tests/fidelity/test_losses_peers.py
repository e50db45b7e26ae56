"""The three objectives of SimCLR, MAE and BERT against lightly and transformers, in value and gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")


def largest_error(ours, theirs):
    """The largest difference, relative to the largest entry."""
    ours, theirs = np.asarray(ours, np.float64), theirs.detach().double().numpy()
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def check(ours, theirs, inputs, record_property):
    """Compares a loss of ours with a torch scalar: value, and gradients with respect to `inputs` (torch tensors)."""
    value, gradients = jax.value_and_grad(ours, tuple(range(len(inputs))))(*(x.detach().numpy() for x in inputs))
    theirs.backward()
    errors = [largest_error(value, theirs), *(largest_error(g, x.grad) for g, x in zip(gradients, inputs))]
    record_property("value_error", float(errors[0]))
    record_property("gradient_error", float(max(errors[1:])))
    print(f"value {errors[0]:.1e} gradient {max(errors[1:]):.1e}")
    assert max(errors) < 1e-5


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("n, d, temperature", [(4, 8, 0.5), (64, 128, 0.1), (33, 17, 0.07)])
def test_nt_xent_is_lightlys(n, d, temperature, record_property):
    ntx_ent_loss = pytest.importorskip("lightly.loss.ntx_ent_loss")
    z1, z2 = random(n, d, seed=0), random(n, d, seed=1)
    theirs = ntx_ent_loss.NTXentLoss(temperature=temperature)(z1, z2)
    check(lambda a, b: losses.nt_xent(a, b, temperature=temperature), theirs, (z1, z2), record_property)


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
    ours = lambda p: losses.masked_patches(p, targets, mask, normalize_targets=normalize)  # noqa: E731
    check(ours, out.loss, (out.logits,), record_property)


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

    def ours(all_logits, next_logits):
        logits = jnp.take_along_axis(jnp.asarray(all_logits), chosen.numpy()[..., None], axis=1)
        return losses.masked_lm(logits, targets, weights.numpy()) + losses.next_sentence(next_logits, following.numpy())

    check(ours, out.loss, (out.prediction_logits, out.seq_relationship_logits), record_property)
