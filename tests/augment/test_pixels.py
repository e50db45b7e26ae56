"""Number formats and normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment


def test_to_float():
    np.testing.assert_allclose(augment.to_float(jnp.array([0, 51, 255], jnp.uint8)), [0, 0.2, 1], rtol=1e-6)
    floats = augment.to_float(jnp.array([0.25], jnp.bfloat16))
    assert floats.dtype == jnp.float32 and floats[0] == 0.25
    with pytest.raises(ValueError, match="int32"):
        augment.to_float(jnp.array([3]))


def test_normalize_and_back():
    normalize = augment.Normalize(3, (0.5, 0.2, 0.1), (0.5,))
    image = jax.random.uniform(jax.random.key(0), (4, 5, 3))
    np.testing.assert_allclose(normalize(image)[..., 1], (image[..., 1] - 0.2) / 0.5, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(normalize.invert(normalize(image)), image, atol=1e-6)
    np.testing.assert_array_equal(augment.Normalize(3, None, None)(image), image)


@pytest.mark.parametrize(
    "mean, std, message", [((0.1, 0.2, 0.3), None, "3 values, but images have 1"), (None, (0.0,), "not positive")]
)
def test_impossible_normalisation(mean, std, message):
    with pytest.raises(ValueError, match=message):
        augment.Normalize(1, mean, std)


def test_noise_has_its_deviation():
    noise = augment.add_noise(jax.random.key(0), jnp.zeros((64, 64, 3)), 0.3)
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 0.3], atol=0.01)
