"""From what a worker left behind to the record of its cell."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import fields

import msgspec
from pebble import ProcessExpired

from rdbench.run.plan import Cell
from rdbench.run.points import ended
from rdbench.run.records import CellRecord, PointRecord, Provenance
from rdbench.run.spool import End, Spool
from rdbench.run.texts import MOST_REASON, MOST_TRACEBACK, bounded, one_line_of, printable, said
from rdbench.types import Status

FINAL: frozenset[Status] = frozenset({"ok", "unsupported", "not_converged"})
"""Statuses that are results; a cell with any other is run again."""

_OF_THE_CELL = frozenset(CellRecord.__struct_fields__) & {field.name for field in fields(Cell)}
"""The fields that a record takes from the plan of its cell under the same name."""

_WORST_FIRST: tuple[Status, ...] = (
    "crashed", "out_of_memory", "timeout", "error", "ok", "not_converged", "unsupported",
)  # fmt: skip
"""Failures before results: a cell that answered some slopes and refused others is ok."""


def compose(
    cell: Cell,
    spool: Spool,
    problem: BaseException | None,
    timeout: float | None,
    provenance: Provenance,
) -> CellRecord:
    """The record of a cell whose process has ended.

    Args:
        cell: the cell.
        spool: all that the worker wrote.
        problem: how the process ended, None where it returned.
        timeout: the seconds of fitting it had.
        provenance: where and by what it ran.
    """
    end = spool.end or _end_of(problem, spool, timeout)
    end = End(end.status, one_line_of(_kept(end.reason, MOST_REASON)), end.traceback)
    rows = [_row(cell, spool, i, end) for i in range(len(cell.betas))]
    cost = spool.cost
    if end.status == "timeout" and spool.end is None:  # killed: the last note is older than that
        cost = msgspec.structs.replace(cost, wall_s=timeout)
    status = cell_status(rows, end.status)
    return CellRecord(
        **{name: getattr(cell, name) for name in _OF_THE_CELL},
        cell=cell.id,
        status=status,
        reason=end.reason or _first_reason(rows, status),
        traceback=None if end.traceback is None else _kept(end.traceback, MOST_TRACEBACK),
        points=rows,
        trace=spool.trace,
        cost=cost,
        provenance=provenance,
    )


def _kept(text: str, most: int) -> str:
    return printable(bounded(text, most))


def cell_status(rows: Sequence[PointRecord], failure: Status | None = None) -> Status:
    """The worst failure, of a row or of the fit; without one, ok before what was refused."""
    found = [row.status for row in rows]
    if failure is not None:
        found.append(failure)
    return min(found, key=_WORST_FIRST.index)


def _row(cell: Cell, spool: Spool, index: int, end: End) -> PointRecord:
    """The row of one target; rows that share a slope differ in nothing else."""
    found = _answer(cell, spool, index, end)
    note = cell.row_notes[index] if cell.row_notes else ""
    aims = cell.target_distortions
    return msgspec.structs.replace(
        found,
        target_distortion=aims[index] if aims else None,
        reason="; ".join(filter(None, [note, found.reason])),
    )


def _answer(cell: Cell, spool: Spool, index: int, end: End) -> PointRecord:
    beta, rate = cell.betas[index], cell.target_rates[index]
    if beta in spool.points:
        found = spool.points[beta]
        return msgspec.structs.replace(found, target_rate=rate, reason=printable(found.reason))
    blank = spool.expected.get(beta) or PointRecord(beta=beta, target_rate=rate, status="error")
    blank = msgspec.structs.replace(blank, target_rate=rate)
    return ended(blank, end.status or "error", end.reason or "no result at this slope")


def _first_reason(rows: Sequence[PointRecord], status: Status) -> str:
    return next((row.reason for row in rows if row.status == status and row.reason), "")


def _end_of(problem: BaseException | None, spool: Spool, timeout: float | None) -> End:
    """Why a worker left no last line."""
    during = "" if spool.stage.name == "fit" else f" during the {spool.stage.name}"
    if isinstance(problem, ProcessExpired):
        code = problem.exitcode
        if code == -signal.SIGALRM:
            return End("timeout", f"killed after {timeout:g} s of fitting")
        if code == -signal.SIGKILL:
            return End(
                "crashed", f"killed by SIGKILL{during}; the kernel does this when memory runs out"
            )
        if code is not None and code < 0:
            return End("crashed", f"died of {_signal_name(-code)}{during}")
        return End("crashed", f"the process ended by itself{during} (exit code {code})")
    if isinstance(problem, FutureTimeout):
        return End("error", f"stopped: far too long{during or ' during the fit'}")
    if problem is not None:
        return End("error", said(problem), _traceback_of(problem))
    return End("crashed", f"the process ended{during} without a word")


def _traceback_of(problem: BaseException) -> str | None:
    """The traceback in the worker's process, which pebble adds to the exception as text."""
    found = getattr(problem, "traceback", None)
    return found if isinstance(found, str) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
