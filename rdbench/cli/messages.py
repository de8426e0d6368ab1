"""Lines on standard error, each with the command's name in front."""

from __future__ import annotations

import sys


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
    print(f"rdbench: {' '.join(line.split())}", file=sys.stderr)
