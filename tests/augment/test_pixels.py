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


@pytest.mark.parametrize(
    "operation",
    [
        lambda image: augment.crop_and_resize(image, augment.Box(*jnp.float32([1, 2, 5, 4])), out_size=6),
        lambda image: augment.gaussian_blur(image, jnp.float32(1), radius=2),
    ],
    ids=["crop_and_resize", "gaussian_blur"],
)
def test_accelerators_multiply_pixels_in_float32(operation):
    program = jax.jit(operation).lower(jax.ShapeDtypeStruct((8, 8, 3), jnp.float32)).as_text()
    products = [line for line in program.splitlines() if "dot_general" in line]
    assert len(products) == 6  # one an axis and channel
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)
