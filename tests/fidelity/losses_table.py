"""Makes docs/losses.md from what the comparisons recorded.

pytest tests/fidelity -k losses --junitxml=fidelity.xml
python tests/fidelity/losses_table.py fidelity.xml docs/losses.md            # writes
python tests/fidelity/losses_table.py fidelity.xml docs/losses.md --check    # compares the rows, but not the errors
"""

import argparse
import inspect
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ssl_jax import losses  # noqa: E402

TOP = """# Losses

Made by `make docs/losses.md` from the tests in `tests/fidelity/`, on random inputs of several shapes and settings. An
error is the largest difference over the largest entry, in float32, and the largest of all cases and inputs. "Formula
of" means: the public code of that repository, restated in the test in PyTorch. O(N): `block_size` chooses the form
whose memory grows with the batch, not with its square.

| `ssl_jax.losses.` | paper | compared with | cases | value | gradient | O(N) |
|---|---|---|---|---|---|---|
"""
Row = tuple[str, str, str, int, float, float, str, str]


def comparisons(path: Path) -> dict[tuple[str, str], list[dict[str, str]]]:
    """By loss and peer, what each passed test recorded."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        noted = {p.get("name"): p.get("value") for p in case.iter("property")}
        if "loss" in noted and case.find("failure") is None and case.find("error") is None:
            found.setdefault((noted["loss"], noted["peer"]), []).append(noted)
    return found


def paper(name: str) -> str:
    """The source that the docstring names: authors, title and year."""
    text = " ".join(inspect.getdoc(getattr(losses, name)).split())
    match = re.search(r'Source: (.*?), "(.*?)"(?: \(.*?\))?,? (\d{4})', text)
    if match is None:
        raise SystemExit(f"the docstring of {name} has no 'Source: Authors, \"Title\", year'")
    return f"{match[1]} {match[3]}, {match[2].rstrip(',.')}"


def rows(path: Path) -> list[Row]:
    """One for each loss and peer, in alphabetical order."""
    table = []
    for (name, peer), noted in sorted(comparisons(path).items()):
        value, gradient = (max(float(case[what]) for case in noted) for what in ("value_error", "gradient_error"))
        reasons = "; ".join(sorted({case["reason"] for case in noted if case["reason"]}))
        linear = "yes" if "block_size" in inspect.signature(getattr(losses, name)).parameters else ""
        table.append((name, paper(name), peer, len(noted), value, gradient, linear, reasons))
    return table


def render(table: list[Row]) -> str:
    lines, notes = [], []
    for name, source, peer, count, value, gradient, linear, reason in table:
        if reason:
            notes.append(f"{len(notes) + 1}. `{name}`, {peer}: {reason}.")
        mark = f" ({len(notes)})" if reason else ""
        lines.append(f"| `{name}` | {source} | {peer} | {count} | {value:.0e} | {gradient:.0e}{mark} | {linear} |")
    return TOP + "\n".join(lines) + "\n" + ("\nErrors above 1e-5:\n\n" + "\n".join(notes) + "\n" if notes else "")


def without_errors(text: str) -> list[list[str]]:
    """The cells of a table that do not depend on the machine."""
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[*row[:5], row[7]] for row in cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("junit", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--check", action="store_true", help="compare with the page instead of writing it")
    options = parser.parse_args()
    text = render(rows(options.junit))
    if not options.check:
        options.page.write_text(text)
    elif without_errors(text) != without_errors(options.page.read_text()):
        raise SystemExit(f"{options.page} is not what the tests make now; run `make docs/losses.md`")


if __name__ == "__main__":
    main()
