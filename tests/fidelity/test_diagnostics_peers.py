"""Diagnostics against other projects' code, installed or restated, in float64 where that is restated."""

import jax
import numpy as np
import pytest

from ssl_jax import diagnostics

torch = pytest.importorskip("torch")


def features(n, d, seed, alpha=1.0, offset=0.5):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator, dtype=torch.float64) * torch.arange(1, d + 1) ** (-alpha / 2)
    return (rows + offset).float()


def close(ours, theirs):
    np.testing.assert_allclose(ours, float(theirs), rtol=1e-5)


@pytest.mark.parametrize("n, d", [(50, 8), (200, 64), (40, 100)])
def test_rank_me_is_the_papers_formula(n, d):
    """Garrido et al. 2023: entropy of the l1-normalised singular values plus 1e-7."""
    z = features(n, d, seed=0)
    values = torch.linalg.svdvals(z.double())
    p = values / values.abs().sum() + 1e-7
    close(jax.jit(diagnostics.rank_me)(z.numpy()), torch.exp(-(p * p.log()).sum()))


def stable_lidar(z, delta, eps):
    """The LiDAR callback of rbalestr-lab/stable-pretraining, with p = l / sum(l) + eps as its older monitor had."""
    n, q, d = z.shape
    z = z.double()
    centres = z.mean(dim=1)
    between, within = torch.zeros(d, d, dtype=z.dtype), torch.zeros(d, d, dtype=z.dtype)
    for i in range(n):
        between += torch.outer(centres[i] - centres.mean(dim=0), centres[i] - centres.mean(dim=0)) / (n - 1)
        for j in range(q):
            within += torch.outer(z[i, j] - centres[i], z[i, j] - centres[i]) / (n * (q - 1))
    values, vectors = torch.linalg.eigh(within + delta * torch.eye(d, dtype=z.dtype))
    root = vectors @ torch.diag(values**-0.5) @ vectors.T
    eigenvalues = torch.linalg.eigvalsh(root @ between @ root).clamp(min=0)
    p = eigenvalues / eigenvalues.sum() + eps
    return torch.exp(-(p * p.log()).sum())


@pytest.mark.parametrize("n, q, d, delta", [(30, 2, 6, 1e-4), (60, 10, 20, 1e-4), (12, 3, 30, 1e-2), (50, 4, 8, 1.0)])
def test_lidar_is_stable_pretrainings(n, q, d, delta):
    z = features(n, d, seed=1)[:, None] + 0.3 * features(n * q, d, seed=2, offset=0.0).reshape(n, q, d)
    ours = jax.jit(diagnostics.lidar)(z.numpy(), delta=delta, eps=1e-7)
    close(ours, stable_lidar(z, delta, 1e-7))


@pytest.mark.parametrize(
    "n, d, start, stop", [(400, 128, 3, 100), (300, 512, 3, 100), (200, 60, 5, 50), (400, 40, 3, 100)]
)
def test_alpha_req_is_fastssls_fit(n, d, start, stop):
    """fastssl: PCA's explained variance ratios, and stringer_get_powerlaw over indices start to stop - 1."""
    z = features(n, d, seed=3, alpha=1.2)
    centred = (z - z.mean(dim=0)).double().numpy()
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    spectrum = variances / variances.sum()
    index = np.arange(start, min(stop, len(spectrum)))
    x = np.stack([-np.log(index + 1), np.ones(len(index))], axis=1)
    w = np.diag(1 / (index + 1))
    alpha, _ = np.linalg.solve(x.T @ w @ x, x.T @ w @ np.log(spectrum[index]))
    ours = jax.jit(diagnostics.alpha_req, static_argnames=("first", "last"))(z.numpy(), first=start + 1, last=stop)
    close(ours, alpha)


@pytest.mark.parametrize("n, k, masked", [(20, 5, False), (100, 320, False), (64, 32, True)])
def test_perplexity_is_transformers_wav2vec2s(n, k, masked):
    wav2vec2 = pytest.importorskip("transformers.models.wav2vec2.modeling_wav2vec2")
    p = torch.softmax(2 * torch.randn(n, k, generator=torch.Generator().manual_seed(4)), dim=-1)
    mask = torch.arange(n) % 3 > 0 if masked else None
    theirs = wav2vec2.Wav2Vec2GumbelVectorQuantizer._compute_perplexity(p[:, None], mask)
    close(diagnostics.perplexity(p.numpy(), weights=None if mask is None else mask.numpy().astype(float)), theirs)


@pytest.mark.parametrize("n, k", [(30, 4), (500, 100)])
def test_perplexity_of_codes_is_torchs_categorical_entropy(n, k):
    codes = torch.randint(k, (n,), generator=torch.Generator().manual_seed(5))
    usage = torch.distributions.Categorical(probs=torch.bincount(codes, minlength=k) / n)
    close(diagnostics.perplexity(codes.numpy(), num_codes=k), usage.entropy().exp())


def test_embedding_std_is_lightlys_std_of_normalised_outputs():
    """SimSiam's figure, as lightly's tutorials watch it: torch's std over the batch (unbiased), averaged."""
    z = features(200, 32, seed=6)
    theirs = torch.nn.functional.normalize(z).std(dim=0).mean() * np.sqrt(199 / 200)  # ours is the biased one
    close(jax.jit(diagnostics.embedding_std)(z.numpy()), theirs)


def test_alignment_and_uniformity_are_the_authors():
    """SsnL/align_uniform: torch.pdist over pairs, and norms of differences."""
    x, y = (torch.nn.functional.normalize(features(60, 16, seed=s, offset=0.0)) for s in (7, 8))
    close(jax.jit(diagnostics.alignment)(x.numpy(), y.numpy()), (x - y).norm(p=2, dim=1).pow(2).mean())
    close(jax.jit(diagnostics.uniformity)(x.numpy()), torch.pdist(x.double()).pow(2).mul(-2).exp().mean().log())
