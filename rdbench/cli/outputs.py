"""Files that a command writes beside the records, and never over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rdbench.outcomes import RdbenchError
from rdbench.run.store import FILES


def apart_from_records(out: Path | None, results: Path) -> None:
    """Refuse an output that would replace records or the results folder.

    Args:
        out: the file or folder to be written; None for standard output.
        results: the results folder that is read.

    Raises:
        RdbenchError: it is a file of a results folder, or that folder itself.
    """
    if out is None:
        return
    held = [results / name for name in FILES]
    if out.name in FILES or any(_same(out, file) for file in held):
        raise RdbenchError(f"cannot write {out}: it holds the records; give another --out")
    if _same(out, results):
        raise RdbenchError(f"cannot write {out}: it is the results folder; give a file in --out")


def format_for(
    out: Path | None,
    given: str | None,
    endings: Mapping[str, str],
    default: str,
    *,
    by_option: bool = True,
) -> str:
    """The format asked for, or the one that the ending of the output stands for.

    Args:
        out: the file to be written; None for standard output.
        given: the format asked for, if any.
        endings: ``.csv`` and the like -> format.
        default: the format on standard output.
        by_option: whether the command has a --format.

    Raises:
        RdbenchError: an unknown format or ending, or a format and an ending that contradict.
    """
    valid = list(dict.fromkeys(endings.values()))
    if given is not None and given not in valid:
        raise RdbenchError(f"unknown format {given!r}; valid: {', '.join(valid)}")
    if out is None:
        return given or default
    meant = endings.get(out.suffix.lower())
    if given is None and meant is None:
        raise RdbenchError(
            f"cannot tell the format of {out} by its ending; valid: {', '.join(endings)}"
            + (" (or give --format)" if by_option else "")
        )
    if given is not None and meant is not None and given != meant:
        raise RdbenchError(f"--format {given} and the ending of {out} contradict each other")
    return given or str(meant)


def _same(first: Path, second: Path) -> bool:
    """Whether both are there and are one file or folder, links followed."""
    return first.exists() and second.exists() and first.samefile(second)
