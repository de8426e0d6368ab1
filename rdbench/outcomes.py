"""How a slope, a cell or a command can end: statuses and the two errors told in one line.

Apart from `rdbench.types`, which needs torch: commands that only read records start without it.
"""

from __future__ import annotations

from typing import Literal

Status = Literal[
    "ok", "not_converged", "unsupported", "timeout", "crashed", "error", "out_of_memory"
]


class RdbenchError(Exception):
    """A mistake of the caller, told in one line; the command line exits with code 2."""


class StoreError(Exception):
    """A record could not be kept (a full disk, say), told in one line; exit code 1."""
