"""The trials of a search, which Optuna keeps in search.journal of its folder for all commands that work on it."""

import contextlib
import pathlib
import random
import warnings
from typing import Any, Literal

import filelock
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

JOURNAL, LOCK = "search.journal", ".search.lock"
Direction = Literal["maximize", "minimize"]


class Study:
    """Trials numbered from 0, of which each command that works on the folder sees all.

    What is proposed for a trial follows from the seed, its number and how the trials before it stand. So it is the same
    after a kill as without one.

    Attributes:
      lock: is held by whoever does several things that belong together.
    """

    def __init__(
        self,
        storage: optuna.storages.BaseStorage,
        title: str,
        lock: contextlib.AbstractContextManager,
        *,
        direction: Direction,
        sampler: Literal["tpe", "random", "qmc"],
        pruner: Literal["median", "halving"],
        startup: int,
        seed: int,
    ):
        """
        Args:
          storage: where the trials are.
          title: which of the studies there, made where it is missing.
          lock: of the storage.
          direction: of the values.
          sampler: proposes.
          pruner: says when a trial should end early.
          startup: how many trials 'tpe' draws at random before it learns, and 'median' lets end before it prunes.
          seed: of the proposals.
        """
        self.lock = lock
        self._sampler_name, self._pruner_name, self._startup, self._seed = sampler, pruner, startup, seed
        with lock:
            self._study = optuna.create_study(
                storage=storage, study_name=title, direction=direction, load_if_exists=True
            )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them, by number."""
        return self._study.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The trial of the best value, None where none has one."""
        complete = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return self._study.best_trial if complete else None

    def draw(self) -> Trial:
        """A new trial; the lock is held until what belongs to it is noted."""
        self._study.sampler = self._sampler(len(self.trials))
        return self._study.ask()

    def again(self, trial: FrozenTrial) -> Trial:
        """A trial that has no end yet, which another process may have drawn."""
        self._study.sampler = self._sampler(trial.number)
        return Trial(self._study, trial._trial_id)

    def prunes(self, trial: Trial, step: int, value: float) -> bool:
        """Notes the value of the metric that is looked at, and returns whether the trial should end there."""
        trial.report(value, step)
        self._study.pruner = self._pruner()
        return trial.should_prune()

    def complete(self, trial: Trial, value: float) -> None:
        """Ends a trial with its value."""
        self._study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """Ends a trial that was pruned."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial) -> None:
        """Ends a trial that has no value."""
        self._study.tell(trial, state=TrialState.FAIL)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        if self._sampler_name == "qmc":  # one sequence, whose place Optuna keeps
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.samplers.QMCSampler(scramble=True, seed=self._seed, warn_independent_sampling=False)
        seed = random.Random(f"{self._seed} {number}").getrandbits(32)
        if self._sampler_name == "random":
            return optuna.samplers.RandomSampler(seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=self._startup)

    def _pruner(self) -> optuna.pruners.BasePruner:
        if self._pruner_name == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=self._startup)
        first = min(min(trial.intermediate_values) for trial in self.trials if trial.intermediate_values)
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(first, 1), reduction_factor=2)


def opened(folder: pathlib.Path, title: str, settings: dict[str, Any]) -> Study:
    """The study of that title in a folder, with the settings of `Study`.

    Its lock is the kernel's. Optuna's own are files that stay when a process is killed, and hold up the others for half
    a minute then.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK)
    with lock:
        _mend(folder / JOURNAL)
    return Study(_storage(folder, lock), title, lock, **settings)


def copied(folder: pathlib.Path, title: str, settings: dict[str, Any]) -> Study:
    """A copy in memory, to see what would be drawn; nothing is written."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    copy = optuna.storages.InMemoryStorage()
    if (folder / JOURNAL).exists():
        journal = _storage(folder, filelock.FileLock(folder / LOCK))
        if title in optuna.get_all_study_names(journal):
            optuna.copy_study(from_study_name=title, from_storage=journal, to_storage=copy, to_study_name=title)
    return Study(copy, title, contextlib.nullcontext(), **settings)


def _storage(folder: pathlib.Path, lock: filelock.BaseFileLock) -> optuna.storages.BaseStorage:
    return optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL), lock_obj=lock)
    )


def _mend(path: pathlib.Path) -> None:
    """Removes half a line at the end, which a full disk leaves: nothing after it could be read."""
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("rb+") as file:
            file.truncate(content.rfind(b"\n") + 1)
