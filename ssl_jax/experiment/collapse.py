"""Whether a run is collapsing: the diagnosis of held-out embeddings over time, and what is done about it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ssl_jax.diagnostics import Diagnosis, diagnose
from ssl_jax.errors import RunError, UserError
from ssl_jax.train.workdir import DIAGNOSIS, Workdir

EXAMPLES = 2048  # that are diagnosed at most; a verdict needs no more, and assignments to prototypes take memory
# Healthy projections vary along fewer directions than features do: on the digits VICReg's had an effective rank of 4.5
# of 32, below the square root that `diagnose` asks of features; SimSiam's, collapsed, had 1.3.
PROJECTION_MIN_RANK = 0.25
LEAST_DEVIATION = 0.1  # of what a loss holds; VICReg's on the digits: 0.49 to 0.74, and 0.001 without variance terms
SEVERITY = ("healthy", "codebook collapse", "prototype collapse", "dimensional collapse", "complete collapse")
_STOPPED = (
    "The checkpoints are kept, and `launch.py report` draws what there is. To train on regardless, set "
    "config.on_collapse to 'warn' in a new --workdir."
)
_FIGURES = ("spread", "effective_rank", "directions")
_DECAY = "alpha_req"  # of features alone
_DEVIATION = "deviation"  # of projections alone
_USAGE = ("prototype_perplexity", "prototype_information")


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one evaluation found.

    Attributes:
      step: number of steps done.
      verdict: the worst of those of features and projections.
      text: each verdict, with the figures that led to it.
    """

    step: int
    verdict: str
    text: str


def figure_names(method: object) -> tuple[str, ...]:
    """The names of the figures that `examine` gives for a method, where features are over 4 and examples over 5."""
    compared = (*_FIGURES, _DEVIATION) if hasattr(method, "held_deviation") else _FIGURES
    projections = tuple(f"projection_{name}" for name in compared) if hasattr(method, "project") else ()
    return (*_FIGURES, _DECAY, *projections, *(_USAGE if hasattr(method, "assign") else ()))


def examine(
    step: int, features: np.ndarray, compared: Mapping[str, np.ndarray], held_deviation: float | None = None
) -> tuple[dict[str, float], Finding]:
    """Diagnoses features, and what the loss makes of them: a collapse of the objective may leave features as they were.

    Args:
      step: number of steps done.
      features: of held-out examples, [N, F].
      compared: of the same, `projections` [N, P] and `prototypes` [N, K] (probabilities), where the method has them.
      held_deviation: at which the loss should hold that of each projection over examples. Projections that shrink to a
        point may still differ in direction, which is all that a spread tells.

    Returns:
      The figures by name, and the finding.

    Raises:
      RunError: something is NaN or Inf.
    """
    for name, array in (("features", features), *compared.items()):
        if not np.isfinite(array).all():
            raise RunError(f"Step {step}: held-out {name} hold NaN or Inf, so they cannot be diagnosed.")
    usage = {"prototypes": jnp.asarray(compared["prototypes"])} if "prototypes" in compared else {}
    if "projections" not in compared:
        found = {"features": diagnose(features, **usage)}
    else:
        of_projections = _of_projections(compared["projections"], held_deviation, usage)
        found = {"features": diagnose(features), "projections": of_projections}
    figures = {}
    for name, diagnosis in found.items():
        prefix, own = ("", _DECAY) if name == "features" else ("projection_", _DEVIATION)
        seen = diagnosis.figures
        figures |= {f"{prefix}{figure}": seen[figure] for figure in (*_FIGURES, own) if figure in seen}
        figures |= {figure: seen[figure] for figure in _USAGE if figure in seen}
    text = " ".join(f"{name.capitalize()}: {each.verdict}. {each.sentence}" for name, each in found.items())
    worst = max((each.verdict for each in found.values()), key=SEVERITY.index)
    return figures, Finding(step, worst, text)


