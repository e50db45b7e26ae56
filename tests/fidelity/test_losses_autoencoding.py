"""The terms of the discrete VAE against torch's distributions."""

import pytest

torch = pytest.importorskip("torch")

from peers import check_loss, random  # noqa: E402

from ssl_jax import losses  # noqa: E402


@pytest.mark.parametrize("shape, seed", [((4, 8, 8, 3), 0), ((3, 5, 7, 1), 1)])
def test_logit_laplace_is_torchs_distribution(shape, seed, record_property):
    """A Laplace variable through a sigmoid, at pixels mapped as in `dall_e/utils.py` of openai/DALL-E."""
    predictions = random(*shape[:-1], 2 * shape[-1], seed=seed)
    pixels = torch.rand(shape, generator=torch.Generator().manual_seed(seed + 10))
    location, log_scale = predictions.double().chunk(2, dim=-1)
    laplace = torch.distributions.Laplace(location, log_scale.exp())
    theirs = torch.distributions.TransformedDistribution(laplace, torch.distributions.SigmoidTransform())
    check_loss(
        record_property, loss="logit_laplace", peer="torch.distributions Laplace, SigmoidTransform",
        ours=lambda p: losses.logit_laplace(p, pixels.numpy()),
        theirs=-theirs.log_prob(0.8 * pixels.double() + 0.1).mean(), inputs=(predictions,),
    )  # fmt: skip


@pytest.mark.parametrize("shape, seed", [((4, 8, 8, 20), 0), ((3, 5), 1)])
def test_uniform_divergence_is_torchs(shape, seed, record_property):
    logits = random(*shape, seed=seed)
    uniform = torch.distributions.Categorical(logits=torch.zeros(shape))
    theirs = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=logits), uniform).mean()
    check_loss(
        record_property, loss="uniform_divergence", peer="torch.distributions kl_divergence",
        ours=losses.uniform_divergence, theirs=theirs, inputs=(logits,),
    )  # fmt: skip
