"""README.md, as tests look at what it says."""

import pathlib

TEXT = (pathlib.Path(__file__).resolve().parents[1] / "README.md").read_text()
WORDS = " ".join(TEXT.split())
