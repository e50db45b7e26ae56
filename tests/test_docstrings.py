"""Whatever is public and raises says so in its docstring."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "ssl_jax"
VALIDATORS = {"ssl_jax.models.settings", "ssl_jax.losses.checks"}  # modules whose functions raise
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
CONSTRUCTORS = ("__init__", "__post_init__")


def validators_in(tree: ast.Module) -> list[str]:
    """The names by which a module calls what checks its settings: its own `_check_...`, and what it imports."""
    own = [node.name for node in tree.body if isinstance(node, FUNCTIONS) and node.name.startswith("_check_")]
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    named = [(getattr(node, "module", None), alias) for node in imports for alias in node.names]
    return own + [
        alias.asname or alias.name
        for module, alias in named
        if VALIDATORS & {module, alias.name, f"{module}.{alias.name}"}
    ]


def raises(node: ast.AST, validators: list[str]) -> bool:
    """Whether it raises an error of its own or has settings checked; what is defined within it does not count."""
    if isinstance(node, ast.Raise) and node.exc is not None:
        return True
    if isinstance(node, ast.Call) and any(f"{ast.unparse(node.func)}.".startswith(f"{name}.") for name in validators):
        return True
    inner = (child for child in ast.iter_child_nodes(node) if not isinstance(child, (*FUNCTIONS, ast.ClassDef)))
    return any(raises(child, validators) for child in inner)


def silent(source: str) -> list[str]:
    """What in a module is public and raises, and does not say so; of a constructor its class may say it."""
    tree, found = ast.parse(source), []
    validators = validators_in(tree)
    for owner in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))):
        for function in (node for node in owner.body if isinstance(node, FUNCTIONS)):
            names = (getattr(owner, "name", ""), function.name)
            private = any(name.startswith("_") and not name.endswith("__") for name in names)
            told = [function, owner] if function.name in CONSTRUCTORS else [function]
            said = any("raises" in (ast.get_docstring(node) or "").lower() for node in told)
            if not private and raises(function, validators) and not said:
                found.append(".".join(filter(None, names)))
    return found


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_raises_says_so(module):
    assert silent(module.read_text()) == []


CHECKED = "from ssl_jax.models import settings as given\n"
BUILT = "def __init__(self, n):\n    given.at_least(1, n=n)"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n  raise ValueError('x')", ["f"]),
        ("def f():\n  '''Does.\n\n  Raises:\n    ValueError: x.\n  '''\n  raise ValueError('x')", []),
        ("def f():\n  try:\n    g()\n  except OSError:\n    raise", []),
        ("def f():\n  def g():\n    raise ValueError('x')\n  return g", []),
        ("def _f():\n  raise ValueError('x')", []),
        ("def _check_n(n):\n  raise ValueError('x')\ndef f(n):\n  _check_n(n)", ["f"]),
        (f"{CHECKED}class A:\n  '''An A.'''\n  {BUILT}", ["A.__init__"]),
        (f"{CHECKED}class A:\n  '''An A; raises ValueError.'''\n  {BUILT}", []),
        (f"class A:\n  '''An A, of what checks nothing.'''\n  {BUILT}", []),
        ("class A:\n  '''Raises.'''\n  def f(self):\n    raise ValueError('x')", ["A.f"]),
        ("class _A:\n  def f(self):\n    raise ValueError('x')", []),
    ],
)
def test_the_rule_itself(source, found):
    assert silent(source) == found
