"""Losses of what was hidden against those of other projects."""

import jax.numpy as jnp
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

from peers import check_loss, random  # noqa: E402


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
