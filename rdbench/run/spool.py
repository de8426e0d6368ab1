"""The worker's notebook: what a cell has found so far, on disk before it can die.

One JSON line per fact, flushed and synced, so that whatever was yielded before a crash, a kill or
a timeout is still there for the parent to read. The last line of a kind wins.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rdbench.run.records import Cost, PointRecord, TracePoint
from rdbench.run.texts import MOST_REASON, MOST_TRACEBACK, bounded, encoded
from rdbench.types import Status


class Expected(msgspec.Struct, frozen=True, tag="expected"):
    """A slope of the ladder with its truth, before anything is known of it."""

    point: PointRecord


class Point(msgspec.Struct, frozen=True, tag="point"):
    """A slope that the estimator answered."""

    point: PointRecord


class Trace(msgspec.Struct, frozen=True, tag="trace"):
    """A checkpoint."""

    trace: TracePoint


class Spent(msgspec.Struct, frozen=True, tag="spent"):
    """The cost of the fit so far."""

    cost: Cost


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """The stage of the worker now: "start", "fit" or "audit", and how much of the fit is done."""

    name: str
    done: float = 0.0


class End(msgspec.Struct, frozen=True, tag="end"):
    """The worker came to an end by itself: ``status`` is None where nothing went wrong."""

    status: Status | None = None
    reason: str = ""
    traceback: str | None = None


Line = Expected | Point | Trace | Spent | Stage | End

_DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class SpoolWriter:
    """Appends lines; each is on disk when ``write`` returns. A child that is forked writes none."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._owner = os.getpid()

    def write(self, line: Line, *, sync: bool = True) -> None:
        """Append one line; ``sync=False`` for what may be lost, such as progress."""
        if os.getpid() != self._owner:
            return
        os.write(self._fd, encoded(_short(line)) + b"\n")
        if sync:
            os.fsync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _short(line: Line) -> Line:
    """The line with texts of an estimator's bounded."""
    if isinstance(line, Point):
        held = msgspec.structs.asdict(line.point)
        texts = {k: bounded(v, MOST_REASON) for k, v in held.items() if isinstance(v, str)}
        return Point(msgspec.structs.replace(line.point, **texts))
    if isinstance(line, End):
        trace = None if line.traceback is None else bounded(line.traceback, MOST_TRACEBACK)
        return End(line.status, bounded(line.reason, MOST_REASON), trace)
    return line


@dataclass
class Spool:
    """All that a worker left behind."""

    expected: dict[float, PointRecord] = field(default_factory=dict)
    points: dict[float, PointRecord] = field(default_factory=dict)
    trace: list[TracePoint] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    stage: Stage = field(default_factory=lambda: Stage("start"))
    end: End | None = None


def read_spool(path: Path) -> Spool:
    """Read what is there; a torn last line is left out, a missing file is an empty spool."""
    spool = Spool()
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return spool
    for text in raw.split(b"\n"):
        try:
            line = _DECODER.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue  # torn by the death of the worker
        match line:
            case Expected(point):
                spool.expected[point.beta] = point
            case Point(point):
                spool.points[point.beta] = point
            case Trace(trace):
                spool.trace.append(trace)
            case Spent(cost):
                spool.cost = cost
            case Stage():
                spool.stage = line
            case End():
                spool.end = line
    return spool


_TAIL = 8192


def last_stage(path: Path) -> Stage:
    """The stage that a worker noted last, without reading all that it found."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = file.read().split(b"\n")
    except OSError:
        return Stage("start")
    for text in reversed(lines):
        if b'"stage"' in text[:16]:
            with suppress(msgspec.MsgspecError, ValueError, RecursionError):
                line = _DECODER.decode(text)
                if isinstance(line, Stage):
                    return line
    return Stage("start")
