"""What a run would need and take on devices that are not here: the actual step, compiled by the actual compiler."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import rich
import rich.table

from ssl_jax import config as configs
from ssl_jax import methods, models
from ssl_jax.errors import UserError
from ssl_jax.experiment import bytes_moved, collectives, hlo
from ssl_jax.experiment.build import Experiment
from ssl_jax.experiment.dry_run import assembled, in_bytes, in_short, memory_of, traced_step
from ssl_jax.experiment.flops import multiply_adds
from ssl_jax.experiment.targets import Target, target
from ssl_jax.train import mesh as meshes


@dataclasses.dataclass(frozen=True)
class Plan:
    """One step on one set of devices. Sizes are bytes on each device, times seconds.

    Attributes:
      where: the devices.
      steps, batch_size: of the run.
      flops: of the whole step on all devices: matrix products and convolutions.
      memory: part -> bytes, 'whole' their sum; empty where the compiler found that it does not fit.
      moved: between a device and its memory.
      traffic: what each device sends, by kind.
      times: what each alone would take at least: 'compute', 'memory', 'network'; empty where the chip's figures are not
        known, or the step does not fit.
      refusal: what the compiler said where the step does not fit.
      seconds: that it took to compile.
    """

    where: Target
    steps: int
    batch_size: int
    flops: float
    memory: Mapping[str, float]
    moved: float
    traffic: Mapping[str, collectives.Traffic]
    times: Mapping[str, float]
    refusal: str
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether a device's memory holds a step."""
        return not self.refusal and self.memory["whole"] <= self.where.memory

    @property
    def step_seconds(self) -> float | None:
        """A step takes at least so long: the slowest of the three, as if the others were hidden behind it."""
        return max(self.times.values(), default=None)

    @property
    def hours(self) -> float | None:
        """Of the whole run, without evaluations, at least."""
        return self.step_seconds and self.step_seconds * self.steps / 3600


def plan(config: Mapping[str, Any], where: Target, *, method_table: Mapping[str, Callable] = methods.METHODS) -> Plan:
    """Compiles the step of a config for some devices.

    Raises:
      UserError: the config is wrong, or does not split over the devices.
    """
    model = configs.construct(meshes.Sharding, config.get("sharding", {}), "config.sharding").model
    experiment, _ = assembled(config, mesh=meshes.make_mesh(where.devices, model=model), method_table=method_table)
    return _compiled(experiment, where)


def show(config: Mapping[str, Any], topology: str) -> int:
    """Prints the plan, and, where the step does not fit, the smallest change with which it does.

    Returns:
      The exit status: 0 it fits as it is, 1 it does not.

    Raises:
      UserError: as for `plan` and `target`.
    """
    where = target(topology)
    found = plan(config, where)
    rich.print(table(found))
    if found.fits:
        print("It fits.")
        return 0
    print(f"It does NOT fit.{' The compiler: ' + found.refusal if found.refusal else ''}")
    for written, changed, larger in remedies(config, where):
        print(f"Trying {written} ...", flush=True)
        try:
            other = plan(changed, larger)
        except UserError as error:  # the batch does not split any further
            print(error)
            continue
        if other.fits:
            print(f"It fits with {written}:")
            rich.print(table(other))
            return 1
    print("Nothing that was tried makes it fit.")
    return 1


def _compiled(experiment: Experiment, where: Target) -> Plan:
    recipe, begun = experiment.recipe, time.monotonic()
    traced = traced_step(experiment)
    run = dict(where=where, steps=recipe.steps, batch_size=recipe.batch_size)
    run |= dict(flops=2.0 * multiply_adds(traced.jaxpr))
    try:
        compiled = traced.lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        run |= dict(refusal=str(error).splitlines()[0][:300], seconds=time.monotonic() - begun)
        return Plan(**run, memory={}, moved=0.0, traffic={}, times={})
    program = hlo.read(compiled.as_text())
    moved, sent = bytes_moved.bytes_moved(program), collectives.traffic(program, len(where.devices))
    times = _times(where, run["flops"], moved, sum(each.sent for each in sent.values()))
    run |= dict(refusal="", seconds=time.monotonic() - begun)
    return Plan(**run, memory=memory_of(compiled), moved=moved, traffic=sent, times=times)


