"""Losses of sequences and speech against those of other projects."""

import jax
import numpy as np
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")
F = torch.nn.functional

from peers import check_loss, largest_error, random  # noqa: E402


def integers(high, *shape, seed):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def lengths_mask(n, t, seed):
    """Valid frames of utterances of different lengths, the first one full."""
    lengths = integers(t // 2, n, seed=seed) + t // 2 + 1
    lengths[0] = t
    return torch.arange(t)[None] < lengths[:, None]


@pytest.mark.parametrize("n, t, d, steps, m", [(2, 16, 8, 3, 5), (8, 32, 64, 12, 128), (1, 9, 5, 1, 1)])
def test_cpc_is_cpc_audios(n, t, d, steps, m, record_property):
    """Negatives from anywhere in the batch, one draw for all steps; each step's mean over the first T - K frames."""
    window = t - steps
    contexts, encodings = random(n, window, steps, d, seed=0), random(n, t, d, seed=1)
    drawn = integers(n * t, n, m, window, seed=2)  # laid out as there: negatives before positions
    others = encodings.reshape(n * t, d)[drawn.flatten()].view(n, m, window, d)
    total = 0
    for k in range(1, steps + 1):
        true = encodings[:, k : k + window].unsqueeze(1)
        scores = (contexts[:, :, k - 1].unsqueeze(1) * torch.cat([true, others], dim=1)).mean(dim=3)
        scores = scores.transpose(1, 2).reshape(n * window, 1 + m)
        total = total + F.cross_entropy(scores, torch.zeros(n * window, dtype=torch.long))
    negatives, ones = drawn.transpose(1, 2).numpy(), np.ones((n, t), np.float32)
    check_loss(
        record_property, loss="cpc", peer="formula of facebookresearch/CPC_audio",
        ours=lambda p, z: losses.cpc(p / d, z, negatives, ones, across_batch=True), theirs=total / steps,
        inputs=(contexts, encodings),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d, steps, m", [(4, 12, 8, 4, 6), (3, 30, 32, 12, 10)])
def test_cpc_of_padded_sequences_is_cross_entropy_of_each(n, t, d, steps, m, record_property):
    """Sequences cut to their lengths, negatives of the same sequence, one prediction at a time."""
    contexts, encodings, valid = random(n, t, steps, d, seed=3), random(n, t, d, seed=4), lengths_mask(n, t, seed=5)
    lengths = valid.sum(1)
    negatives = torch.stack([integers(int(length), t, m, seed=6 + i) for i, length in enumerate(lengths)])
    terms = []
    for i, length in enumerate(lengths):
        for at in range(length):
            for k in range(1, steps + 1):
                if at + k < length:
                    places = torch.cat([torch.tensor([at + k]), negatives[i, at]])
                    terms.append(F.cross_entropy(encodings[i, places] @ contexts[i, at, k - 1], torch.tensor(0)))
    check_loss(
        record_property, loss="cpc", peer="torch cross_entropy",
        ours=lambda p, z: losses.cpc(p, z, negatives.numpy(), valid.numpy()), theirs=torch.stack(terms).mean(),
        inputs=(contexts, encodings),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d, shift", [(2, 10, 4, 1), (8, 50, 80, 3), (3, 21, 40, 20)])
def test_apc_is_the_authors(n, t, d, shift, record_property):
    """Without padding. The model is fed all frames but the last `shift`."""
    outputs, frames = random(n, t, d, seed=0), random(n, t, d, seed=1)
    check_loss(
        record_property, loss="apc", peer="formula of iamyuanchung/Autoregressive-Predictive-Coding",
        ours=lambda p, x: losses.apc(p, x, np.ones((n, t), np.float32), shift=shift),
        theirs=torch.nn.L1Loss()(outputs[:, :-shift, :], frames[:, shift:, :]), inputs=(outputs, frames),
    )  # fmt: skip


@pytest.mark.parametrize("n, t, d, shift", [(4, 10, 6, 1), (6, 30, 20, 5)])
def test_apc_of_padded_sequences_is_l1_loss_of_their_frames(n, t, d, shift, record_property):
    outputs, frames, valid = random(n, t, d, seed=2), random(n, t, d, seed=3), lengths_mask(n, t, seed=4)
    lengths = valid.sum(1)
    ours = torch.cat([outputs[i, : length - shift] for i, length in enumerate(lengths)])
    ahead = torch.cat([frames[i, shift:length] for i, length in enumerate(lengths)])
    check_loss(
        record_property, loss="apc", peer="torch l1_loss",
        ours=lambda p, x: losses.apc(p, x, valid.numpy(), shift=shift), theirs=F.l1_loss(ours, ahead),
        inputs=(outputs, frames),
    )  # fmt: skip


def wav2vec2_outputs(codes, groups, temperature, padded, seed):
    """A small Wav2Vec2ForPreTraining in training mode on noise, with its own mask and negatives."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.wav2vec2 import modeling_wav2vec2 as theirs

    torch.manual_seed(seed)
    np.random.seed(seed)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 3), conv_stride=(5, 2), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, num_codevectors_per_group=codes, num_codevector_groups=groups,
        codevector_dim=8, proj_codevector_dim=12, num_negatives=10, contrastive_logits_temperature=temperature,
        diversity_loss_weight=0.1, hidden_dropout=0.0, attention_dropout=0.0, feat_quantizer_dropout=0.0,
        layerdrop=0.0, feat_proj_dropout=0.0, activation_dropout=0.0,
    )  # fmt: skip
    model = theirs.Wav2Vec2ForPreTraining(config).train()
    scores = []
    model.quantizer.weight_proj.register_forward_hook(lambda *args: scores.append(args[-1]))
    audio = torch.randn(3, 400)
    lengths = torch.tensor([400, 300, 250] if padded else [400] * 3)
    attention = (torch.arange(400)[None] < lengths[:, None]).long()
    frames = model._get_feat_extract_output_lengths(lengths)
    shape = (3, int(model._get_feat_extract_output_lengths(400)))
    valid = (torch.arange(shape[1])[None] < frames[:, None]).long()
    mask = theirs._compute_mask_indices(shape, 0.5, 3, attention_mask=valid, min_masks=2)
    negatives = theirs._sample_negative_indices(shape, 10, mask_time_indices=mask)
    out = model(
        audio, attention_mask=attention if padded else None, mask_time_indices=torch.from_numpy(mask).long(),
        sampled_negative_indices=torch.from_numpy(negatives).long(),
    )  # fmt: skip
    own = negatives - shape[1] * np.arange(3)[:, None, None]  # theirs count through all sequences
    return out, scores[0], mask, own, groups, codes


SETTINGS = [(4, 1, 0.1, False, 0), (6, 2, 0.1, True, 1), (320, 2, 0.1, True, 2), (2, 1, 1.0, False, 3)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_wav2vec2_is_transformers(settings, record_property):
    out, _, mask, negatives, *_ = wav2vec2_outputs(*settings)
    states = (out.projected_states, out.projected_quantized_states)
    for tensor in states:
        tensor.retain_grad()
    same = (states[1][:, :, None] == states[1][:, None]).all(-1).numpy()
    drawn_same = np.take_along_axis(same, negatives, 2)[mask].any()
    assert drawn_same == (settings[0] < 320)  # distractors that equal the target do occur with few codes
    check_loss(
        record_property, loss="wav2vec2", peer="transformers Wav2Vec2ForPreTraining",
        ours=lambda p, q: losses.wav2vec2(p, q, negatives, mask, temperature=settings[2]),
        theirs=out.contrastive_loss / mask.sum(), inputs=states,
    )  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
def test_codebook_diversity_is_transformers(settings, record_property):
    out, scores, mask, _, groups, codes = wav2vec2_outputs(*settings)
    scores.retain_grad()
    softmax = lambda s: jax.nn.softmax(s.reshape(*mask.shape, groups, codes))
    check_loss(
        record_property, loss="codebook_diversity", peer="transformers Wav2Vec2ForPreTraining",
        ours=lambda s: losses.codebook_diversity(softmax(s), mask), theirs=out.diversity_loss / mask.sum(),
        inputs=(scores,),
    )  # fmt: skip
    perplexity = losses.codebook_perplexity(softmax(scores.detach().numpy()), mask)
    assert largest_error(perplexity.sum(), out.codevector_perplexity) < 1e-5


@pytest.mark.parametrize("settings", SETTINGS[:2])
def test_wav2vec2_and_diversity_make_transformers_loss(settings):
    out, scores, mask, negatives, groups, codes = wav2vec2_outputs(*settings)
    states = (x.detach().numpy() for x in (out.projected_states, out.projected_quantized_states))
    probabilities = jax.nn.softmax(scores.detach().numpy().reshape(*mask.shape, groups, codes))
    ours = losses.wav2vec2(*states, negatives, mask, temperature=settings[2])
    ours = ours + 0.1 * losses.codebook_diversity(probabilities, mask)
    assert largest_error(ours * mask.sum(), out.loss) < 1e-5


def nce_logits(x, true, every, temperature):
    """Logits as in fairseq: the true codeword first, then all, of which those that equal the true one are left out."""
    logits = F.cosine_similarity(x[None], torch.cat([true[None], every[:, None].expand(-1, len(x), -1)]), dim=-1)
    logits = (logits / temperature).T
    return torch.where(F.pad((true[:, None] == every[None]).all(-1), (1, 0)), float("-inf"), logits)


@pytest.mark.parametrize("alpha", [1.0, 0.0, 0.7])
@pytest.mark.parametrize(
    "n, t, d, clusters, temperature", [(2, 10, 8, 5, 0.1), (4, 50, 32, 100, 0.1), (3, 7, 4, 3, 1.0)]
)
def test_hubert_is_fairseqs(n, t, d, clusters, temperature, alpha, record_property):
    features, codewords, valid = random(n, t, d, seed=0), random(clusters, d, seed=1), lengths_mask(n, t, seed=2)
    labels, mask = integers(clusters, n, t, seed=3), integers(2, n, t, seed=4).bool()
    loss, size = 0, 0
    for weight, places in ((alpha, valid & mask), (1 - alpha, valid & ~mask)):
        if weight > 0:
            logits = nce_logits(features[places], codewords[labels[places]], codewords, temperature)
            loss = loss + weight * F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long), reduction="sum")
            size += len(logits)

    def ours(x, e):
        logits = losses.codeword_logits(x, e, temperature=temperature)
        return losses.hubert(logits, labels.numpy(), mask.numpy(), valid.numpy(), alpha=alpha)

    check_loss(
        record_property, loss="hubert", peer="formula of facebookresearch/fairseq", ours=ours, theirs=loss / size,
        inputs=(features, codewords),
    )  # fmt: skip


def random_codes(frames, projection, codebook):
    """praxis' quantizer with its normalisations on: the smallest squared distance, expanded."""
    normalized = lambda x: x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-12)
    latent, codebook = normalized(frames @ projection), normalized(codebook)
    distance = (latent**2).sum(-1, keepdim=True) - 2 * latent @ codebook.T + (codebook**2).sum(-1)
    return distance.argmin(-1)


@pytest.mark.parametrize("n, t, features, codes", [(2, 8, 6, 5), (4, 64, 80, 512), (3, 20, 320, 8192)])
def test_best_rq_is_praxis(n, t, features, codes, record_property):
    """Targets as well as loss; the codes are compared one by one."""
    projection, codebook = losses.init_random_projection_quantizer(jax.random.key(0), features, codes=codes)
    frames, logits = random(n, t, features, seed=0).detach(), random(n, t, codes, seed=1)
    mask = lengths_mask(n, t, seed=2) & integers(2, n, t, seed=3).bool()
    theirs = random_codes(*(torch.tensor(np.asarray(x, np.float64)) for x in (frames, projection, codebook)))
    found = jax.jit(losses.random_projection_quantizer)(frames.numpy(), projection, codebook)
    np.testing.assert_array_equal(found, theirs.numpy())
    check_loss(
        record_property, loss="best_rq", peer="formula of google/praxis",
        ours=lambda x: losses.best_rq(x, found, mask.numpy()), theirs=F.cross_entropy(logits[mask], theirs[mask]),
        inputs=(logits,),
    )  # fmt: skip
