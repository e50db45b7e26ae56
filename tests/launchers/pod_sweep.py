"""A sweep as launch.py makes it, for the tests of engines that start nothing here."""

import pathlib
from typing import Any

from ssl_jax.train import runs

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pod_sweep(
    *overrides: dict[str, Any],
    folder: str | pathlib.Path = "/anywhere/digits_sweep",
    variant: str = "",
    data_dir: str | None = None,
) -> runs.Sweep:
    """Of the quickstart's config, one run for each of `overrides`."""
    found = runs.expand(pathlib.Path(folder), overrides, {})
    config = f"{ROOT / 'configs/quickstart.py'}{variant}"
    return runs.Sweep(("python", str(ROOT / "launch.py")), config, tuple(found), data_dir)
