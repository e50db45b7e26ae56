"""What XLA is told when it compiles the train step."""

import functools

import jax
from jax.sharding import Mesh

_CPU = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE,LIBRARY_FUSION_TYPE_ELTWISE"}


def options(mesh: Mesh) -> dict[str, str]:
    """`compiler_options` of `jax.jit` for a step on the devices of `mesh`; empty unless they are CPUs.

    By default XLA:CPU (jaxlib 0.10.2) hands convolutions and matrix products to YNNPACK, whose convolution is slow if
    the kernel is as large as a picture, which is what the gradient with respect to a kernel is. With YNNPACK left to
    sums and elementwise chains, they go to XLA's own routines: a step of ResNet-18, 128 pictures of 32x32, took 1.57 s
    on two cores instead of 2.71 s, PyTorch's 1.36 s (best of two in turns; `python benchmarks/resnet.py`). With sums
    alone it took 1.97 s.
    A jaxlib without the option compiles as it would by itself.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return {}
    return dict(_CPU) if _known() else {}


@functools.cache
def _known() -> bool:
    """Whether this jaxlib takes the options: it refuses those that it does not know."""
    try:
        jax.jit(lambda: 0, compiler_options=_CPU).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
