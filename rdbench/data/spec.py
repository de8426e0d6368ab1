"""What is run, in plain data: it crosses to another process, which builds the same case from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rdbench.outcomes import RdbenchError, unknown

Of = Literal["population", "rows"]
OF = ("population", "rows")
SUITE = "data"
"""What the records of data have in the place of a suite."""


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Data, what they stand for, and the distortion measure.

    Args:
        path: the absolute path of the file, or of the folder of pictures.
        entry: which array of an archive.
        patches: the side of the patches that pictures are cut into.
        of: ``population``: the rows are a sample, a fifth of which is held out for audits;
            ``rows``: the rows are the source, and sums over them are exact.
        groups: the column that says which rows belong together.
        distortion: a name, or the absolute path of a table (.npy) or of FILE.py:NAME.
        digest: of the contents of all these files, as they were when the run was planned; empty
            before that.
    """

    path: str
    entry: str | None = None
    patches: int | None = None
    of: Of = "population"
    groups: str | None = None
    distortion: str = "squared_error"
    digest: str = ""

    @property
    def title(self) -> str:
        """The file, as people know it."""
        name = Path(self.path).name
        return f"{name}:{self.entry}" if self.entry else name


def described(
    data: str,
    *,
    of: str = "population",
    groups: str | None = None,
    distortion: str = "squared_error",
    patches: int | None = None,
) -> DataSpec:
    """What was asked for on the command line, with whole paths.

    Args:
        data: FILE, or FILE:NAME for an array of an archive.
        of: population or rows.
        groups: a column.
        distortion: a name, FILE.npy or FILE.py:NAME.
        patches: the side of patches.

    Raises:
        RdbenchError: another word than population or rows; groups for rows.
    """
    if of not in OF:
        raise unknown("--of", of, OF)
    if groups is not None and of == "rows":
        raise RdbenchError("--groups belongs to --of population: rows that are the source are all")
    if not data:
        raise RdbenchError("--data takes a file or a folder of pictures, got nothing")
    path, entry = Path(data), None
    head, _, tail = data.rpartition(":")
    if not _exists(path) and head and _exists(Path(head)):
        path, entry = Path(head), tail
    name = distortion
    _exists(Path(distortion))
    if distortion.endswith(".npy"):
        name = str(Path(distortion).resolve())
    elif ".py:" in distortion:
        file, _, attribute = distortion.rpartition(":")
        name = f"{Path(file).resolve()}:{attribute}"
    return DataSpec(
        path=str(path.resolve()),
        entry=entry,
        patches=patches,
        of=of,  # type: ignore[arg-type]  # one of OF
        groups=groups,
        distortion=name,
    )


def _exists(path: Path) -> bool:
    """Whether a path is there.

    Raises:
        RdbenchError: no path can be like this, or it may not be looked at.
    """
    try:
        path.resolve()  # refuses what exists() takes for absent
        return path.exists()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        shown = str(path) if len(str(path)) <= 60 else f"{str(path)[:60]}..."
        raise RdbenchError(f"cannot look at {shown!r}: {reason}") from None


def digest_of_file(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
