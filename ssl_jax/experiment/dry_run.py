"""What a run would be, without running it: its config, parameters, cost of a step, and views. Nothing is trained."""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import rich
import rich.table
from flax import nnx
from jax.sharding import Mesh

from ssl_jax import config as configs
from ssl_jax import data, methods
from ssl_jax.experiment import device_errors, show
from ssl_jax.experiment.build import FEWEST_EXAMPLES, Experiment, build, check
from ssl_jax.experiment.flops import multiply_adds
from ssl_jax.experiment.resolve import resolved
from ssl_jax.models.targets import TargetWeight
from ssl_jax.train import mesh as meshes
from ssl_jax.train import processes
from ssl_jax.train.loop import jit_train_step

FOLDER = "dry_run"  # in a workdir, beside what a real run writes there


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one train step.

    Attributes:
      multiply_adds: of the global batch, on all devices together, as `flops.multiply_adds` counts.
      memory: bytes a device, by what they hold, as XLA compiled it for these devices; `whole` is all of it.
      seconds: that compiling took.
    """

    multiply_adds: int
    memory: dict[str, int]
    seconds: float


def dry_run(
    config: Mapping[str, Any],
    workdir: str | pathlib.Path,
    *,
    data_dir: str | None = None,
    method_table: Mapping[str, Callable] = methods.METHODS,
) -> int:
    """Prints what `launch.py --dry_run` shows, and draws the views into `workdir`/dry_run.

    Data that is not prepared is not needed: made-up examples of the same features stand in for it.

    Args:
      config: plain, as `config.plain` gives it.
      workdir: of the run that would be; it is neither locked nor given a config.
      data_dir: where TFDS data lies, None for TFDS's own default.
      method_table: name -> class of the methods that the config may name.

    Returns:
      The exit status, 0.

    Raises:
      UserError: the config is wrong.
      RunError: compiling the step needs more memory than there is.
    """
    config = resolved(config, method_table)
    experiment, made_up = assembled(config, data_dir=data_dir, method_table=method_table)
    for leaf, value in configs.flat(config).items():
        print(f"{leaf} = {value!r}")
    rich.print(parameter_table(experiment.method))
    if experiment.initial_weights() is not None:
        print(f"The network begins with the weights of {config['init_from']}.")
    if made_up:
        print(f"{config['data']['name']} is not prepared here; made-up examples stand in for it.")
    if experiment.data.spec.modality != "text":
        target = pathlib.Path(workdir).expanduser() / FOLDER / "views.png"
        if processes.first():
            show.draw_views(experiment, target)
        print(f"Views: {target}" + (" (of made-up examples)" if made_up else ""))
    else:
        print("Views: none are drawn, as the data is text.")
    print(_encoder(experiment), flush=True)
    print(f"Compiling one step of {experiment.recipe.batch_size:,} examples ...", flush=True)
    with device_errors.in_one_line():
        cost = step_cost(experiment)
    print(_shown(cost, experiment))
    return 0


def assembled(
    config: Mapping[str, Any],
    *,
    data_dir: str | None = None,
    mesh: Mesh | None = None,
    method_table: Mapping[str, Callable] = methods.METHODS,
) -> tuple[Experiment, bool]:
    """The experiment of a config, over all devices or on `mesh`, and whether data that is not prepared is made up."""
    check(config, method_table)
    made_up = not config["data"].get("mock") and not data.available(config["data"]["name"], data_dir)
    if made_up:
        enough = max(config["batch_size"], FEWEST_EXAMPLES)
        config = dict(config) | {"data": dict(config["data"]) | {"mock": enough}}
    packed = {"whole_batches": not made_up}  # several made-up documents may make one row
    return build(config, data_dir=data_dir, mesh=mesh, method_table=method_table, **packed), made_up


def part_sizes(method: nnx.Module) -> dict[str, tuple[int, int, int]]:
    """Scalars of each part of a method, in its order: trained, of target networks, and of other state."""
    sizes: dict[str, list[int]] = {name: [0, 0, 0] for name in vars(method)}
    for (name, *_), variable in nnx.to_flat_state(nnx.state(method)):
        kind = 0 if issubclass(variable.type, nnx.Param) else 1 if issubclass(variable.type, TargetWeight) else 2
        sizes[name][kind] += sum(leaf.size for leaf in jax.tree.leaves(variable))
    return {name: tuple(counts) for name, counts in sizes.items() if any(counts)}


def parameter_table(method: nnx.Module) -> rich.table.Table:
    """`part_sizes` for the terminal."""
    table = rich.table.Table(header_style="bold", title="Parameters")
    for name in ("part", "trained", "target (not trained)", "other state"):
        table.add_column(name, justify="left" if name == "part" else "right", no_wrap=True)
    sizes = part_sizes(method)
    for name, counts in sizes.items():
        table.add_row(name, *(f"{count:,}" if count else "" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{sum(counts):,}" for counts in zip(*sizes.values())), style="bold")
    return table


def encoder_multiply_adds(experiment: Experiment) -> int:
    """Of the forward pass of the encoder of one example as it is."""
    graphdef, state = nnx.split(experiment.method)
    embed = jax.jit(lambda state, inputs: nnx.merge(graphdef, state, copy=True).embed(inputs))
    backbone = multiply_adds(embed.trace(state, _abstract_batch(experiment, 1)).jaxpr)
    return backbone - _view_multiply_adds(experiment)


def _view_multiply_adds(experiment: Experiment) -> int:
    """Of the central crop, a resize, which is no part of the encoder."""
    view = experiment.method.view
    if not hasattr(view, "evaluate"):
        return 0
    return multiply_adds(jax.jit(jax.vmap(view.evaluate)).trace(_abstract_batch(experiment, 1)).jaxpr)


def step_multiply_adds(experiment: Experiment) -> int:
    """Of one train step, views, forward, backward and update, of the global batch. The step is traced, not compiled."""
    return multiply_adds(traced_step(experiment).jaxpr)


def step_cost(experiment: Experiment) -> Cost:
    """Traces and compiles the train step for the experiment's mesh; no parameter is made."""
    traced = traced_step(experiment)
    begun = time.monotonic()
    memory = memory_of(traced.lower().compile())
    return Cost(multiply_adds(traced.jaxpr), memory, time.monotonic() - begun)


