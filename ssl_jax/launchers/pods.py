"""What the engines of TPU pods have in common: where a run lies there, what is started, what is checked beforehand."""

import hashlib
import pathlib
import re

from jax.sharding import AbstractMesh

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.launchers.chips import Slice
from ssl_jax.train import mesh as meshes
from ssl_jax.train.runs import Run, Sweep

NEEDS = ("-r", "requirements.txt", "jax[tpu]")  # what pip installs on each host
FAILED = 1  # exit status of a run that may do better when it is started again; after 2, the user's mistake, it won't


def arguments(sweep: Sweep, run: Run, mount: str) -> list[str]:
    """What Python is given on each host of the slice, in the project's folder.

    Args:
      sweep: that the run is of.
      run: whose command it is.
      mount: folder of the hosts under which the workdirs lie.

    Raises:
      UserError: the config lies outside of the project, so that it is not there.
    """
    data = [f"--data_dir={sweep.data_dir}"] if sweep.data_dir else []
    workdir = pathlib.PurePosixPath(mount) / run.folder.parent.name / run.folder.name
    return ["launch.py", f"--config={_within(sweep)}", *data, f"--workdir={workdir}", *run.arguments]


def project(sweep: Sweep) -> pathlib.Path:
    """The folder of launch.py, which is copied to the hosts."""
    return pathlib.Path(sweep.program[-1]).resolve().parent


def _within(sweep: Sweep) -> str:
    path, colon, variant = sweep.config.partition(":")
    file, root = pathlib.Path(path).resolve(), project(sweep)
    if not file.is_relative_to(root):
        raise UserError(f"--config: {path} is not in {root}, and that alone is copied to the TPUs; move it there.")
    return f"{file.relative_to(root).as_posix()}{colon}{variant}"


def name(run: Run, valid: str, most: int) -> str:
    """What an engine calls a run: its sweep and its identity, so that a rerun of the sweep finds it again.

    Args:
      run: of a sweep.
      valid: pattern of the engine's names.
      most: characters that one may have. Where the sweep's own name does not do, a hash of it is added.
    """
    sweep, identity = run.folder.parent.name, run.folder.name
    whole = f"{sweep}-{identity}"
    if re.fullmatch(valid, whole) and len(whole) <= most:
        return whole
    plain = re.sub(r"[^a-z0-9]+", "-", sweep.lower()).lstrip("-0123456789") or "sweep"
    digest = hashlib.sha256(sweep.encode()).hexdigest()[:6]
    return f"{plain[: most - len(identity) - 8].rstrip('-')}-{digest}-{identity}"


def check(sweep: Sweep, where: Slice, hosts: int) -> None:
    """Checks before anything is paid for that each run fits on the slice.

    Raises:
      UserError: a batch does not split over the chips, or `config.sharding.model` does not divide those of a host.
    """
    for run in sweep.runs:
        config = configs.plain(configs.overridden(sweep.config, run.overrides))
        model, own = config.get("sharding", {}).get("model", 1), where.chips // hosts
        if own % model:
            raise UserError(f"config.sharding.model is {model}, which does not divide the {own} chips of a host.")
        mesh = AbstractMesh((where.chips // model, model), ("data", "model"))
        try:
            meshes.check_batch_size(config["batch_size"], mesh)
        except UserError as error:
            raise UserError(f"{where.name}, run {sweep.name(run)}: {error}") from error


def check_mount(mount: str) -> None:
    """Raises ValueError where `mount` is no folder that a bucket can be mounted at."""
    if not pathlib.PurePosixPath(mount).is_absolute() or mount == "/" or ".." in mount:
        raise ValueError(f"mount {mount!r} must be a folder of the hosts, with all of its path, such as /runs")
