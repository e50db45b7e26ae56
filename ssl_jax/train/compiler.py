"""What XLA is told when it compiles the train step."""

import collections
import functools
from typing import Any

import jax
from jax.sharding import Mesh

_OPTION = "xla_cpu_experimental_ynn_fusion_type"
_LEFT_TO_YNNPACK = ("REDUCE", "ELTWISE")


def options(mesh: Mesh, params: Any) -> dict[str, str]:
    """`compiler_options` of `jax.jit` for a step on the devices of `mesh`; empty but for convolutions on CPUs.

    Args:
      mesh: where the step runs.
      params: tree of what is trained, arrays or shapes. Where more kernels are of convolutions, [h, w, in, out], than
        of dense layers, [in, out], the network counts as a convolutional one.

    By default XLA:CPU (jaxlib 0.10.2) hands convolutions to YNNPACK, whose convolution is slow if the kernel is as
    large as a picture, which is what the gradient with respect to a kernel is. With YNNPACK left to sums and
    elementwise chains, they go to XLA's own routine: a SimCLR step of ResNet-18, 64 pictures of 32x32 in two views,
    took 1.57 s on two cores instead of 2.73 s. Steps of ViTs are no quicker with any choice. `python
    benchmarks/resnet.py` has the step beside PyTorch's. A jaxlib without the option compiles as it would by itself.
    """
    ranks = collections.Counter(leaf.ndim for leaf in jax.tree.leaves(params))
    if mesh.devices.flat[0].platform != "cpu" or ranks[4] <= ranks[2] or not _known(_OPTION):
        return {}
    return {_OPTION: ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in _LEFT_TO_YNNPACK)}


@functools.cache
def _known(option: str) -> bool:
    """Whether this jaxlib takes the option: it refuses those that it does not know."""
    try:
        jax.jit(lambda: 0, compiler_options={option: ""}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
