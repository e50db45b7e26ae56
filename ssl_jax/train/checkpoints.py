"""Saving and restoring a TrainState with Orbax: asynchronous, the newest and the best kept, damage survived."""

import contextlib
import logging
import pathlib
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from ssl_jax.errors import RunError, UserError
from ssl_jax.models.paths import path_name
from ssl_jax.train import processes
from ssl_jax.train.checksums import checksums
from ssl_jax.train.state import TrainState

log = logging.getLogger(__name__)
CHECKSUMS = "checksums"
NO_DAMAGE = (MemoryError, PermissionError, ConnectionError, TimeoutError)  # what a whole checkpoint may meet as well


class Checkpoints:
    """The `checkpoints/` folder of a workdir.

    A checkpoint is one flat dict of arrays, named by their path in the TrainState ('params.backbone.stem.kernel'), so
    that it can be read without this code, and `checksums` of them. Orbax writes to a temporary name and renames: a
    process killed in mid-save leaves the earlier checkpoints whole.
    """

    def __init__(self, workdir: str | pathlib.Path, *, every: int = 1000, keep: int = 2, best: str | None = None):
        """Opens the folder, making it where it is missing.

        Args:
          workdir: the run's folder.
          every: steps between checkpoints; the last step is always saved.
          keep: number of newest checkpoints kept, at least 2, so that there is one before a damaged one.
          best: name of an evaluation metric; the checkpoint with the highest (of a loss the lowest) is kept as well.

        Raises:
          ValueError: `every` below 1 or `keep` below 2.
        """
        check_settings(every=every, keep=keep, best=best)
        self.folder, self.every, self.best = pathlib.Path(workdir).absolute() / "checkpoints", every, best
        self._best = _Best()
        policies = [preservation_policy.LatestN(keep), self._best]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation_policy.AnyPreservationPolicy(policies),
            cleanup_tmp_directories=True,
            enable_async_checkpointing=True,
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)
        for step in self.steps() if best else ():
            self._best.note(step, self._saved_score(step))

    def steps(self) -> list[int]:
        """Steps that have a finished checkpoint on disk, oldest first."""
        return _finished(self._manager)

    def is_best(self, metrics: dict[str, float]) -> bool:
        """Whether these metrics of an evaluation have a better `best` than every checkpoint that there is."""
        return self._best.beaten_by(self._score(metrics))

    def save(self, step: int, state: TrainState, metrics: dict[str, float]) -> None:
        """Starts to save; returns once the arrays are copied. `metrics` are those of an evaluation at this very step.

        Raises:
          RunError: this save, or the one before it, could not be written.
        """
        score, arrays = self._score(metrics), to_flat(state)
        self._best.note(step, score)
        try:
            saved = jax.tree.map(_one_copy, arrays | {CHECKSUMS: checksums(arrays)})
            args = ocp.args.Composite(state=ocp.args.StandardSave(saved))
            self._manager.save(step, args=args, custom_metadata={"score": score}, force=True)
        except Exception as error:
            self._raise(error)

    def wait(self) -> None:
        """Returns when everything started is on disk.

        Raises:
          RunError: it could not be written.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            self._raise(error)

    def close(self) -> None:
        """Waits and lets go of Orbax's threads."""
        self.wait()
        self._manager.close()

    def _raise(self, error: Exception) -> NoReturn:
        if isinstance(error, jax.errors.JaxRuntimeError) and processes.several():
            raise error  # another process is gone, and the disk is well
        raise self._failed(error) from error

    def restore(self, like: TrainState, step: int | None = None) -> TrainState | None:
        """Returns the newest checkpoint that can be read (or the one of `step`), None where there is none at all.

        Args:
          like: arrays of the shapes, dtypes and shardings to restore to; the mesh may differ from the one saved on.
          step: None for the newest. A damaged one is named in a warning, the one before it is taken; then the damaged
            one is moved to `checkpoints_damaged/`.

        Raises:
          UserError: there are checkpoints and none can be read, or `step` has none, or it is of another model.
        """
        steps = self.steps() if step is None else [step]
        damaged = []
        for candidate in reversed(steps):
            state = self._restore_one(candidate, like)
            if not processes.any_of(state is None):
                self._set_aside(damaged)
                return state
            damaged.append(candidate)
        if steps:
            raise UserError(f"No checkpoint in {self.folder} can be read (tried steps {steps}); use a new --workdir.")
        return None

    def _restore_one(self, step: int, like: TrainState) -> TrainState | None:
        wanted = to_flat(like)
        try:
            return from_flat(_checked(self._manager, step, jax.tree.map(_abstract, wanted), like.step.sharding), like)
        except Exception as error:
            if isinstance(error, NO_DAMAGE) or "RESOURCE_EXHAUSTED" in str(error):
                raise RunError(f"The checkpoint of step {step} cannot be read now: {_short(error)}.") from error
            self._refuse_other_model(step, wanted)
            log.warning("The checkpoint of step %d is damaged and passed over. (%s)", step, _short(error))
            return None

    def _score(self, metrics: dict[str, float]) -> float | None:
        """What `best` ranks by, higher is better; None where it was not measured, or is no finite number."""
        value = metrics.get(self.best)
        if value is None or not np.isfinite(value):
            return None
        return -value if self.best.endswith("loss") else value

    def _saved_score(self, step: int) -> float | None:
        try:
            return self._manager.metadata(step).custom_metadata["score"]
        except Exception:  # damaged: restoring it will say so
            return None

    def _set_aside(self, steps: list[int]) -> None:
        """Moves damaged checkpoints out of the way, so that their steps can be saved again."""
        aside = self.folder.with_name("checkpoints_damaged")
        for step in steps:
            self._best.forget(step)
            if processes.first():
                aside.mkdir(exist_ok=True)
                number = len(list(aside.iterdir()))
                (self.folder / str(step)).rename(aside / f"{step}_{number}")
        if steps:
            processes.meet("checkpoints set aside")
            self._manager.reload()

    def _refuse_other_model(self, step: int, wanted: dict[str, jax.Array]) -> None:
        """Raises UserError where the checkpoint is readable but of another model: that is no damage."""
        try:
            saved = dict(self._manager.item_metadata(step)["state"])
        except Exception:
            return
        shapes = {name: tuple(leaf.shape) for name, leaf in saved.items() if hasattr(leaf, "shape")}
        for name, leaf in wanted.items():
            if shapes and shapes.get(name) != leaf.shape:
                found = f"has shape {shapes[name]}" if name in shapes else "is missing"
                raise UserError(
                    f"The checkpoint of step {step} in {self.folder} is of another model: {name} {found}, "
                    f"the config wants {leaf.shape}. Use the run's own config, or a new --workdir."
                )

    def _failed(self, error: Exception) -> RunError:
        whole = f"Whole ones: steps {self.steps()}." if self.folder.exists() else "There is none yet."
        full = "No space left" in str(error)
        reason = "there is no space left on the disk" if full else _short(error)
        advice = (
            "Make room, then run the same command again." if full else "Mend this, then run the same command again."
        )
        return RunError(f"Cannot write a checkpoint to {self.folder}: {reason}. {whole} {advice}")


