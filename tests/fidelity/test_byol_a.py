"""BYOL-A's network and views against the public code's formulas, restated in PyTorch (nttcslab/byol-a)."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import models
from ssl_jax.augment import byol_a
from ssl_jax.augment.crop import resize_matrix
from tests.fidelity.comparison import randomize, relative_error

torch = pytest.importorskip("torch")


class AudioNTT2020(torch.nn.Module):
    """byol_a/models.py: three blocks of convolution, batch norm, ReLU and pooling; two linear layers a frame."""

    def __init__(self, mels, channels, width):
        super().__init__()
        blocks = []
        for inputs in (1, channels, channels):
            blocks += [torch.nn.Conv2d(inputs, channels, 3, stride=1, padding=1), torch.nn.BatchNorm2d(channels)]
            blocks += [torch.nn.ReLU(), torch.nn.MaxPool2d(2, stride=2)]
        self.features = torch.nn.Sequential(*blocks)
        self.fc = torch.nn.Sequential(
            torch.nn.Linear(channels * mels // 8, width),
            torch.nn.ReLU(),
            torch.nn.Dropout(p=0.3),
            torch.nn.Linear(width, width),
            torch.nn.ReLU(),
        )

    def forward(self, x):
        x = self.features(x).permute(0, 3, 2, 1)  # [B, T, mels, channels]
        x = self.fc(x.reshape(x.shape[0], x.shape[1], -1))
        return torch.max(x, dim=1)[0] + torch.mean(x, dim=1)


@pytest.mark.parametrize("frames", [24, 30])
def test_the_network_is_that_of_the_public_code(frames):
    mels, channels, width = 16, 8, 24
    theirs = randomize(AudioNTT2020(mels, channels, width)).eval()
    ours = models.AudioCNN(mels=mels, channels=channels, width=width, rngs=nnx.Rngs(0))
    for block, (convolution, norm) in enumerate(zip(ours.convolutions, ours.norms)):
        their_convolution, their_norm = theirs.features[4 * block], theirs.features[4 * block + 1]
        # Theirs has [B, 1, mels, frames], ours [B, frames, mels, 1].
        convolution.kernel[...] = their_convolution.weight.detach().permute(3, 2, 1, 0).numpy()
        convolution.bias[...] = their_convolution.bias.detach().numpy()
        norm.scale[...], norm.bias[...] = their_norm.weight.detach().numpy(), their_norm.bias.detach().numpy()
        norm.mean[...], norm.var[...] = their_norm.running_mean.numpy(), their_norm.running_var.numpy()
    for layer, their in ((ours.hidden, theirs.fc[0]), (ours.out, theirs.fc[3])):
        layer.kernel[...], layer.bias[...] = their.weight.detach().numpy().T, their.bias.detach().numpy()
    spectrograms = np.random.default_rng(0).normal(size=(3, frames, mels, 1)).astype(np.float32)
    expected = theirs(torch.tensor(spectrograms.transpose(0, 3, 2, 1)))
    assert relative_error(ours(jnp.asarray(spectrograms)), expected) < 1e-5


def test_mixing_is_that_of_the_public_code():
    """augmentations.py, log_mixup_exp: exp, weighted sum, log."""
    x, other = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    share = 0.3
    expected = torch.log((1 - share) * x.exp() + share * other.exp())
    ours = byol_a.mixed(x.numpy(), other.numpy(), jnp.float32(share))
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-5)


def test_enlarging_is_that_of_torch():
    """augmentations.py, RandomResizeCrop: bicubic; of a part that is enlarged, away from its border."""
    image = np.random.default_rng(1).normal(size=(12, 10)).astype(np.float32)
    part = torch.tensor(image[3:9, 2:10])[None, None]
    weights = [
        resize_matrix(jnp.float32(start), jnp.float32(side), size, wanted, "bicubic")
        for start, side, size, wanted in ((3, 6, 12, 18), (2, 8, 10, 16))
    ]
    ours = weights[0] @ image @ weights[1].T
    expected = torch.nn.functional.interpolate(part, (18, 16), mode="bicubic", antialias=True)[0, 0]
    np.testing.assert_allclose(ours[6:-6, 4:-4], expected[6:-6, 4:-4].numpy(), atol=1e-4)
