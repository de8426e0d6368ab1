"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rdbench.outcomes import RdbenchError


def writable(out: Path) -> None:
    """Make sure that a file can be written at ``out``, leaving nothing behind.

    Raises:
        RdbenchError: it cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=_target(out).parent):
            pass
    except OSError as problem:
        raise RdbenchError(f"cannot write {out}: {problem.strerror or problem}") from problem


def write_whole(raw: bytes, out: Path) -> Path:
    """Write a file whole or not at all, and return its path.

    Raises:
        RdbenchError: it cannot be written.
    """
    return write_parts([raw], out)


def write_parts(parts: Iterable[bytes], out: Path) -> Path:
    """`write_whole`, part by part.

    A symbolic link stays, and what it leads to is replaced.

    Raises:
        RdbenchError: it cannot be written.
    """
    try:
        target = _target(out)
        part = target.with_name(f".rdbench.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.writelines(parts)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return out
    except OSError as problem:
        raise RdbenchError(f"cannot write {out}: {problem.strerror or problem}") from problem


def _target(out: Path) -> Path:
    """The regular file, there or not, that ``out`` leads to through symbolic links.

    Raises:
        RdbenchError: it leads to something else: a device is not to be replaced by a file.
        OSError: it leads nowhere.
    """
    try:
        kind = out.stat().st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(out))
    if stat.S_ISDIR(kind):
        raise RdbenchError(f"cannot write {out}: it is a folder; give a file by --out")
    if not stat.S_ISREG(kind):
        raise RdbenchError(f"cannot write {out}: it is no regular file; give a file by --out")
    return Path(os.path.realpath(out))
