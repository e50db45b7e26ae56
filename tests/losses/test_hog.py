"""Histograms of oriented gradients by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses

hog = jax.jit(losses.hog, static_argnames=("patch_size", "cell", "bins"))


def ramp(x, y, size=16, channels=1):
    """An image that grows by x to the right and by y downwards with each pixel: one orientation, but at its border."""
    row, column = np.mgrid[:size, :size]
    return jnp.asarray(np.tile((x * column + y * row)[None, :, :, None], (1, 1, 1, channels)), jnp.float32)


@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 255.0])
def test_a_constant_image_has_no_gradients(value):
    found = hog(jnp.full((2, 32, 16, 3), value))
    assert found.shape == (2, 2, 3 * 9 * 4) and found.dtype == jnp.float32
    np.testing.assert_array_equal(found, 0)


def test_a_vertical_edge_is_in_the_middle_bin_of_its_cells():
    # The edge lies between the cells: the gradient along x is 4 on both of its sides, and 0 elsewhere.
    image = jnp.zeros((1, 16, 16, 1)).at[:, :, 8:].set(1)
    expected = np.zeros((9, 2, 2))
    expected[4] = 1
    np.testing.assert_allclose(hog(image)[0, 0].reshape(9, 2, 2), expected, atol=1e-6)
    np.testing.assert_allclose(hog(1 - image)[0, 0].reshape(9, 2, 2), expected, atol=1e-6)


def test_a_horizontal_edge_is_in_the_first_bin_of_the_cells_it_touches():
    image = jnp.zeros((1, 16, 16, 1)).at[:, 12:].set(1)
    expected = np.zeros((9, 2, 2))
    expected[0, 1] = 1
    np.testing.assert_allclose(hog(image)[0, 0].reshape(9, 2, 2), expected, atol=1e-6)
    np.testing.assert_allclose(hog(1 - image)[0, 0].reshape(9, 2, 2), expected, atol=1e-6)


@pytest.mark.parametrize("degrees", range(5, 180, 10))
def test_ramps_fall_into_the_bin_of_their_angle_from_the_y_axis(degrees):
    angle = np.deg2rad(degrees)
    image = ramp(np.sin(angle), np.cos(angle), size=24)
    inner = hog(image, patch_size=8)[0, 4]  # of nine cells, the one that has no border
    np.testing.assert_allclose(inner, np.eye(9)[degrees // 20], atol=1e-6)
    np.testing.assert_allclose(hog(-image, patch_size=8)[0, 4], inner, atol=1e-6)


def test_the_border_is_reflected():
    # The columns 0, 1 become 1, 0, 1, 0, so that both neighbours of each are equal.
    np.testing.assert_array_equal(hog(ramp(1, 0, size=2), patch_size=2, cell=2), 0)


def test_orientations_share_a_cell_by_the_length_of_their_gradients():
    # Around a white pixel |g| is 2 at its four sides, twice along x and twice along y, and sqrt(2) at its four
    # corners, twice at 45 degrees and twice at 135; elsewhere 0.
    image = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2].set(1)
    along_y, along_x, diagonal = 4, 4, 2 * np.sqrt(2)
    histogram = np.zeros(9)
    histogram[[0, 4, 2, 6]] = along_y, along_x, diagonal, diagonal  # 0, 90, 45 and 135 degrees of 20 each
    found = hog(image, patch_size=5, cell=5)[0, 0]
    np.testing.assert_allclose(found, histogram / np.linalg.norm(histogram), rtol=1e-6, atol=1e-7)


def test_brightness_and_contrast_do_not_matter():
    image = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))
    np.testing.assert_allclose(hog(7 * image + 2), hog(image), atol=1e-5)


def test_channels_bins_and_cells_come_in_the_order_of_the_authors():
    images = jnp.zeros((1, 16, 32, 2)).at[0, :4, :, 1].set(1)  # an edge along y in the second channel's upper cells
    found = hog(images)[0].reshape(2, 2, 9, 2, 2)  # patch, channel, bin, row, column
    expected = np.zeros((2, 2, 9, 2, 2))
    expected[:, 1, 0, 0, :] = 1
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_each_image_is_by_itself():
    images = jax.random.uniform(jax.random.key(1), (3, 16, 16, 3))
    np.testing.assert_allclose(hog(images)[1], hog(images[1:2])[0], atol=1e-6)


@pytest.mark.parametrize("image", [jnp.zeros((1, 16, 16, 3)), jnp.ones((1, 16, 16, 3)), ramp(1, 2)])
def test_no_gradient_flows_and_it_is_finite(image):
    np.testing.assert_array_equal(jax.jit(jax.grad(lambda x: jnp.sum(losses.hog(x))))(image), 0)


def test_bytes_and_half_precision_are_computed_in_float32():
    image = jax.random.randint(jax.random.key(2), (1, 16, 16, 3), 0, 256).astype(jnp.uint8)
    np.testing.assert_array_equal(hog(image), hog(image.astype(jnp.float32)))
    np.testing.assert_array_equal(hog(image.astype(jnp.bfloat16)), hog(image.astype(jnp.float32)))  # 8 bits fit


def test_misfits_are_named():
    with pytest.raises(ValueError, match="images must be"):
        losses.hog(jnp.ones((16, 16, 3)))
    with pytest.raises(ValueError, match="at least 2 x 2"):
        losses.hog(jnp.ones((1, 1, 16, 3)), patch_size=1, cell=1)
    with pytest.raises(ValueError, match="not a multiple of cell"):
        losses.hog(jnp.ones((1, 16, 16, 3)), patch_size=12)
    with pytest.raises(ValueError, match="16 x 24 pixels are not made of patches 16"):
        losses.hog(jnp.ones((1, 16, 24, 3)))
    with pytest.raises(ValueError, match="bins 0 is not positive"):
        losses.hog(jnp.ones((1, 16, 16, 3)), bins=0)
