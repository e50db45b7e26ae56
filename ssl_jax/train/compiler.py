"""What XLA is told when it compiles the train step."""

import collections
import functools
from typing import Any

import jax
from jax.sharding import Mesh

_OPTION = "xla_cpu_experimental_ynn_fusion_type"
_TRANSFORMER, _CONVOLUTIONAL = ("REDUCE", "DOT", "INDIVIDUAL_DOT"), ("REDUCE", "ELTWISE")


def options(mesh: Mesh, params: Any) -> dict[str, str]:
    """`compiler_options` of `jax.jit` for a step on the devices of `mesh`; empty unless they are CPUs.

    Args:
      mesh: where the step runs.
      params: tree of what is trained, arrays or shapes. Where more kernels are of convolutions, [h, w, in, out], than
        of dense layers, [in, out], the network counts as a convolutional one.

    By default XLA:CPU (jaxlib 0.10.2) hands convolutions to YNNPACK, whose convolution is slow if the kernel is as
    large as a picture, which is what the gradient with respect to a kernel is. With YNNPACK left to sums and matrix
    products, they go to XLA's own routine. A SimCLR step of ResNet-18, 64 pictures of 32x32 in two views, took 1.96 s
    on two cores instead of 3.05 s, one of a small ViT 108 ms instead of 104. With elementwise chains in place of the
    products it was 1.62 s and 165 ms: so the network decides. `python benchmarks/resnet.py` has the step beside
    PyTorch's. A jaxlib without the option compiles as it would by itself.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return {}
    ranks = collections.Counter(leaf.ndim for leaf in jax.tree.leaves(params))
    left_to_ynnpack = _CONVOLUTIONAL if ranks[4] > ranks[2] else _TRANSFORMER
    chosen = {_OPTION: ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in left_to_ynnpack)}
    return chosen if _known(_OPTION) else {}


@functools.cache
def _known(option: str) -> bool:
    """Whether this jaxlib takes the option: it refuses those that it does not know."""
    try:
        jax.jit(lambda: 0, compiler_options={option: ""}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