def memory_of(compiled: Any) -> dict[str, int]:
    """Part -> bytes that a compiled step takes of each device."""
    found = compiled.memory_analysis()
    memory = {
        "state and batch": found.argument_size_in_bytes,
        "results beside them": found.output_size_in_bytes - found.alias_size_in_bytes,
        "temporary": found.temp_size_in_bytes,
    }
    return memory | {"whole": sum(memory.values())}


def traced_step(experiment: Experiment) -> Any:
    """The train step as `jax.jit(...).trace` gives it, for the experiment's mesh; no parameter is made."""
    recipe = experiment.recipe
    state = experiment.abstract_state()
    return jit_train_step(recipe, state).trace(state, _abstract_batch(experiment, recipe.batch_size))


def _abstract_batch(experiment: Experiment, size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch of the training split, its rows spread over the mesh where they can be."""
    mesh = experiment.recipe.mesh
    sharding = meshes.by_row(mesh) if size % mesh.shape["data"] == 0 else meshes.replicated(mesh)
    example = next(data.examples(experiment.data.train, batch_size=1, limit=1))
    abstract = lambda rows: jax.ShapeDtypeStruct((size, *rows.shape[1:]), jnp.asarray(rows).dtype, sharding=sharding)
    return {name: abstract(rows) for name, rows in example.items()}


def _encoder(experiment: Experiment) -> str:
    count = encoder_multiply_adds(experiment)
    return f"Encoder, forward, one example: {in_short(count)} multiply-adds ({in_short(2 * count)} FLOPs)"


def _shown(cost: Cost, experiment: Experiment) -> str:
    devices = experiment.recipe.mesh.devices.flatten()
    parts = ", ".join(f"{name} {in_bytes(size)}" for name, size in cost.memory.items() if name != "whole")
    return (
        f"One step, views, forward, backward and update: {in_short(2 * cost.multiply_adds)} FLOPs (2 a multiply-add of "
        f"matrix products and convolutions; element-wise work is not counted)\n"
        f"Memory on each of {len(devices)} x {devices[0].device_kind}: {in_bytes(cost.memory['whole'])} ({parts}), as "
        f"XLA compiled it here in {cost.seconds:.0f} s; other devices may need more or less\n"
        "Nothing was trained."
    )


def in_short(count: float) -> str:
    """A count with a letter for its size."""
    for factor, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= factor:
            return f"{count / factor:.3g} {letter}"
    return f"{count:,.0f}"


def in_bytes(size: float) -> str:
    """A size in GiB or MiB."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.1f} MiB"