def _times(where: Target, flops: float, moved: float, sent: float) -> dict[str, float]:
    chip = where.chip
    if chip is None:
        return {}
    times = {"compute": flops / where.chips / chip.flops, "memory": moved * chip.devices / chip.memory_speed}
    return times | {"network": sent / chip.network_speed}  # in a ring, one of a chip's devices sends on


def remedies(config: Mapping[str, Any], where: Target) -> Iterator[tuple[str, dict[str, Any], Target]]:
    """Changes that make a step smaller, the least first, each with those before: (as written, config, devices)."""
    node, valid = dict(config["model"]), configs.settings_of(models.MODELS[config["model"]["name"]])
    sharding, written = dict(config.get("sharding", {})), []
    for remat in _stronger_remat(node.get("remat", False), "accumulate" in valid) if "remat" in valid else ():
        node["remat"], written = remat, [f"--config.model.remat={remat}"]
        yield written[0], config | {"model": dict(node)}, where
    if sharding.get("state", "replicated") == "replicated" and len(where.devices) > 1:
        sharding["state"] = "fsdp"
        written.append("--config.sharding.state=fsdp")
        yield " ".join(written), config | {"model": node, "sharding": sharding}, where
    for parts in (2, 4, 8) if "accumulate" in valid else ():
        if parts <= node.get("accumulate", 1):
            continue
        changed = config | {"model": node | {"accumulate": parts}, "sharding": sharding}
        yield " ".join([*written, f"--config.model.accumulate={parts}"]), changed, where
    while where := where.larger():
        yield f"--topology={where.name}", dict(config), where
        if written:
            smaller = config | {"model": node, "sharding": sharding}
            yield " ".join([f"--topology={where.name}", *written]), smaller, where


def _stronger_remat(now: bool | str, transformer: bool) -> list[bool | str]:
    """What recomputes more than `now`, the least first; element-wise work alone can be recomputed of transformers."""
    order = [False, "elementwise", True] if transformer else [False, True]
    return order[order.index(now) + 1 :]


def table(found: Plan) -> rich.table.Table:
    """A plan for the terminal."""
    where = found.where
    title = f"{where.name}: {where.chips} chips, {len(where.devices)} devices, {where.hosts} hosts"
    shown = rich.table.Table(show_header=False, title=title)
    shown.add_column()
    shown.add_column(justify="right")
    for row in (*_sizes(found), *_durations(found)):
        shown.add_row(*row)
    return shown


def _sizes(found: Plan) -> Iterator[tuple[str, str]]:
    for name, size in found.memory.items():
        yield f"memory of a device: {name}", in_bytes(size)
    yield "memory that it has", in_bytes(found.where.memory)
    yield "FLOPs of a step, all devices", in_short(found.flops)
    if not found.refusal:
        yield "moved between a device and its memory", in_bytes(found.moved)
    for kind, each in found.traffic.items():
        yield f"{each.count} x {kind}, of a device", f"{in_bytes(each.size)}, sent {in_bytes(each.sent)}"


def _durations(found: Plan) -> Iterator[tuple[str, str]]:
    if found.refusal:
        return
    if found.step_seconds is None:
        yield "time of a step", "this chip's speed is not known"
        return
    for name, seconds in found.times.items():
        yield f"a step, by {name} alone", _time(seconds)
    yield "a step takes at least", _time(found.step_seconds)
    yield f"{found.steps:,} steps take at least", f"{short(found.hours)} hours"
    yield "on all chips", f"{short(found.hours * found.where.chips)} chip-hours"
    fed = found.batch_size / found.step_seconds / found.where.hosts
    yield "examples/s that each host then feeds", f"{fed:,.0f}"


def _time(seconds: float) -> str:
    return f"{short(1e3 * seconds)} ms"


def short(number: float) -> str:
    """A number for people: three digits, and whole from 100 on."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
