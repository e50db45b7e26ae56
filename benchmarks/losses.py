"""Time and memory of losses over all pairs: in blocks, plain, and in other libraries, value and gradient.

    python benchmarks/losses.py [--batch=4096 16384] [--rounds=5]            # NT-Xent beside its peers
    python benchmarks/losses.py --loss clip siglip sup_con --batch=4096      # the forms of other losses
    python benchmarks/losses.py --batch=65536 --form blocks --rounds=1       # what only blocks can do
    python benchmarks/losses.py --devices 1 2 4 8 --form blocks --batch=16384 --rounds=1  # memory a device
    python benchmarks/losses.py --platform=cuda --batch 16384 --block_size=4096           # on a GPU

A batch of N is N pairs of views, that is 2N embeddings of 128 numbers, float32. Every measurement has a process of its
own. Memory is what the process has at its peak beyond what it had with the inputs made and the program compiled; with
several devices, or on a GPU, it is XLA's own count of temporary memory a device, without the gradients, and PyTorch's
of what its allocator gave at the peak beyond the inputs, gradients included. Time is the best of some rounds, between
which all forms take turns, so that what else the machine does weighs on all alike. All multiply in float32. `lightly`
needs requirements-peers.txt.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

WIDTH, TEMPERATURE = 128, 0.1
Measurable = tuple[Callable[[], object], int | None]
"""A call that computes value and gradient, and the temporary bytes on the device that its library counted, if any."""
EXTRA = {"nt_xent": ("optax",)}
"""Not by default: optax's needs memory for N^2 times the width."""
PEERS = {"nt_xent": ("textbook", "lightly"), "clip": ("open_clip",), "siglip": ("open_clip",)}


def inputs(batch: int):
    """Two views' embeddings, as NumPy arrays."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((2, batch, WIDTH), dtype=np.float32)


def ours(loss: str, batch: int, block_size: int | None, devices: int) -> Measurable:
    """This library's form, in blocks or, without their size, plain."""
    import functools

    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding
    from jax.sharding import PartitionSpec as P

    from ssl_jax import losses

    options = dict(block_size=block_size, axis_name="data" if devices > 1 else None)
    call = functools.partial(getattr(losses, loss), **options)
    if loss == "sup_con":
        call = lambda a, b: losses.sup_con(jnp.stack([a, b], 1), jnp.arange(a.shape[0]) % 10, **options)
    if loss == "uniformity":
        call = lambda a, b: losses.uniformity(a, **options) + losses.uniformity(b, **options)
    views = [jnp.asarray(x) for x in inputs(batch)]
    if devices > 1:
        mesh = jax.sharding.Mesh(jax.devices()[:devices], ("data",))
        call = jax.shard_map(call, mesh=mesh, in_specs=P("data"), out_specs=P())
        views = jax.device_put(views, NamedSharding(mesh, P("data")))
    return _compiled(jax.value_and_grad(call, (0, 1)), *views)


def _compiled(function: Callable, *arrays: Any) -> Measurable:
    import jax

    compiled = jax.jit(function).lower(*arrays).compile()
    return lambda: jax.block_until_ready(compiled(*arrays)), compiled.memory_analysis().temp_size_in_bytes


def textbook(loss: str, batch: int) -> Measurable:
    """NT-Xent in JAX as the authors' code (google-research/simclr) writes it: masks and labels as whole matrices."""
    import jax
    import jax.numpy as jnp

    def nt_xent(a, b):
        a, b = (x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        labels, itself = jax.nn.one_hot(jnp.arange(batch), 2 * batch), 1e9 * jnp.eye(batch)
        loss = 0.0
        for x, y in ((a, b), (b, a)):
            logits = jnp.concatenate([x @ y.T, x @ x.T - itself], axis=1) / TEMPERATURE
            loss += -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits), axis=1)) / 2
        return loss

    views = [jnp.asarray(x) for x in inputs(batch)]
    return _compiled(jax.value_and_grad(nt_xent, (0, 1)), *views)


def optax(loss: str, batch: int) -> Measurable:
    """optax's NT-Xent, which takes all embeddings and their labels."""
    import jax
    import jax.numpy as jnp
    from optax.losses import ntxent

    labels = jnp.tile(jnp.arange(batch), 2)
    z = jnp.concatenate([jnp.asarray(x) for x in inputs(batch)])
    return _compiled(jax.value_and_grad(lambda z: ntxent(z, labels, TEMPERATURE)), z)


