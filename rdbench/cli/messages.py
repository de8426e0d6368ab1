"""Lines on standard error, each with the command's name in front."""

from __future__ import annotations

import contextlib
import sys

from rdbench.run.texts import one_line_of


def complain(line: str, code: int) -> int:
    """Say why the command ends; gives its exit code back."""
    _say(line)
    return code


def warn(line: str) -> None:
    """Something that may be wrong."""
    _say(f"warning: {line}")


def note(line: str) -> None:
    """Something that the reader should know."""
    _say(f"note: {line}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be full or closed
        print(f"rdbench: {' '.join(one_line_of(line).split())}", file=sys.stderr, flush=True)
