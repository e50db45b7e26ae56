"""Compiles the train step of each paper's config with the XLA:TPU compiler, for the pod of the paper or an equal one.

    pip install -r requirements-plan.txt
    python benchmarks/pods.py [--configs simclr_imagenet_rn50 ...]

Fills docs/pods.json, a process for each line, and makes docs/pods.md from it; lines that are there are not made again.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssl_jax import config as configs  # noqa: E402
from ssl_jax.errors import unknown  # noqa: E402
from ssl_jax.launchers import chips  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS, PAGE = ROOT / "docs" / "pods.json", ROOT / "docs" / "pods.md"
WITHOUT = ("dvae_imagenet",)  # compiling its step was stopped after 16 minutes, with other work beside it
# One chip of v5e (16 GiB) for a core of a TPU v3 (BYOL: for two) or a GPU, one of v5p for an A100 of 80 GB (and for
# each of V-JEPA's GPUs), one of v6e (32 GiB) for a TPU v4, 16 for BERT's 16. Where a paper does not say what it ran on:
# for ImageNet one of v5e (LeJEPA's ViT-H: of v6e) for each 64 pictures of a batch, one for CIFAR-10.
SLICES = {
    "barlow_twins_imagenet_rn50": ("v5e:4x4",),
    "beit_imagenet_vit_b16": ("v5e:4x4",),
    "bert_base": ("v5e:4x4",),
    "byol_imagenet_rn50": ("v3:16x16", "v5e:16x16"),
    "capi_imagenet_vit_l14": ("v5e:16x16",),
    "clip_laion400m_vit_b32": ("v5e:8x16",),
    "data2vec_vision_imagenet_vit_b16": ("v5e:4x4",),
    "dcl_imagenet_rn50": ("v5e:2x2",),
    "dino_imagenet_vit_s16": ("v5e:4x4",),
    "dinov2_imagenet_vit_l16": ("v5p:2x4x4",),
    "i_jepa_imagenet_vit_h14": ("v5p:2x2x4",),
    "ibot_imagenet_vit_s16": ("v5e:4x4",),
    "jigsaw_imagenet_rn50": ("v5e:2x4",),
    "lejepa_imagenet_vit_h14": ("v6e:2x4",),
    "mae_imagenet_vit_b16": ("v3:8x8",),
    "mask_feat_imagenet_vit_b16": ("v5e:4x8",),
    "moco_v2_imagenet_rn50": ("v5e:2x4",),
    "moco_v3_imagenet_rn50": ("v5e:4x4",),
    "moco_v3_imagenet_vit_b16": ("v5e:8x8",),
    "msn_imagenet_vit_s16": ("v5e:4x4",),
    "nnclr_imagenet_rn50": ("v5e:8x8",),
    "relative_position_imagenet_rn50": ("v5e:2x4",),
    "rotation_imagenet_rn50": ("v5e:2x4",),
    "siglip_laion400m_vit_b16": ("v6e:4x8",),
    "simclr_imagenet_rn50": ("v3:8x8", "v5e:8x16"),
    "simclr_v2_imagenet_rn50": ("v3:8x8",),
    "simmim_imagenet_vit_b16": ("v5e:4x4",),
    "simsiam_imagenet_rn50": ("v5e:2x4",),
    "sup_con_imagenet_rn50": ("v3:8x8",),
    "supervised_imagenet_rn50": ("v5e:2x4",),
    "supervised_imagenet_vit_b16": ("v5e:4x8",),
    "swav_imagenet_rn50": ("v5e:8x8",),
    "v_jepa_ucf101_vit_l16": ("v5p:4x4x8",),
    "vicreg_imagenet_rn50": ("v5e:4x8",),
}
SLICES |= {path.stem: ("v5e:1x1",) for path in sorted((ROOT / "configs").glob("*_cifar10_*.py"))}
TOP = """# Pods

What each paper's config needs on a TPU slice: its actual train step (views, forward, backward, optimizer, target
network), compiled by the XLA:TPU compiler ({compiler}), without a TPU. Nothing was run.

