"""All losses, by the file that they are in: what `test_across.py` and `test_every_loss.py` run over."""

import importlib
import pkgutil

from cases.case import Case, N

GROUPS: dict[str, dict[str, Case]] = {
    module.name: importlib.import_module(f"cases.{module.name}").CASES
    for module in pkgutil.iter_modules(__path__)
    if module.name != "case"
}
EVERY: dict[str, Case] = {name: case for group in GROUPS.values() for name, case in group.items()}

__all__ = ["EVERY", "GROUPS", "Case", "N"]