class _Best(preservation_policy.PreservationPolicy):
    """Keeps the checkpoint with the highest score. (Orbax's own `BestN` forgets all scores when a run is restarted.)"""

    def __init__(self) -> None:
        self._scores: dict[int, float] = {}

    def note(self, step: int, score: float | None) -> None:
        """Tells the score of a checkpoint, None for none."""
        if score is not None:
            self._scores[step] = score

    def forget(self, step: int) -> None:
        """The checkpoint of that step is gone."""
        self._scores.pop(step, None)

    def beaten_by(self, score: float | None) -> bool:
        """Whether a score is above all that are known."""
        return score is not None and all(score > other for other in self._scores.values())

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        """Orbax asks this of all checkpoints, oldest first."""
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        known = {step: self._scores[step] for step in steps if step in self._scores}
        best = max(known, key=known.get) if known else None
        return [step == best for step in steps]


def check_settings(*, every: int = 1000, keep: int = 2, best: str | None = None) -> None:
    """Raises ValueError for settings of `Checkpoints` that cannot be."""
    if every < 1:
        raise ValueError(f"every {every} must be at least 1 step")
    if keep < 2:
        raise ValueError(f"keep {keep} must be at least 2, so that there is one before a damaged checkpoint")
    if best == "":
        raise ValueError("best '' must be the name of an evaluation metric, or None")


