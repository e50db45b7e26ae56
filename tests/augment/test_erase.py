"""Random erasing: what is erased, how often, and what no draw fits. (Its distribution is compared in fidelity/.)"""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax import augment


def draws(size, count=4000, **settings):
    draw = jax.jit(jax.vmap(lambda key: augment.draw_erasing(key, size, **settings)))
    return augment.Box(*(np.asarray(x) for x in draw(jax.random.split(jax.random.key(0), count))))


def test_the_box_and_nothing_else():
    image = jax.random.uniform(jax.random.key(0), (6, 5, 2))
    erased = augment.erase(image, augment.Box(*(jnp.float32(x) for x in (1, 2, 3, 2))), 7.0)
    expected = np.array(image)
    expected[1:4, 2:4] = 7
    np.testing.assert_array_equal(erased, expected)
    noise = jax.random.normal(jax.random.key(1), image.shape)
    box = augment.Box(*(jnp.float32(x) for x in (0, 0, 6, 1)))
    np.testing.assert_array_equal(augment.erase(image, box, noise)[:, 0], noise[:, 0])


def test_as_often_as_asked_and_inside():
    box = draws((24, 40), probability=0.3)
    np.testing.assert_allclose((box.height > 0).mean(), 0.3, atol=4 * np.sqrt(0.21 / 4000))
    assert box.top.min() >= 0 and (box.top + box.height).max() <= 24 and (box.left + box.width).max() <= 40
    ratio = (box.height / np.maximum(box.width, 1))[box.height > 0]
    assert ratio.min() < 0.5 and ratio.max() > 2


def test_what_never_fits_erases_nothing():
    box = draws((8, 8), probability=1.0, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert not box.height.any() and not box.width.any()
    image = jnp.ones((8, 8, 1))
    np.testing.assert_array_equal(augment.erase(image, augment.Box(*(x[0] for x in box))), image)
