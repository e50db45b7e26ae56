"""The two kinds of failure that people see.

`UserError` is a mistake that the person at the keyboard can mend (exit code 2, one line);
`RunError` is a run that went wrong by itself (exit code 1, one line).
"""

import difflib
from collections.abc import Callable, Iterable


class UserError(Exception):
    """Something the user wrote, or a file the user has, is wrong. The message is one line that says what to do."""


class RunError(Exception):
    """The run itself failed (a NaN, a full disk). The message is one line; what was saved stays whole."""


def unknown(
    what: str, given: object, valid: Iterable[str], *, likened: Callable[[str], str] = lambda name: name
) -> UserError:
    """The error for a name that does not exist: names the nearest valid one and all valid choices.

    Args:
      what: what the name stands for, usually a config path such as 'config.model.name'.
      given: what was written.
      valid: the names that would have been accepted.
      likened: the part of a name by which the nearest is found, all of it by default.
    """
    by_part = {likened(name): name for name in sorted(map(str, valid), reverse=True)}
    valid = sorted(by_part.values())
    nearest = difflib.get_close_matches(likened(str(given)), by_part, n=1, cutoff=0.6)
    hint = f" Did you mean {by_part[nearest[0]]!r}?" if nearest else ""
    return UserError(f"{what}: {given!r} does not exist.{hint} Valid: {', '.join(valid) or 'none'}.")
