"""Joint-embedding methods and MAE beside those of other libraries: speed of whole training steps, and accuracy.

    python benchmarks/peers.py throughput [--networks vit resnet18] [--methods simclr byol] [--rounds 3]
    python benchmarks/peers.py accuracy [--tables small_openmoji masked_openmoji] [--methods simclr mae] [--seeds 3]

Peers are lightly on PyTorch and the JAX backend of stable-pretraining, where they are installed
(requirements-peers.txt and -nodeps). Settings are those of configs/small_*.py and, for MAE, of configs/masked_*.py, for
everyone; a contender that has no counterpart of one refuses to run. Each contender is a process of its own.

`throughput` times whole steps, views included, from uint8 pictures in memory, with `configs/small_openmoji.py` and a
ViT of three layers, or a ResNet-18 with the stem for small pictures; MAE's with `configs/masked_openmoji.py` and its
ViT (`--networks masked_vit`). Contenders take turns. Each peer first tries its ways to make views (no worker processes
or as many as there are cores; stable-pretraining also its own views, in the compiled step), and goes on with the
quickest. `accuracy` trains with each seed, and judges features of all contenders by this project's kNN and linear
probe.

What was found goes to docs/peers.json, one entry a job, and what is there already is not done again, so the command may
be stopped and repeated. docs/peers.md is made of it (`benchmarks/peers_page.py`).
"""

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.contenders import setup as setups  # noqa: E402
from benchmarks.contenders.jobs import (  # noqa: E402
    JOINT,
    MASKED,
    NETWORKS,
    TABLES,
    Network,
    config_of,
    digest,
    timed_config,
)
from benchmarks.contenders.process import CLASSES, Contender, installed  # noqa: E402
from benchmarks.joblist import Job, work_off  # noqa: E402

METHODS = {
    "ours": (*JOINT, *MASKED),
    "lightly": (*JOINT, *MASKED),
    "stable-pretraining": ("simclr", "byol", "barlow_twins", "vicreg", "simsiam"),
}


def ways(name: str) -> list[int | None]:
    """How a contender may make its views: numbers of worker processes, or None for on the device."""
    loaders = [0, len(os.sched_getaffinity(0))]
    return {"ours": [None], "lightly": loaders, "stable-pretraining": [None, *loaders]}[name]


def throughput(method: str, network: Network, rounds: int, data_dir: str | None) -> dict:
    """Seconds a step of each contender in each round, and the way of making views that it was quickest with."""
    setup = setups.make(timed_config(method, network), data_dir)[0]
    with contextlib.ExitStack() as stack:
        chosen = {}
        for name in CLASSES:
            if installed(name) and method in METHODS[name]:
                chosen[name] = _quickest(stack, name, setup, network)
        turns = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, (_, contender) in chosen.items():
                turns[name].append(contender.time(network.warm, network.steps))
    workers = {name: way for name, (way, _) in chosen.items()}
    return {"seconds": turns, "workers": workers, "batch_size": network.batch_size}


def _quickest(
    stack: contextlib.ExitStack, name: str, setup: setups.Setup, network: Network
) -> tuple[int | None, Contender]:
    """The quickest way of a contender, and a process that runs it."""
    running = {way: stack.enter_context(Contender(name, setup, way)) for way in ways(name)}
    if len(running) > 1:
        seconds = {}
        for way, contender in running.items():
            contender.run(1)  # compiles
            seconds[way] = contender.time(network.warm, network.steps)
        for way in sorted(running, key=seconds.get)[1:]:
            running.pop(way).stop()
    ((way, contender),) = running.items()
    contender.run(1)
    return way, contender


def accuracy(table: str, method: str, name: str, seed: int, data_dir: str | None) -> dict:
    """One run of one contender: scores of its features, or nothing but the loss where that ended as NaN or Inf."""
    setup, judge, splits = setups.make(config_of(table, method, seed=seed), data_dir)
    way = ways(name)[-1]
    with Contender(name, setup, way) as contender:
        loss = contender.run(setup.config["steps"])
        if not math.isfinite(loss):
            return {"loss": str(loss)}
        features = [(contender.embed(images), labels) for images, labels in splits]
    return judge(*features) | {"loss": loss}


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """(key, function) of everything that was asked for."""
    asked = lambda table: [method for method in TABLES[table] if not options.methods or method in options.methods]
    if options.command == "throughput":
        for network in options.networks:
            for method in asked(NETWORKS[network].table):
                arguments = method, NETWORKS[network], options.rounds, options.data_dir
                yield f"throughput/{network}/{method}", lambda a=arguments: throughput(*a)
        return
    for table in options.tables:
        for method in asked(table):
            for seed in range(options.seeds):
                for name in options.contenders:
                    if installed(name) and method in METHODS[name]:
                        arguments = table, method, name, seed, options.data_dir
                        yield f"accuracy/{table}/{method}/{name}/seed{seed}", lambda a=arguments: accuracy(*a)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("throughput", "accuracy"):
        command = commands.add_parser(name)
        command.add_argument("--methods", nargs="+", choices=METHODS["ours"], help="only these; all where left out")
        command.add_argument("--data_dir", default=None, help="where TFDS data lies")
        if name == "throughput":
            command.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
            command.add_argument("--rounds", type=int, default=3)
        else:
            command.add_argument(
                "--tables", nargs="+", choices=list(TABLES), default=["small_openmoji", "masked_openmoji"]
            )
            command.add_argument("--contenders", nargs="+", choices=list(CLASSES), default=list(CLASSES))
            command.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...")
    return parser.parse_args()


def main() -> None:
    from benchmarks import peers_page

    options, found = _options(), peers_page.read()
    os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")  # on GPUs; PyTorch's own default
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the GPU is shared with the contenders
    os.environ.setdefault("LOGURU_LEVEL", "ERROR")  # else stable-pretraining writes into the progress bar
    for name in CLASSES:
        if not installed(name):
            print(f"{name} is left out: it needs {', '.join(CLASSES[name][2:])}.")
    todo = [(key, job) for key, job in jobs(options) if key not in found]
    work_off("peers", todo, found, peers_page, lambda key: {"config": digest(key), "hardware": peers_page.hardware()})


if __name__ == "__main__":
    main()
