"""Makes docs/losses.md and docs/views.md from what the comparisons recorded.

pytest tests/fidelity -k "losses or augment" --junitxml=fidelity.xml
python tests/fidelity/tables.py fidelity.xml docs/losses.md docs/views.md            # writes
python tests/fidelity/tables.py fidelity.xml docs/losses.md docs/views.md --check    # compares all but the errors
"""

import argparse
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ssl_jax import losses  # noqa: E402

LOSSES = """# Losses

Made by `make docs/losses.md` from the tests in `tests/fidelity/`, on random inputs of several shapes and settings. An
error is the largest difference over the largest entry, in float32, and the largest of all cases and inputs. "Formula
of" means: the public code of that repository, restated in the test in PyTorch. O(N): `block_size` chooses the form
whose memory grows with the batch, not with its square.

| `ssl_jax.losses.` | paper | compared with | cases | value | gradient | O(N) |
|---|---|---|---|---|---|---|
"""
VIEWS = """# Operations of views

Made by `make docs/views.md` from the tests in `tests/fidelity/`, which hand the same drawn parameters to both sides. An
error is the largest difference of any pixel of all cases, where black and white are 255 apart. Errors below 0.01 are
rounding in float32. "Whole values" are pixels of 0, 1, ... 255, as uint8 has them; other pictures are float32 in 0..1.
How crops, jitter, blur, affine maps, erasing and CutMix are drawn is compared with torchvision in the same files, and
AutoAugment's policies with the tables of torchvision and timm; what RandAugment draws, with timm's draws.

| `ssl_jax.augment.` | what is compared | with | cases | error, of 255 |
|---|---|---|---|---|
"""
LEFT = 5  # parts of a line before those with errors: nothing, three cells that say what is compared, the cases


class Page(NamedTuple):
    """How a page is made.

    Attributes:
      top: what comes before the first row.
      by: properties that say what is compared; the first is the name of ours.
      errors: properties that hold an error each.
      shown: an error as it is written.
      cells: from the values of `by`, the three cells before and those after the errors.
      reasons: the line above the reasons for large errors.
    """

    top: str
    by: tuple[str, ...]
    errors: tuple[str, ...]
    shown: str
    cells: Callable[..., tuple[list[str], list[str]]]
    reasons: str


def paper(name: str) -> str:
    """The source that the docstring of a loss names: authors, title and year."""
    text = " ".join(inspect.getdoc(getattr(losses, name)).split())
    match = re.search(r'Source: (.*?), "(.*?)"(?: \(.*?\))?,? (\d{4})', text)
    if match is None:
        raise SystemExit(f"the docstring of {name} has no 'Source: Authors, \"Title\", year'")
    return f"{match[1]} {match[3]}, {match[2].rstrip(',.')}"


def loss_cells(name: str, peer: str) -> tuple[list[str], list[str]]:
    linear = "yes" if "block_size" in inspect.signature(getattr(losses, name)).parameters else ""
    return [f"`{name}`", paper(name), peer], [linear]


def view_cells(name: str, compared: str, peer: str) -> tuple[list[str], list[str]]:
    return [f"`{name}`", compared, peer], []


PAGES = {
    "losses.md": Page(
        LOSSES, ("loss", "peer"), ("value_error", "gradient_error"), ".0e", loss_cells, "Errors above 1e-5:"
    ),
    "views.md": Page(
        VIEWS, ("operation", "compared", "peer"), ("pixel_error",), ".2g", view_cells, "Where larger errors come from:"
    ),
}


def comparisons(path: Path, page: Page) -> dict[tuple[str, ...], list[dict[str, str]]]:
    """By the properties that say what is compared, what each passed test recorded."""
    found: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        noted = {p.get("name"): p.get("value") for p in case.iter("property")}
        if page.by[0] in noted and case.find("failure") is None and case.find("error") is None:
            found.setdefault(tuple(noted[name] for name in page.by), []).append(noted)
    return found


def render(page: Page, found: dict[tuple[str, ...], list[dict[str, str]]]) -> str:
    """The page: one row for each thing compared, in alphabetical order, then the reasons that rows refer to."""
    lines, reasons = [], []
    for compared, cases in sorted(found.items()):
        left, right = page.cells(*compared)
        errors = [format(max(float(case[name]) for case in cases), page.shown) for name in page.errors]
        for reason in sorted({case["reason"] for case in cases if case["reason"]}):
            if reason not in reasons:
                reasons.append(reason)
            errors[-1] += f" ({reasons.index(reason) + 1})"
        lines.append("| " + " | ".join([*left, str(len(cases)), *errors, *right]) + " |\n")
    notes = [f"{number}. {reason}.\n" for number, reason in enumerate(reasons, 1)]
    return page.top + "".join(lines) + (f"\n{page.reasons}\n\n" + "".join(notes) if notes else "")


def without_errors(page: Page, text: str) -> list[str]:
    """The lines of a page, less what depends on the machine."""
    rows = (line.split("|") for line in text.splitlines())
    return ["|".join(row[:LEFT] + row[LEFT + len(page.errors) :]) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("junit", type=Path)
    parser.add_argument("pages", type=Path, nargs="+", help=f"files called {' or '.join(PAGES)}")
    parser.add_argument("--check", action="store_true", help="compare with the pages instead of writing them")
    options = parser.parse_args()
    for path in options.pages:
        page = PAGES[path.name]
        text = render(page, comparisons(options.junit, page))
        if not options.check:
            path.write_text(text)
        elif without_errors(page, text) != without_errors(page, path.read_text()):
            raise SystemExit(f"{path} is not what the tests make now; run `make {path}`")


if __name__ == "__main__":
    main()
