"""Checks of shapes and settings; each raises a ValueError of one line, at trace time."""

import jax
import jax.numpy as jnp


def check_shape(name: str, array: jax.Array, shape: tuple[int, ...]) -> None:
    """Raises ValueError where `array` has another shape than this."""
    if array.shape != tuple(shape):
        raise ValueError(f"{name} must be {tuple(shape)}, not {array.shape}")


def check_same(form: str, **arrays: jax.Array) -> None:
    """All arrays have one shape, not empty, with as many axes as `form` names: `check_same("[N, D]", a=a, b=b)`.

    Raises:
      ValueError: they have not.
    """
    axes = form.count(",") + 1
    shapes = [array.shape for array in arrays.values()]
    if len(shapes[0]) != axes or len(set(shapes)) > 1 or 0 in shapes[0]:
        every = {1: "", 2: "both "}.get(len(shapes), "all ")
        raise ValueError(f"{' and '.join(arrays)} must {every}be {form}, not {' and '.join(map(str, shapes))}")


def check_positive(**settings: float | jax.Array) -> None:
    """Raises ValueError where a setting is not above 0, as far as values are known when they are traced."""
    for name, value in settings.items():
        if _known(value) and not value > 0:
            raise ValueError(f"{name} {value} is not positive")


def check_range(low: float, high: float, **settings: float | jax.Array) -> None:
    """Raises ValueError where a setting is outside [low, high], as far as values are known when they are traced."""
    for name, value in settings.items():
        if _known(value) and not low <= value <= high:
            raise ValueError(f"{name} {value} is not between {low} and {high}")


def check_choice(choices: tuple[str, ...], **settings: str) -> None:
    """Raises ValueError where a setting given by name is none of the choices."""
    for name, value in settings.items():
        if value not in choices:
            raise ValueError(f"{name} {value!r} is not one of {', '.join(choices)}")


def _known(value):
    return not isinstance(value, jax.core.Tracer) and jnp.ndim(value) == 0
