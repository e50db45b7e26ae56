"""What the terminal can do, where there is one."""

import os
import sys


def redraws() -> bool:
    """Whether stdout is a terminal in which what was drawn can be drawn anew: a bar, a table that changes."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
