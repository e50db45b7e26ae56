"""Temporary memory a chip of a loss over all pairs, by compiling it for TPU pods that are not there.

    pip install -r requirements-plan.txt
    python benchmarks/tpu_memory.py [--topology=v5e:16x16] [--batch=32768 262144 1048576 4194304] [--form blocks plain]

The XLA:TPU compiler is real, the chips are not: memory is the compiler's own account, and nothing is timed. Embeddings
have 512 numbers, float32, spread over all chips of the topology; value and gradient with respect to both sides.
"""

import argparse
import functools
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ssl_jax.launchers import chips  # noqa: E402

os.environ |= chips.environment("v5e:1x1")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.experimental import topologies  # noqa: E402
from jax.sharding import Mesh, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from ssl_jax import losses  # noqa: E402


def compile_for(mesh: Mesh, loss: str, batch: int, width: int, block_size: int | None):
    """The compiled value and gradient."""
    call = functools.partial(getattr(losses, loss), block_size=block_size, axis_name="data")
    call = jax.shard_map(call, mesh=mesh, in_specs=P("data"), out_specs=P())
    rows = jax.ShapeDtypeStruct((batch, width), jnp.float32, sharding=NamedSharding(mesh, P("data")))
    return jax.jit(jax.value_and_grad(call, (0, 1))).lower(rows, rows).compile()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topology", default="v5e:16x16")
    parser.add_argument(
        "--loss", default="clip", help="a loss of two sides with a block_size: clip, siglip, nt_xent, dcl"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[32768, 262144, 1048576, 4194304], help="global")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--block_size", type=int, default=512)
    parser.add_argument("--form", nargs="+", default=["blocks"], choices=["blocks", "plain"])
    options = parser.parse_args()
    devices = topologies.get_topology_desc(platform="tpu", topology_name=options.topology).devices
    mesh = Mesh(devices, ("data",))
    print(f"{options.loss}, {len(devices)} chips of {options.topology}, width {options.width}; MB a chip")
    print(f"{'batch':>10}{'form':>10}{'inputs':>10}{'gradients':>10}{'temporary':>10}{'compiled in':>14}", flush=True)
    for batch in options.batch:
        for form in options.form:
            begun = time.perf_counter()
            block_size = options.block_size if form == "blocks" else None
            found = compile_for(mesh, options.loss, batch, options.width, block_size).memory_analysis()
            sizes = found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes
            cells = "".join(f"{size / 1e6:10.1f}" for size in sizes)
            print(f"{batch:10}{form:>10}{cells}{time.perf_counter() - begun:12.1f} s", flush=True)


if __name__ == "__main__":
    main()
