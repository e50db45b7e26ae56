"""docs/losses.md has every loss, with errors as small as promised; and every loss has a case."""

import inspect
import pathlib
import re

import pytest
from cases import EVERY

from ssl_jax import losses

TEXT = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "losses.md").read_text()
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in TEXT.splitlines()
    if line.startswith("| `") and "ssl_jax" not in line
]
NO_LOSSES = {
    # Compared entry by entry, or bit by bit, and so without a row.
    *("codebook_perplexity", "positionwise_sinkhorn", "random_projection_quantizer", "sinkhorn_knopp"),
    *("update_center", "update_covariance", "update_queue"),
    # Compared as part of the loss that uses them.
    *("codeword_logits", "map_pixels", "normalize_patches", "unmap_pixels"),
    # Random draws.
    *("init_random_projection_quantizer", "random_directions"),
}
TARGETS = {"average_layers", "hog", "keep_probability", "normalize_windows", "unigram_noise"}


@pytest.mark.parametrize("name", sorted(set(losses.__all__) - NO_LOSSES))
def test_is_compared_with_somebody_elses(name: str):
    assert any(row[0] == f"`{name}`" for row in ROWS), f"{name} is not in docs/losses.md; run `make docs/losses.md`"


@pytest.mark.parametrize("name", sorted(set(losses.__all__) - NO_LOSSES - TARGETS))
def test_has_a_case_and_an_axis(name: str):
    assert any(case.split(",")[0].split(":")[0] == name for case in EVERY), f"{name} is in no tests/losses/cases/*.py"
    parameters = inspect.signature(getattr(losses, name)).parameters
    assert parameters["axis_name"].default is None


@pytest.mark.parametrize("name", losses.__all__)
def test_settings_are_keyword_only(name: str):
    for parameter in inspect.signature(getattr(losses, name)).parameters.values():
        if parameter.name in ("axis_name", "block_size", "temperature"):
            assert parameter.kind == parameter.KEYWORD_ONLY


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[2]}")
def test_errors_are_small(row: list[str]):
    for error in row[4:6]:
        number, note = re.fullmatch(r"(\S+?)(?: \((\d+)\))?", error).groups()
        assert float(number) <= 1e-5 or note