def arrays_of(folder: str | pathlib.Path) -> dict[str, np.ndarray]:
    """All arrays of the newest checkpoint of a run that can be read, by path, on the host; whatever model they are of.

    The run may be going on: nothing in its folder is touched.

    Raises:
      UserError: there is none.
    """
    folder = pathlib.Path(folder).expanduser().absolute() / "checkpoints"
    one_device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    place = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one_device)
    options = ocp.CheckpointManagerOptions(read_only=True, create=False)
    with contextlib.ExitStack() as stack:
        manager = stack.enter_context(ocp.CheckpointManager(folder, options=options)) if folder.exists() else None
        for step in _finished(manager)[::-1] if manager else ():
            try:
                saved = ocp.StandardCheckpointer().metadata(folder / str(step) / "state").item_metadata.tree
                wanted = {name: place(leaf) for name, leaf in saved.items() if name != CHECKSUMS}
                return jax.device_get(_checked(manager, step, wanted, one_device))
            except Exception as error:
                log.warning("The checkpoint of step %d is damaged and passed over. (%s)", step, _short(error))
    raise UserError(f"{folder} has no checkpoint that can be read; let that run save one first.")


def _finished(manager: ocp.CheckpointManager) -> list[int]:
    """Steps that have a finished checkpoint on disk, oldest first."""
    return sorted(manager.all_steps(read=True))


def _checked(
    manager: ocp.CheckpointManager, step: int, wanted: dict[str, jax.ShapeDtypeStruct], replicated: Any
) -> dict[str, jax.Array]:
    """The arrays of a checkpoint; ValueError where one of them is not what was saved."""
    sums = jax.ShapeDtypeStruct((len(wanted),), jnp.uint32, sharding=replicated)
    args = ocp.args.Composite(state=ocp.args.StandardRestore(wanted | {CHECKSUMS: sums}))
    arrays, failure = {}, None
    try:
        arrays = dict(manager.restore(step, args=args)["state"])
    except Exception as error:
        failure = error
    if processes.any_of(failure is not None):  # before the checksums, which all compute together
        raise failure or ValueError("another process could not read its part")
    saved = np.asarray(arrays.pop(CHECKSUMS))
    changed = np.flatnonzero(saved != np.asarray(checksums(arrays)))
    if len(changed):
        raise ValueError(f"the checksum of {sorted(arrays)[changed[0]]} does not fit")
    return arrays


def to_flat(state: TrainState) -> dict[str, jax.Array]:
    """The state as one dict from path to array."""
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]}


def from_flat(arrays: dict[str, Any], like: TrainState) -> TrainState:
    """The inverse of `to_flat`, with the structure of `like`."""
    paths, treedef = jax.tree_util.tree_flatten_with_path(like)
    return treedef.unflatten([arrays[path_name(path)] for path, _ in paths])


def _one_copy(leaf: jax.Array) -> jax.Array:
    """One device's copy of what all hold: Orbax would cut it among them, and compile a program for each array."""
    return leaf.addressable_data(0) if leaf.is_fully_replicated and leaf.is_fully_addressable else leaf


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
