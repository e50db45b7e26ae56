"""The floors of the house: a room imports only from rooms below it, and heavy packages only where they are needed."""

import ast
import pathlib
import resource
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ssl_jax"
FLOORS = {
    **dict.fromkeys(("errors", "terminal", "config", "trial", "sweeps"), -1),
    **dict.fromkeys(("losses", "augment", "masking"), 0),
    **dict.fromkeys(("diagnostics", "models", "data"), 1),
    "methods": 2,
    **dict.fromkeys(("train", "evaluate", "interop"), 3),
    **dict.fromkeys(("launchers", "report"), 4),
    "experiment": 5,
}


def imported_rooms(source: str) -> set[str]:
    """The rooms of ssl_jax that a module imports, inside of functions as well."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test sees where they lead"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("ssl_jax.")}


def misplaced(room: str, source: str) -> list[str]:
    """Rooms that `source`, a module of `room`, must not import."""
    below = lambda other: FLOORS[other] < FLOORS[room] or (FLOORS[room] == -1 and FLOORS[other] == -1)
    return sorted(other for other in imported_rooms(source) if other != room and not below(other))


def modules() -> list[pathlib.Path]:
    paths = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in paths if path != pathlib.Path("__init__.py"))


@pytest.mark.parametrize("module", modules(), ids=str)
def test_imports_go_down(module: pathlib.Path):
    room = module.parts[0].removesuffix(".py")
    assert not misplaced(room, (PACKAGE / module).read_text()), f"{module} imports from its own floor or a higher one"


def test_every_room_has_a_floor():
    assert {module.parts[0].removesuffix(".py") for module in modules()} <= FLOORS.keys()


@pytest.mark.parametrize(
    "room, line, found",
    [
        ("losses", "from ssl_jax.models import heads", ["models"]),
        ("losses", "import ssl_jax.augment.crop", ["augment"]),
        ("data", "def f():\n    from ssl_jax import errors, train", ["train"]),
        ("train", "from ssl_jax import methods, losses", []),
        ("config", "from ssl_jax.errors import UserError", []),
        ("errors", "from ssl_jax import losses", ["losses"]),
        ("report", "from ssl_jax.report import style", []),
    ],
)
def test_the_rule_itself(room: str, line: str, found: list[str]):
    assert misplaced(room, line) == found


def imported_by(code: str) -> set[str]:
    """Top-level packages that are loaded after `code` in a fresh process."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(_python("-c", code).stdout.split())


def _python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)


def test_data_imports_neither_jax_nor_tensorflow():
    """Worker processes import it."""
    assert not imported_by("import ssl_jax.data") & {"jax", "jaxlib", "tensorflow", "torch"}


def test_a_run_imports_neither_tensorflow_nor_torch_to_start():
    assert not imported_by("import ssl_jax.experiment, ssl_jax.train.events") & {"tensorflow", "torch", "sklearn"}


def test_help_is_quick():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = _python("launch.py", "--help").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time: on a busy machine the clock on the wall says nothing about the command.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert "--workdir" in shown and "configs/mae_openmoji.py" in shown


def test_help_does_not_import_jax():
    call = "import launch\ntry:\n    launch.main(['--help'])\nexcept SystemExit:\n    pass"
    assert not imported_by(call) & {"jax", "numpy", "tensorflow_datasets"}
