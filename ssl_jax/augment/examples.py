"""From a function of one example to a function of a batch, and to the several views that methods compare."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_NO_POSITION = 2**32 - 1
_CHUNK, _LARGE = 8, 2**16


def per_example(function: Callable[[jax.Array, Any], Any], key: jax.Array, batch: Any) -> Any:
    """Applies `function(key, example)` to every example of a batch, each with a key of its own.

    The key of an example depends on `key` and on its position in the batch alone, so a global batch under `jax.jit`
    gets the same views on any number of devices. On CPUs large results (64 KiB an example and more, as images of 96
    pixels are) are made 8 a device at a time, so that what lies between two operations stays in the cache.

    Args:
      function: of a key and one example (a tree like `batch`, without the batch axis). Where it has `for_step(key)`,
        that draws what all examples of a step share, and returns the function that is applied to each. Where it has
        `of_batch(key, batch)`, that is called in its place: it looks at the other examples too.
      key: of this step.
      batch: a tree of arrays, the batch being the first axis of each.

    Returns:
      What `function` returns, with the batch as first axis.
    """
    if hasattr(function, "of_batch"):
        return function.of_batch(key, batch)
    if hasattr(function, "for_step"):
        function = function.for_step(jax.random.fold_in(key, _NO_POSITION))
    count, chunk = jax.tree.leaves(batch)[0].shape[0], _CHUNK * jax.device_count()
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(count))
    whole = jax.vmap(function)
    if count <= chunk or count % chunk or _bytes_an_example(whole, keys, batch) < _LARGE:
        return whole(keys, batch)
    # Decided when the program is lowered: a machine without accelerators may compile for those of others.
    return jax.lax.platform_dependent(
        keys, batch, cpu=lambda *rows: _in_chunks(whole, chunk, *rows), default=lambda *rows: whole(*rows)
    )


def _bytes_an_example(whole, keys, batch):
    leaves = jax.tree.leaves(jax.eval_shape(whole, keys, batch))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves) // keys.shape[0]


def _in_chunks(whole, chunk, *rows):
    """`chunk` rows at a time, taken evenly from the whole batch, so that each stays on the device that has it."""
    apart = jax.tree.map(lambda x: x.reshape(chunk, -1, *x.shape[1:]).swapaxes(0, 1), rows)
    done = jax.lax.map(lambda some: whole(*some), apart)
    return jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]), done)


def two_views(view: Any, key: jax.Array, batch: Any) -> jax.Array:
    """Two views of each example, [B, 2, S, S, C]: one of `view.train` and one of `view.second`, where the view has it.

    Args:
      view: a view maker.
      key: of this step.
      batch: a tree of arrays, the batch being the first axis of each.
    """
    makers = (view.train, getattr(view, "second", view.train))
    return _stacked(makers, jax.random.split(key), batch)


def multi_crop(view: Any, key: jax.Array, batch: Any) -> dict[str, jax.Array]:
    """Two large views of each example and several small ones (Caron et al. 2020, SwAV, section 3.3).

    Args:
      view: a view maker; `view.local` draws one small view, `view.local_crops` says how many; a view maker without
        them has none.
      key: of this step.
      batch: a tree of arrays, the batch being the first axis of each.

    Returns:
      'image' [B, 2, S, S, C], as from `two_views`, and, where there are small views, 'local' [B, L, s, s, C].
    """
    count = getattr(view, "local_crops", 0)
    large_key, small_key = jax.random.split(key)
    views = {"image": two_views(view, large_key, batch)}
    if count:
        views["local"] = _stacked((view.local,) * count, jax.random.split(small_key, count), batch)
    return views


def all_crops(
    function: Callable[[jax.Array, jax.Array], jax.Array], views: dict[str, jax.Array], key: jax.Array
) -> jax.Array:
    """`function(images, key)` of what `multi_crop` gives, all of one size in one pass: [B, 2 + L, ...].

    Large views come first. What looks across the batch sees those of one size together.
    """
    sizes = [views[name] for name in ("image", "local") if name in views]
    keys = jax.random.split(key, len(sizes))
    passes = (each_view(lambda images, k=k: function(images, k), of_size) for of_size, k in zip(sizes, keys))
    return jnp.concatenate(list(passes), axis=1)


def _stacked(makers, keys, batch):
    return jnp.stack([per_example(make, key, batch) for make, key in zip(makers, keys, strict=True)], axis=1)


def each_view(function: Callable[..., Any], *views: jax.Array) -> Any:
    """`function` of all views in one pass: arrays [B, V, ...] -> [B, V, ...]. Rows stay where they lie on devices.

    What looks across the batch sees all views together; a `BatchNorm` takes them apart where it was told so
    (`models.normalize_apart`).
    """
    batch, count = views[0].shape[:2]
    split = lambda x: x.reshape(batch, count, *x.shape[1:])
    return jax.tree.map(split, function(*(x.reshape(batch * count, *x.shape[2:]) for x in views)))
