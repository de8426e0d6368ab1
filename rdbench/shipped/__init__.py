"""Results that come with the package: records of committed runs, without the draws of pictures.

`python -m benchmarks.published` makes the files from the records, in a checkout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rdbench.outcomes import RdbenchError
from rdbench.run.reading import Loaded, take
from rdbench.run.records import CellRecord
from rdbench.run.texts import encoded

_HERE = Path(__file__).resolve().parent
NAMES = ("reference",)
"""What `records` takes."""


def file_of(name: str) -> Path:
    """Where the records of a name lie: lines as in ``records.jsonl``, compressed by xz."""
    return _HERE / f"{name}.jsonl.xz"


def packed(records: Iterable[CellRecord]) -> bytes:
    """The content of such a file."""
    import lzma

    return lzma.compress(b"".join(encoded(record) + b"\n" for record in records), preset=9)


def records(name: str) -> Sequence[CellRecord]:
    """The cells of a run, as `rdbench.run.store.load` gives them, but without draws.

    Raises:
        RdbenchError: this Python cannot decompress the file, or the file is damaged.
    """
    path, loaded = file_of(name), Loaded()
    try:
        import lzma
    except ImportError:
        raise RdbenchError(
            f"the {name} run is compressed by xz, and this Python was built without lzma; "
            f"rdbench.load reads results/{name} of a checkout"
        ) from None
    try:
        with lzma.open(path) as file:
            take(file, path, 0, loaded)
    except (OSError, EOFError, lzma.LZMAError) as problem:
        raise RdbenchError(f"cannot read {path}: {problem}; install rdbench again") from problem
    if loaded.warnings:
        raise RdbenchError(f"{loaded.warnings[0]}; install rdbench again")
    return tuple(loaded.records.values())
