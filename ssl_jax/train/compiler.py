"""What XLA is told when it compiles the train step."""

import functools

import jax
from jax.sharding import Mesh

_LEFT_TO_YNNPACK = ("REDUCE", "DOT", "INDIVIDUAL_DOT")
_CPU = {"xla_cpu_experimental_ynn_fusion_type": ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in _LEFT_TO_YNNPACK)}


def options(mesh: Mesh) -> dict[str, str]:
    """`compiler_options` of `jax.jit` for a step on the devices of `mesh`; empty unless they are CPUs.

    By default XLA:CPU (jaxlib 0.10.2) hands convolutions to YNNPACK, whose convolution is slow if the kernel is as
    large as a picture, which is what the gradient with respect to a kernel is. With YNNPACK left to sums and matrix
    products, they go to XLA's own routine. A SimCLR step of ResNet-18, 64 pictures of 32x32 in two views, took 1.96 s
    on two cores instead of 3.05 s, one of a small ViT 108 ms instead of 104. With elementwise chains in place of the
    products it was 1.62 s and 165 ms. `python benchmarks/resnet.py` has the step beside PyTorch's.
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
