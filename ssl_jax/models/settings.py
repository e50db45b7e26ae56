"""Checks that the constructors of this package share. Each raises a ValueError that names the argument."""

import contextlib
import re
from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp

DTYPES = ("float32", "bfloat16")  # float16 would need its loss scaled


def computation_dtype(dtype: str) -> jnp.dtype:
    """The dtype called `dtype`, in which a module computes (parameters stay float32).

    Raises:
      ValueError: it is none of `DTYPES`.
    """
    return jnp.dtype(one_of("dtype", dtype, DTYPES))


@contextlib.contextmanager
def called(**names: str) -> Iterator[None]:
    """What is said within of an argument is said of the setting that it comes from.

    Args:
      names: word of the message, such as an argument -> what to say: `width="decoder_width"`.

    Raises:
      ValueError: with the names of settings, in place of one that was raised within.
    """
    try:
        yield
    except ValueError as error:
        argument = re.compile(rf"(?<![\w.])({'|'.join(names)})\b")
        raise ValueError(argument.sub(lambda found: names[found[0]], str(error))) from error


def called_after(part: str, *names: str) -> contextlib.AbstractContextManager[None]:
    """`called`, where the settings are the arguments after the name of a part: 'decoder', 'width': decoder_width.

    Raises:
      ValueError: within it, as `called`.
    """
    return called(**{name: f"{part}_{name}" for name in names})


def one_of(name: str, value: object, valid: Iterable[object]) -> object:
    """`value`; raises a ValueError that lists the valid choices of the argument `name` where it is none of them."""
    valid = tuple(valid)
    if value not in valid:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(map(str, valid))}")
    return value


def at_least(minimum: int, **values: float) -> None:
    """Raises ValueError unless every keyword's value is at least `minimum`."""
    for name, value in values.items():
        if not value >= minimum:
            raise ValueError(f"{name} {value} is below {minimum}")


def positive(**values: float) -> None:
    """Raises ValueError unless every keyword's value is above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} {value} must be positive")


def probability(**rates: float) -> None:
    """Raises ValueError unless every keyword's value lies in 0 <= rate < 1."""
    for name, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"{name} {rate} is not in 0 <= {name} < 1")


def momenta(momentum: float, momentum_end: float) -> None:
    """A target's momentum and what it rises to: 0 <= momentum < 1, and momentum <= momentum_end <= 1.

    Raises:
      ValueError: one is out of this range.
    """
    probability(momentum=momentum)
    if not momentum <= momentum_end <= 1:
        raise ValueError(f"momentum_end {momentum_end} is not between momentum {momentum} and 1")


def last_blocks(top: int, depth: int) -> None:
    """Raises ValueError unless `top` of the last blocks of a network of so many can be averaged."""
    at_least(1, top=top)
    if top > depth:
        raise ValueError(f"top {top} is more than the {depth} blocks of config.model.depth")


def share(**shares: float) -> None:
    """Raises ValueError unless every keyword's value lies in 0 < share <= 1."""
    for name, value in shares.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} {value} is not in 0 < {name} <= 1")


def network(method: str, backbone: object, part: str, name: str) -> None:
    """Raises ValueError where a backbone lacks `part`, as it is not the network `name` that the method was made for."""
    if not hasattr(backbone, part):
        raise ValueError(f"{method} needs config.model.name {name!r}, not a {type(backbone).__name__}")


def divisible(name: str, value: int, by: str, divisor: int) -> None:
    """`value` must be a multiple of `divisor`; the names are those of the arguments.

    Raises:
      ValueError: it is not, or `divisor` is below 1.
    """
    at_least(1, **{by: divisor})
    if value % divisor:
        raise ValueError(f"{name} {value} is not divisible by {by} {divisor}")


def training_key(train: bool, key: jax.Array | None, **rates: float) -> jax.Array | None:
    """The key to draw dropout with, or None where nothing is drawn.

    Raises:
      ValueError: training with a positive rate and no key.
    """
    drawn = [name for name, rate in rates.items() if rate > 0]
    if not train or not drawn:
        return None
    if key is None:
        raise ValueError(f"train=True with {drawn[0]} {rates[drawn[0]]} needs the argument key")
    return key
