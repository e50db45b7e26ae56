"""Whatever is public and raises says so in its docstring."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "ssl_jax"
VALIDATORS = ("settings.", "checks.", "check_")
CONSTRUCTORS = ("__init__", "__post_init__")
MODULES_OF_CHECKS = ("models/settings.py", "losses/checks.py")  # say of all of theirs that each raises


def raises(function: ast.FunctionDef) -> bool:
    """Whether it raises an error of its own, or has settings checked."""
    return any(
        (isinstance(node, ast.Raise) and node.exc is not None)
        or (isinstance(node, ast.Call) and ast.unparse(node.func).startswith(VALIDATORS))
        for node in ast.walk(function)
    )


def silent(source: str) -> list[str]:
    """What in a module is public and raises, and does not say so."""
    found = []
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for owner in (ast.parse(source), *classes):
        for function in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
            built = function.name in CONSTRUCTORS
            private = function.name.startswith("_") and not built or getattr(owner, "name", "").startswith("_")
            told = [ast.get_docstring(node) or "" for node in (function, *([owner] if built else []))]
            if not private and raises(function) and not any("raises" in text.lower() for text in told):
                found.append(".".join(filter(None, (getattr(owner, "name", ""), function.name))))
    return found


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_raises_says_so(module):
    if not str(module).endswith(MODULES_OF_CHECKS):
        assert silent(module.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n  raise ValueError('x')", ["f"]),
        ("def f():\n  '''Does.\n\n  Raises:\n    ValueError: x.\n  '''\n  raise ValueError('x')", []),
        ("def f():\n  try:\n    g()\n  except OSError:\n    raise", []),
        ("def _f():\n  raise ValueError('x')", []),
        ("class A:\n  '''An A.'''\n  def __init__(self, n):\n    settings.at_least(1, n=n)", ["A.__init__"]),
        ("class A:\n  '''An A; raises ValueError.'''\n  def __init__(self, n):\n    settings.at_least(1, n=n)", []),
        ("class A:\n  '''Raises.'''\n  def f(self):\n    raise ValueError('x')", ["A.f"]),
    ],
)
def test_the_rule_itself(source, found):
    assert silent(source) == found
