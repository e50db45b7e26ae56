"""Word vectors against word2vec.c."""

import jax.numpy as jnp
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from peers import check_loss, random  # noqa: E402


def sum_of_steps(centers, contexts, negatives, drawn, words):
    """What word2vec.c ascends: the log-likelihood of label 1 for the word and 0 for drawn ones that are not it."""
    total = 0
    for pair in range(len(centers)):
        outputs, labels = [contexts[pair]], [1.0]
        for k, word in enumerate(drawn[pair]):
            if word != words[pair]:
                outputs.append(negatives[pair, k])
                labels.append(0.0)
        dots = torch.stack(outputs) @ centers[pair]
        total = total + F.binary_cross_entropy_with_logits(dots, torch.tensor(labels), reduction="sum")
    return total


@pytest.mark.parametrize("pairs, k, d, vocabulary", [(1, 5, 8, 4), (16, 5, 100, 10), (40, 15, 30, 1000)])
def test_skip_gram_is_word2vecs(pairs, k, d, vocabulary, record_property):
    generator = torch.Generator().manual_seed(pairs)
    words = torch.randint(vocabulary, (pairs,), generator=generator)
    drawn = torch.randint(vocabulary, (pairs, k), generator=generator)
    vectors = random(pairs, d, seed=0), random(pairs, d, seed=1), random(pairs, k, d, seed=2)
    others = (drawn != words[:, None]).numpy()
    check_loss(
        record_property, loss="skip_gram", peer="formula of tmikolov/word2vec",
        ours=lambda u, v, n: losses.skip_gram(u, v, n, negative_weights=others),
        theirs=sum_of_steps(*vectors, drawn, words) / pairs, inputs=vectors,
    )  # fmt: skip


@pytest.mark.parametrize("pairs, k, d", [(7, 3, 4), (64, 20, 300)])
def test_skip_gram_is_the_papers(pairs, k, d, record_property):
    u, v, n = random(pairs, d, seed=3), random(pairs, d, seed=4), random(pairs, k, d, seed=5)
    each = F.logsigmoid((u * v).sum(1)) + F.logsigmoid(-torch.einsum("nd,nkd->nk", u, n)).sum(1)
    check_loss(
        record_property, loss="skip_gram", peer="equation 4 of the paper", ours=losses.skip_gram,
        theirs=-each.mean(), inputs=(u, v, n),
    )  # fmt: skip


def counts_of(vocabulary):
    """Falling as words do, from millions to one."""
    return (5e6 / torch.arange(1, vocabulary + 1) ** 1.2).ceil().to(torch.int32)


@pytest.mark.parametrize("vocabulary, power", [(5, 0.75), (20000, 0.75), (300, 1.0)])
def test_unigram_noise_is_word2vecs(vocabulary, power, record_property):
    counts = counts_of(vocabulary)
    raised = counts.double() ** power
    factors = torch.rand(vocabulary).requires_grad_()  # the gradient of their sum are the probabilities
    check_loss(
        record_property, loss="unigram_noise", peer="formula of tmikolov/word2vec",
        ours=lambda f: jnp.sum(f * losses.unigram_noise(counts.numpy(), power=power)),
        theirs=(raised / raised.sum() * factors).sum(), inputs=(factors,),
    )  # fmt: skip


@pytest.mark.parametrize("vocabulary, threshold", [(5, 1e-3), (20000, 1e-4), (300, 1e-5)])
def test_keep_probability_is_word2vecs(vocabulary, threshold, record_property):
    counts = counts_of(vocabulary)
    share = counts.double() / counts.sum()
    kept = ((share / threshold).sqrt() + 1) * threshold / share  # compared there with a number drawn under 1
    factors = torch.rand(vocabulary).requires_grad_()
    check_loss(
        record_property, loss="keep_probability", peer="formula of tmikolov/word2vec",
        ours=lambda f: jnp.sum(f * losses.keep_probability(counts.numpy(), threshold=threshold)),
        theirs=(kept.clamp(max=1) * factors).sum(), inputs=(factors,),
    )  # fmt: skip
