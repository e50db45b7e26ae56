"""Training steps on CPUs where glibc keeps freed memory, as `launch.py` has it, beside glibc's own way.

    python benchmarks/allocation.py [--configs FILE.py:VARIANT ...] [--steps=5] [--rounds=5] [--data_dir=DIR]

Two processes of each config, which differ in `train.memory.keep_freed` alone, make a round of steps in turns. The
median and the best round are shown, of wall time and of the time of all processors, and the most memory that each
process held. Ratios are to kept.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import rounds  # noqa: E402
from launch import name_of  # noqa: E402

KINDS = ("kept", "glibc")
CONFIGS = [str(ROOT / "configs" / name) for name in ("bert_kjv.py", "small_openmoji.py:simclr")]


def serve(kind: str, spec: str, steps: int, data_dir: str | None) -> None:
    """Makes `steps` steps for each line that comes in, and tells seconds and the most memory held so far (bytes)."""
    from ssl_jax.train import memory

    if kind == "kept" and not memory.keep_freed():
        sys.exit("This is no machine on which glibc could be told to keep memory.")

    import jax

    from ssl_jax import config as configs
    from ssl_jax.experiment import build
    from ssl_jax.train import mesh as meshes
    from ssl_jax.train.loop import jit_train_step

    answers, sys.stdout = sys.stdout, sys.stderr
    experiment = build(configs.plain(configs.load(spec)), data_dir=data_dir)
    batch = meshes.put_rows(experiment.batch_at(0), experiment.recipe.mesh)
    step, state = jit_train_step(experiment.recipe, experiment.abstract_state()), experiment.initial_state()
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            state, _ = jax.block_until_ready(step(state, batch))
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(time.perf_counter() - wall, time.process_time() - processor, held, file=answers, flush=True)


def compare(spec: str, options: argparse.Namespace) -> None:
    """Prints the lines of one config."""
    arguments = ["--configs", spec, f"--steps={options.steps}"]
    arguments += [f"--data_dir={options.data_dir}"] if options.data_dir else []
    command = [sys.executable, __file__, *arguments]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    servers = {kind: subprocess.Popen([*command, f"--serve={kind}"], **pipes) for kind in KINDS}
    found = {kind: [] for kind in KINDS}
    for number in range(options.rounds + 1):  # the first, which compiles, does not count
        for kind, server in servers.items():
            print(file=server.stdin, flush=True)
            answer = [float(word) for word in server.stdout.readline().split()]
            found[kind] += [answer] if number else []
    for server in servers.values():
        server.communicate()
    title = name_of(spec)
    rounds.show(
        title, {kind: [(wall / options.steps, own / options.steps) for wall, own, _ in found[kind]] for kind in KINDS}
    )
    kept, own = (found[kind][-1][2] / 2**20 for kind in KINDS)
    print(f"{title}: {kept:,.0f} MiB held, by itself {own:,.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=CONFIGS, help="FILE.py[:VARIANT]")
    parser.add_argument("--steps", type=int, default=5, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data_dir", default=None, help="where TFDS data lies")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.configs[0], options.steps, options.data_dir)
        return
    rounds.head(*KINDS)
    for spec in options.configs:
        compare(spec, options)


if __name__ == "__main__":
    main()