def torch_peer(loss: str, batch: int) -> Measurable:
    """lightly's NT-Xent, or open_clip's losses."""
    import torch

    on_gpu = os.environ["JAX_PLATFORMS"] == "cuda"
    device = torch.device("cuda" if on_gpu else "cpu")
    views = [torch.from_numpy(x).to(device).requires_grad_() for x in inputs(batch)]
    if loss == "nt_xent":
        import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable, for lightly)
        from lightly.loss.ntx_ent_loss import NTXentLoss

        call = NTXentLoss(temperature=TEMPERATURE)
    else:
        from tests.fidelity.peers import bare

        bare("open_clip")
        from open_clip.loss import ClipLoss, SigLipLoss

        unit = lambda x: torch.nn.functional.normalize(x, dim=1)
        extra = (torch.tensor(-10.0, device=device),) if loss == "siglip" else ()
        peer = SigLipLoss() if loss == "siglip" else ClipLoss()
        call = lambda a, b: peer(unit(a), unit(b), torch.tensor(1 / TEMPERATURE, device=device), *extra)

    def run() -> None:
        for view in views:
            view.grad = None
        call(*views).backward()
        if on_gpu:
            torch.cuda.synchronize()

    if not on_gpu:
        return run, None
    before = torch.cuda.memory_allocated()
    run()
    return run, torch.cuda.max_memory_allocated() - before


def memory(what: str) -> int:
    """A figure of this process in bytes: VmRSS, what it has now; VmHWM, the most it had since the last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def serve(loss: str, form: str, batch: int, block_size: int, devices: int) -> None:
    """Answers each line of input with the seconds of one run; the first with its memory, too."""
    if form in ("blocks", "plain"):
        run, temporary = ours(loss, batch, block_size if form == "blocks" else None, devices)
    else:
        run, temporary = {"textbook": textbook, "optax": optax}.get(form, torch_peer)(loss, batch)
    counted = devices > 1 or os.environ["JAX_PLATFORMS"] != "cpu"  # not all is the process's memory
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    peak = None
    for _ in sys.stdin:
        begun = time.perf_counter()
        run()
        seconds = time.perf_counter() - begun
        peak = memory("VmHWM") - before if peak is None else peak
        print(json.dumps({"seconds": seconds, "peak": temporary if counted else peak}), flush=True)


class Measured:
    """One form, in its own process."""

    def __init__(self, options: argparse.Namespace, loss: str, form: str, batch: int, devices: int):
        self.name, self.seconds, self.peak = form, float("inf"), 0
        command = [sys.executable, __file__, "--serve", "--loss", loss, "--form", form]
        command += ["--batch", str(batch), "--devices", str(devices), "--block_size", str(options.block_size)]
        flags = f"--xla_force_host_platform_device_count={devices}"
        environment = {**os.environ, "JAX_PLATFORMS": options.platform, "XLA_FLAGS": flags}
        environment |= {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process = subprocess.Popen(command, env=environment, **pipes)

    def run(self) -> None:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended with status {self.process.wait()}")
        found = json.loads(answer)
        self.seconds = min(self.seconds, found["seconds"])
        self.peak = max(self.peak, found["peak"])


def compare(options: argparse.Namespace, loss: str, batch: int, devices: int) -> None:
    """A table of one loss at one batch size."""
    forms = options.form or ("blocks", "plain", *(PEERS.get(loss, ()) if devices == 1 else ()))
    print(f"\n{loss}, batch {batch}" + (f", {devices} devices" if devices > 1 else ""))
    print(f"{'':12}{'seconds':>10}{'times blocks':>14}{'MB':>10}{'times blocks':>14}", flush=True)
    measured = [Measured(options, loss, form, batch, devices) for form in forms]
    for _ in range(options.rounds + 1):  # the first is the warm-up, and tells the memory
        for one in measured:
            one.run()
    for one in measured:
        first = measured[0]
        ratios = one.seconds / first.seconds, one.peak / first.peak
        print(f"{one.name:12}{one.seconds:10.3f}{ratios[0]:14.2f}{one.peak / 1e6:10.1f}{ratios[1]:14.1f}", flush=True)
        one.process.stdin.close()
        one.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loss", nargs="+", default=["nt_xent"])
    parser.add_argument("--batch", nargs="+", type=int, default=[4096, 16384])
    parser.add_argument(
        "--form",
        nargs="+",
        help="blocks, plain, and, where there is one: textbook, lightly, open_clip (the default), optax",
    )
    parser.add_argument("--devices", nargs="+", type=int, default=[1], help="host devices to spread the batch over")
    parser.add_argument("--block_size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--platform", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    for loss in options.loss:
        if unknown := set(options.form or ()) - {"blocks", "plain", *PEERS.get(loss, ()), *EXTRA.get(loss, ())}:
            parser.error(f"{loss} has no form {', '.join(unknown)}")
    if max(options.devices) > 1 and set(options.form or ()) - {"blocks", "plain"}:
        parser.error("only blocks and plain are spread over several devices")
    if options.serve:
        return serve(options.loss[0], options.form[0], options.batch[0], options.block_size, options.devices[0])
    for loss in options.loss:
        for batch in options.batch:
            for devices in options.devices:
                compare(options, loss, batch, devices)


if __name__ == "__main__":
    main()
