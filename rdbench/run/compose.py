"""From what a worker left behind to the record of its cell."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, fields

import msgspec

from rdbench.run.limits import Limits, Over
from rdbench.run.plan import Cell
from rdbench.run.points import ended
from rdbench.run.records import CellRecord, PointRecord, Provenance
from rdbench.run.spool import End, Spool
from rdbench.run.texts import MOST_REASON, MOST_TRACEBACK, bounded, one_line_of, printable
from rdbench.types import Status

FINAL: frozenset[Status] = frozenset({"ok", "unsupported", "not_converged"})
"""Statuses that are results; a cell with any other is run again."""

_OF_THE_CELL = frozenset(CellRecord.__struct_fields__) & {field.name for field in fields(Cell)}
"""The fields that a record takes from the plan of its cell under the same name."""

_WORST_FIRST: tuple[Status, ...] = (
    "crashed", "out_of_memory", "timeout", "error", "ok", "not_converged", "unsupported",
)  # fmt: skip
"""Failures before results: a cell that answered some slopes and refused others is ok."""


@dataclass(frozen=True)
class Death:
    """How the process of a cell ended."""

    code: int | None
    """Its exit code, negative for a signal; None where the server that forked it died."""
    over: Over | None = None
    """The limit for which it was killed."""


def compose(
    cell: Cell,
    spool: Spool,
    death: Death,
    limits: Limits,
    provenance: Provenance,
) -> CellRecord:
    """The record of a cell whose process has ended.

    Args:
        cell: the cell.
        spool: all that the worker wrote.
        death: how the process ended.
        limits: the seconds that it had.
        provenance: where and by what it ran.
    """
    end = spool.end or _end_of(death, spool, limits)
    end = End(end.status, one_line_of(_kept(end.reason, MOST_REASON)), end.traceback)
    rows = [_row(cell, spool, i, end) for i in range(len(cell.betas))]
    cost = spool.cost
    if death.over == "fit" and spool.end is None:  # killed: the last note is older than that
        cost = msgspec.structs.replace(cost, wall_s=limits.fit)
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


def _end_of(death: Death, spool: Spool, limits: Limits) -> End:
    """Why a worker left no last line."""
    during = "" if spool.stage.name == "fit" else f" during the {spool.stage.name}"
    code = death.code
    if death.over == "fit":
        return End("timeout", f"killed after {limits.fit:g} s of fitting")
    if death.over == "rest":
        return End("timeout", f"killed after {limits.rest:g} s{during or ' of the audit'}")
    if code is None:
        return End("crashed", f"the process that started it was killed{during}")
    if code == -signal.SIGKILL:
        return End(
            "crashed", f"killed by SIGKILL{during}; the kernel does this when memory runs out"
        )
    if code < 0:
        return End("crashed", f"died of {_signal_name(-code)}{during}")
    return End("crashed", f"the process ended by itself{during} (exit code {code})")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
