"""How much a traced program multiplies: its matrix products and convolutions, which is what papers count."""

import math
from typing import Any

from jax.extend import core


def multiply_adds(jaxpr: Any) -> int:
    """The multiply-adds of all matrix products and convolutions of a program; twice as many are its FLOPs.

    Counted from the program and not by XLA's `cost_analysis`, which counts the body of a scan once, however long that
    is. Padding counts as pixels do, as in the numbers of papers (4.1 G for a ResNet-50 at 224 pixels); zeros put
    between pixels, in the gradient of a strided convolution, do not. Of branches the largest counts, of a loop of
    unknown length one turn.

    Args:
      jaxpr: a `Jaxpr` or `ClosedJaxpr`, as in `jax.jit(f).trace(x).jaxpr`.
    """
    return sum(_of(equation) for equation in _open(jaxpr).eqns)


def _of(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        return math.prod(out) * math.prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, out = equation.invars[1].aval.shape, equation.outvars[0].aval.shape
        features = kernel[params["dimension_numbers"].rhs_spec[0]]
        return math.prod(out) * math.prod(kernel) // features // math.prod(params["lhs_dilation"])
    inner = [multiply_adds(each) for each in _inside(params)]
    if name == "cond":
        return max(inner)
    times = {"scan": "length", "shard_map": "mesh"}.get(name)
    return sum(inner) * (1 if times is None else params[times] if times == "length" else params[times].size)


def _inside(params: dict[str, Any]) -> list[Any]:
    """The programs that an equation calls."""
    values = [item for value in params.values() for item in (value if isinstance(value, (tuple, list)) else (value,))]
    return [value for value in values if isinstance(value, (core.Jaxpr, core.ClosedJaxpr))]


def _open(jaxpr: Any) -> Any:
    return jaxpr.jaxpr if isinstance(jaxpr, core.ClosedJaxpr) else jaxpr
