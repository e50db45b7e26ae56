"""One run from config to report: build its parts, train, evaluate, show."""

from ssl_jax.experiment.build import Experiment, build, check
from ssl_jax.experiment.dry_run import dry_run
from ssl_jax.experiment.evaluate import evaluate
from ssl_jax.experiment.export import export
from ssl_jax.experiment.run import run

__all__ = ["Experiment", "build", "check", "dry_run", "evaluate", "export", "run"]
