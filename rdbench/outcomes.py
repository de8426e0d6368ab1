"""How a slope, a cell or a command can end: statuses, and errors told in one line.

Apart from `rdbench.types`, which needs torch: commands that only read records start without it.
"""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

Status = Literal[
    "ok", "not_converged", "unsupported", "timeout", "crashed", "error", "out_of_memory"
]

SCORED: tuple[Status, ...] = ("ok", "not_converged")
"""The statuses whose numbers count: a fit that was cut short is shown, not averaged."""

_LIBRARIES = {"torch", "numpy", "scipy", "jaxtyping", "beartype", *sys.stdlib_module_names}


class RdbenchError(Exception):
    """A mistake of the caller, told in one line; the command line exits with code 2."""


class StoreError(Exception):
    """A record could not be kept (a full disk, say), told in one line; exit code 1."""


def in_words(problem: BaseException) -> str:
    """An exception in one line, with the file and line of the estimator's code that raised it."""
    line, where = one_line(problem)[:300], _where(problem)
    return f"{line} ({where})" if where else line


def one_line(problem: BaseException) -> str:
    """The name of an exception and its message, in at most 500 characters."""
    return f"{type(problem).__name__}: {' '.join(str(problem).split())}".rstrip(": ")[:500]


def _where(problem: BaseException) -> str:
    """``FILE:LINE`` of the innermost call that is neither ours nor a library's; empty for none."""
    found = ""
    for frame, line in traceback.walk_tb(problem.__traceback__):
        name = str(frame.f_globals.get("__name__", ""))
        ours = name.startswith("rdbench.") and not name.startswith("rdbench.estimators.")
        if not ours and name.partition(".")[0] not in _LIBRARIES:
            file = Path(frame.f_code.co_filename)
            inside = file.is_relative_to(Path.cwd())
            found = f"{file.relative_to(Path.cwd()) if inside else file}:{line}"
    return found


def unknown(what: str, given: str, valid: Iterable[str], hint: str = "") -> RdbenchError:
    """The one-line error for a name that is not among the valid ones."""
    choices = list(valid)
    near = difflib.get_close_matches(given, choices, n=1, cutoff=0.6)
    hint = hint or (f"did you mean {near[0]}?" if near else "")
    listed = ", ".join(choices) if choices else "(there are none)"
    return RdbenchError(f"unknown {what} {given!r}{f' ({hint})' if hint else ''}; valid: {listed}")