The slice is the paper's own pod, or an equal one: a v5e chip (16 GiB) for a core of a TPU v3 (for two in BYOL's case:
256 chips are the largest slice) or a GPU, a v5p chip for an A100 of 80 GB and for each GPU of V-JEPA's, a v6e chip (32
GiB) for a TPU v4, 16 chips for BERT's 16. Where a paper does not say what it ran on, a v5e chip for each 64 pictures of
a batch of ImageNet (for LeJEPA's ViT-H a v6e chip), and one for CIFAR-10.

    python benchmarks/pods.py                                                     # all lines
    python launch.py plan --config=configs/simclr_imagenet_rn50.py --topology=v5e:8x16   # one, with more about it

Memory is of one device (a v3 chip has two), as the compiler lays it out: state, batch, everything temporary. `least`
is the time of a step if the chip did nothing but the slowest of three: its FLOPs (matrix products and convolutions, at
its peak in bfloat16), its bytes to and from memory (as the compiled program moves them, loops counted as often as they
turn), and what it sends to others (in rings). Real steps take longer; hours are of training alone. `fed` is what each
host has to read and decode in a second to keep up with that. The chips' figures are in `ssl_jax/launchers/chips.py`,
with their source. BEiT's tokenizer, `dvae_imagenet`, has no line: compiling its step was stopped after 16 minutes, with
other work beside it.

"""
COLUMNS = ("config", "paper's hardware", "slice", "batch", "memory, GiB of", "least, ms", "bound by")
COLUMNS += ("sent, MiB a device", "hours", "chip-hours", "fed, examples/s a host")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=list(SLICES))
    parser.add_argument("--one", nargs=2, metavar=("CONFIG", "SLICE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(line(*options.one)))
        return
    for name in options.configs:
        if name not in SLICES:
            raise SystemExit(str(unknown("--configs", name, SLICES)))
        for topology in SLICES[name]:
            if f"{name} {topology}" not in kept():
                measure(name, topology)
    PAGE.write_text(page(kept()))


def measure(name: str, topology: str) -> None:
    command = [sys.executable, __file__, "--one", name, topology]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | dict(chips.environment(topology)))
    if done.returncode:
        raise SystemExit(f"{name} on {topology} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(name, topology, found, flush=True)
    write_atomically(RESULTS, json.dumps(kept() | {f"{name} {topology}": found}, indent=1, sort_keys=True) + "\n")


def kept() -> dict:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def line(name: str, topology: str) -> dict:
    """The plan of a config, in this process, as numbers."""
    from ssl_jax.experiment.plan import plan
    from ssl_jax.experiment.targets import target

    found = plan(configs.plain(configs.load(str(ROOT / "configs" / f"{name}.py"))), target(topology))
    sent = {kind: [each.count, each.size, each.sent] for kind, each in found.traffic.items()}
    numbers = dict(fits=found.fits, refusal=found.refusal, memory=dict(found.memory), has=found.where.memory)
    numbers |= dict(chips=found.where.chips, hosts=found.where.hosts, batch=found.batch_size, steps=found.steps)
    numbers |= dict(flops=found.flops, moved=found.moved, traffic=sent, times=dict(found.times), hours=found.hours)
    return numbers | dict(config=fingerprint(name), compiler=f"jaxlib {version('jaxlib')}, libtpu {version('libtpu')}")


def fingerprint(name: str) -> str:
    """Of what a config says, but of its evaluations and its first weights, which no step depends on."""
    config = configs.without(configs.plain(configs.load(str(ROOT / "configs" / f"{name}.py"))), "evaluate", "init_from")
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def page(lines: dict) -> str:
    compilers = sorted({each["compiler"] for each in lines.values()})
    head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    return (
        TOP.format(compiler=" and ".join(compilers))
        + head
        + "".join(
            row(name, topology, lines[f"{name} {topology}"])
            for name, topologies in sorted(SLICES.items())
            for topology in topologies
        )
    )


def row(name: str, topology: str, found: dict) -> str:
    from ssl_jax.experiment.plan import short

    config = configs.load(str(ROOT / "configs" / f"{name}.py"))
    has = found["has"] / 2**30
    memory = f"{found['memory']['whole'] / 2**30:.1f} of {has:.0f}" if found["memory"] else "does NOT fit"
    if found["memory"] and not found["fits"]:
        memory += ", does NOT fit"
    bound = max(found["times"], key=found["times"].get)
    seconds = found["times"][bound]
    sent = sum(each[2] for each in found["traffic"].values()) / 2**20
    cells = [f"`{name}`", config.expected.get("hardware") or "not stated", topology, f"{found['batch']:,}", memory]
    cells += [short(1e3 * seconds), bound, short(sent), short(found["hours"]), short(found["hours"] * found["chips"])]
    cells += [f"{found['batch'] / seconds / found['hosts']:,.0f}"]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
