"""The results folder: ``records.jsonl``, one line per finished cell, appended and never rewritten.

A line is written whole by one ``write`` under an inter-process lock and synced, so that two runs
may share a folder and a power cut tears at most the last line.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar

from rdbench.outcomes import RdbenchError
from rdbench.outcomes import StoreError as StoreError
from rdbench.run.reading import RECORDS as RECORDS
from rdbench.run.reading import Loaded as Loaded
from rdbench.run.reading import hold, take, without_draws
from rdbench.run.reading import load as load
from rdbench.run.records import CellRecord
from rdbench.run.texts import encoded

_LOCK = ".records.lock"
_CLAIMS = ".claims.lock"
FILES = (RECORDS, _LOCK, _CLAIMS)
"""The names of the files in a results folder that nothing else may write."""


@dataclass(frozen=True)
class _Read:
    """How far a file has been read, and what tells that it is still the same file."""

    inode: int | None = None
    size: int = 0
    written: int = 0
    """When it was last written to, in nanoseconds."""
    lines: int = 0
    end: bytes = b""
    """The last bytes that were read; with the time at which a record was finished, no two are."""

    MOST: ClassVar[int] = 4096

    def is_all_of(self, found: os.stat_result) -> bool:
        held = (self.inode, self.size, self.written)
        return held == (found.st_ino, found.st_size, found.st_mtime_ns)

    def further(self, found: os.stat_result, size: int, end: bytes, lines: int) -> _Read:
        """After so many bytes more, which end like this; with them there are so many lines."""
        end = (self.end + end)[-self.MOST :]
        return _Read(found.st_ino, self.size + size, found.st_mtime_ns, lines, end)

    def is_part_of(self, file: BinaryIO) -> bool:
        """Whether what was read is still there."""
        if self.inode is None:
            return True
        found = os.fstat(file.fileno())
        there = os.pread(file.fileno(), len(self.end), self.size - len(self.end))
        return found.st_ino == self.inode and found.st_size >= self.size and there == self.end


class _Passed:
    """The lines of a file from where it is, one at a time: how many bytes, and the last of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.end = b""

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self.size += len(line)
            self.end = (self.end + line)[-_Read.MOST :]
            yield line


class Store:
    """One results folder, open for appending."""

    def __init__(self, folder: Path, *, draws: bool = True) -> None:
        """Open a folder, creating it where needed.

        Args:
            folder: the results folder.
            draws: whether `records` have the draws that rows keep for pictures.

        Raises:
            RdbenchError: it cannot be created, or nothing can be written in it.
        """
        self.folder = folder
        self.draws = draws
        self.path = folder / RECORDS
        with _refusal(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            with self.path.open("ab"):
                pass
            self._claims = os.open(folder / _CLAIMS, os.O_RDWR | os.O_CREAT, 0o644)
        self._loaded = Loaded()
        self._read = _Read()
        self.refresh()

    @property
    def records(self) -> dict[str, CellRecord]:
        """The newest record of every cell, as far as the folder has been read."""
        return self._loaded.records

    @property
    def warnings(self) -> list[str]:
        """Lines that could not be read, each with file and line."""
        return self._loaded.warnings

    def refresh(self) -> None:
        """Read what was appended since, by this run or another.

        Where the file is another one, or what was read of it is no longer there, all of it is read
        again, and a warning says so: a record counts as long as it is on disk.
        """
        try:
            if self._read.is_all_of(os.stat(self.path)):
                return
        except FileNotFoundError:
            pass
        except OSError as problem:
            raise StoreError(f"cannot read {self.path}: {problem.strerror}") from problem
        try:
            with self._lock(), self.path.open("ab+") as file:
                if not self._read.is_part_of(file):
                    lost = f"{self.path}: records that had been read were removed from it"
                    self._loaded = Loaded(warnings=[lost])
                    self._read = _Read()
                file.seek(self._read.size)
                passed = _Passed(file)
                texts: Iterable[bytes] = passed
                if not self.draws:
                    texts = map(without_draws, texts)
                lines = take(texts, self.path, self._read.lines, self._loaded)
                found = os.fstat(file.fileno())
                self._read = self._read.further(found, passed.size, passed.end, lines)
        except OSError as problem:
            raise StoreError(f"cannot read {self.path}: {problem.strerror}") from problem

    def append(self, record: CellRecord, line: bytes | None = None) -> None:
        """Write one record and sync it; `records` has it then, where nobody else has written.

        Args:
            record: the record, with draws or without them as in `records`.
            line: the same as JSON, where it is at hand, without the end of a line.

        Raises:
            StoreError: it could not be written whole; earlier records are intact.
        """
        line = (encoded(record) if line is None else line) + b"\n"
        try:
            with self._lock():
                before, after = _append(self.path, line)
        except OSError as problem:
            raise StoreError(
                f"cannot write to {self.path}: {problem.strerror}; earlier records are intact"
            ) from problem
        if self._read.is_all_of(before) and after.st_size == before.st_size + len(line):
            self._read = self._read.further(after, len(line), line, self._read.lines + 1)
            hold(record, self._loaded)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time reads or writes; on a file system without locks, whoever wants."""
        fd = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def claim(self, cell: str) -> bool:
        """Whether this run may work on a cell, i.e. no other run does at this moment.

        A claim is a lock on one byte of a file, at an offset that names the cell: the system
        releases it when the process ends, however it ends.
        """
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset_of(cell))
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: work may be doubled, not lost
        return True

    def release(self, cell: str) -> None:
        """Give a claim back."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, _offset_of(cell))

    def close(self) -> None:
        """Release all claims."""
        os.close(self._claims)


def writable(folder: Path) -> Loaded:
    """The contents of the `Store` that could be opened here; creates nothing.

    Raises:
        RdbenchError: the folder cannot be created, or nothing can be written in it.
    """
    path = folder / RECORDS
    with _refusal(folder):
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
        if not path.exists():
            return Loaded()
        with path.open("ab"):
            pass
    return load(folder, draws=False)


@contextlib.contextmanager
def _refusal(folder: Path) -> Iterator[None]:
    """An OSError in the block is told as a results folder that cannot be written."""
    try:
        yield
    except OSError as problem:
        why = problem.strerror or problem
        raise RdbenchError(
            f"cannot write in the results folder {folder}: {why}; give another one by --results"
        ) from problem


def _append(path: Path, line: bytes) -> tuple[os.stat_result, os.stat_result]:
    """Append a line; the file before and after that."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        before = os.fstat(fd)
        size = before.st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # a power cut tore the last line: leave it behind, alone
        try:
            written = os.write(fd, line)
            if written != len(line):
                os.write(fd, line[written:])  # says why: the disk is full
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise
        return before, os.fstat(fd)
    finally:
        os.close(fd)


def _offset_of(cell: str) -> int:
    return int(cell[:15], 16)