def _of_projections(projections: np.ndarray, held_deviation: float | None, usage: dict[str, Any]) -> Diagnosis:
    diagnosis = diagnose(projections, min_rank=PROJECTION_MIN_RANK, **usage)
    if held_deviation is None:
        return diagnosis
    deviation = float(projections.std(axis=0).mean())
    diagnosis = diagnosis._replace(figures={**diagnosis.figures, _DEVIATION: deviation})
    if deviation >= LEAST_DEVIATION * held_deviation:
        return diagnosis
    seen = f"their deviation is {deviation:.2g}, the loss should hold it at {held_deviation:g}"
    return diagnosis._replace(verdict="complete collapse", sentence=f"They shrink to a point: {seen}.")


class Watch:
    """Keeps what evaluations found, in diagnosis.json, and raises the alarm when they find a collapse for too long."""

    def __init__(
        self, folder: Workdir, start: int, *, patience: int, on_collapse: str, method_name: str, causes: str | None
    ):
        """
        Args:
          folder: of the run.
          start: number of steps done; what an earlier life of the run found later is forgotten, as it will come again.
          patience: steps that lie between the first and the last of the findings that raise the alarm.
          on_collapse: 'warn' or 'stop'.
          method_name: of the method.
          causes: why the method usually collapses, in words.

        Raises:
          UserError: diagnosis.json is damaged.
          RunError: the alarm had ended the run.
        """
        self._folder, self._patience, self._on_collapse = folder, patience, on_collapse
        self._causes = f" Usual causes with {method_name}: {causes}." if causes else ""
        self.findings = [found for found in _read(folder) if found.step <= start]
        if on_collapse == "stop" and self._lasts(self.findings):
            raise RunError(self._alarm())

    def add(self, found: Finding) -> None:
        """Writes a finding; before the checkpoint of the same step, so that a run that goes on knows of it."""
        self.findings.append(found)
        evaluations = [dataclasses.asdict(each) for each in self.findings]
        self._folder.write_json(DIAGNOSIS, {"causes": self._causes.strip(), "evaluations": evaluations})

    def judge(self, warn: Callable[[str], None]) -> None:
        """Hands a line to `warn`, once for each collapse, or ends the run, where the last finding completes an alarm.

        Raises:
          RunError: the run is to stop.
        """
        if not self._lasts(self.findings):
            return
        if self._on_collapse == "stop":
            raise RunError(self._alarm())
        if not self._lasts(self.findings[:-1]):
            warn(self._alarm())

    def summary(self) -> str | None:
        """The last finding in words, with the usual causes where it is a collapse; None where there is none."""
        if not self.findings:
            return None
        last = self.findings[-1]
        return last.text + ("" if last.verdict == "healthy" else self._causes)

    def _lasts(self, findings: Sequence[Finding]) -> bool:
        bad = _bad(findings)
        return bool(bad) and bad[-1].step - bad[0].step >= self._patience

    def _alarm(self) -> str:
        bad = _bad(self.findings)
        when = f"at step {bad[-1].step}" if len(bad) == 1 else f"from step {bad[0].step} to step {bad[-1].step}"
        end = f" {_STOPPED}" if self._on_collapse == "stop" else ""
        return f"Collapse, {when}. {bad[-1].text}{self._causes}{end}"


def _bad(findings: Sequence[Finding]) -> list[Finding]:
    """Those since the last healthy one."""
    healthy = [index for index, found in enumerate(findings) if found.verdict == "healthy"]
    return list(findings[healthy[-1] + 1 :] if healthy else findings)


def _read(folder: Workdir) -> list[Finding]:
    content: dict[str, Any] = folder.read_json(DIAGNOSIS) or {"evaluations": []}
    try:
        findings = [Finding(**entry) for entry in content["evaluations"]]
        if any(found.verdict not in SEVERITY for found in findings):
            raise ValueError("an unknown verdict")
        return sorted(findings, key=lambda found: found.step)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder.path / DIAGNOSIS} is damaged; remove it, or choose another --workdir.") from error
