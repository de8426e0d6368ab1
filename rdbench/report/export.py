"""Records as tidy tables: one row per point, per block, per cell, per checkpoint or per draw.

Numbers stay as they are stored: nats per symbol, summed distortion, seconds. What is not known is
empty (NaN or NA). ``wall_s``, ``cpu_s``, ``peak_rss_mb`` and the counts belong to the whole fit of
a cell and repeat on its rows: never sum them over rows.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from rdbench.outcomes import RdbenchError
from rdbench.report.claims import claim_excess, claimed_gap, verdict_in
from rdbench.report.protocol import log_draws, saturated
from rdbench.report.scores import good_to
from rdbench.run.records import CellRecord, PointRecord

What = Literal["points", "blocks", "cells", "traces", "draws"]
Format = Literal["csv", "parquet"]

_CELL_HEAD = (
    "suite", "suite_version", "case", "cell", "dim", "distortion", "estimator", "preset",
    "params", "seed", "budget", "n_train",
)  # fmt: skip
_POINT = (
    "beta", "target_rate", "status", "reason", "claimed_rate", "claimed_distortion",
    "claimed_side", "claimed_gap", "claim_excess", "claim", "rate", "distortion_value",
    "lagrangian", "gap", "gap_lo", "gap_hi", "gap_paper_protocol", "n_paper_protocol",
    "log_n_paper_protocol", "paper_protocol_saturated", "truth_lo", "truth_hi", "truth_kind",
    "rate_lo", "rate_hi", "dist_lo", "dist_hi", "side", "audit_method", "ess", "rate_error",
    "rate_error_lo", "rate_error_hi", "rate_half", "distortion_half", "gap_common_se",
    "conditional_kind", "conditional_error", "conditional_lo", "conditional_hi",
    "conditional_floor", "mode_mass_error",
)  # fmt: skip
_DERIVED: Mapping[str, Callable[[CellRecord, PointRecord], float | bool | str | None]] = {
    "distortion_value": lambda _, point: point.distortion,
    "claimed_gap": lambda _, point: claimed_gap(point),
    "claim_excess": lambda _, point: claim_excess(point),
    "claim": verdict_in,
    "log_n_paper_protocol": lambda _, point: log_draws(point),
    "paper_protocol_saturated": lambda _, point: saturated(point),
}
"""Columns of a point that are no field of its record: ``distortion`` alone is the measure's name,
the others follow from the fields."""
_COST_COUNTS = ("n_source_samples", "gradient_steps", "n_parameters")
_MACHINE = ("device", "threads", "jobs", "commit", "dirty", "schema", "versions")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "points": (
        *_CELL_HEAD, *_POINT, "wall_s", "cpu_s", "audit_s", "peak_rss_mb", *_COST_COUNTS,
        *_MACHINE,
    ),
    "blocks": (
        *_CELL_HEAD, "beta", "target_rate", "block", "gap_block", "gap_common_se", "side",
    ),
    "cells": (
        *_CELL_HEAD, "status", "reason", "n_points", "n_ok", "good_to", "wall_s", "cpu_s",
        "audit_s", "peak_rss_mb", *_COST_COUNTS, *_MACHINE, "processor", "platform", "started",
        "finished", "fields", "traceback",
    ),
    "traces": (
        *_CELL_HEAD, "beta", "wall_s", "cpu_s", "gap", "gap_lo", "gap_hi", *_MACHINE,
    ),
    "draws": (*_CELL_HEAD, "beta", "target_rate", "law", "symbol", "x1", "x2", "y1", "y2"),
}  # fmt: skip
"""The columns of every table, in order."""

_TEXT = frozenset(
    {
        "suite", "case", "cell", "distortion", "estimator", "preset", "params", "budget", "status",
        "reason", "claimed_side", "claim", "truth_kind", "side", "audit_method", "conditional_kind",
        "device", "commit", "law", "versions", "processor", "platform", "started", "finished",
        "fields", "traceback",
    }
)  # fmt: skip
_WHOLE = frozenset(
    {
        "suite_version", "dim", "seed", "n_train", "n_paper_protocol", "threads", "jobs",
        "schema", "symbol", "block", "n_points", "n_ok", *_COST_COUNTS,
    }
)  # fmt: skip

_YES_NO = frozenset({"dirty", "paper_protocol_saturated"})


def compact_json(value: Mapping[str, Any]) -> str:
    """The mapping on one line, keys sorted, so that equal mappings give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def frame(records: Sequence[CellRecord], what: str = "points") -> pd.DataFrame:
    """The tidy table of ``records``.

    Args:
        records: finished cells, in any order; the rows keep it.
        what: ``points`` (one row per slope, failed ones too), ``blocks`` (one per block of the
            audit's symbols), ``cells`` (one per cell, with its traceback), ``traces`` (one per
            checkpoint) or ``draws`` (one per pair x, y that was kept: of the ``law`` p(y|x) at one
            of a few numbered symbols, or of the joint one).

    Returns:
        The columns ``COLUMNS[what]``, with the same types whether or not there are rows.

    Raises:
        RdbenchError: ``what`` is none of these.
    """
    rows: Iterable[dict[str, Any]]
    match what:
        case "points":
            rows = (row for record in records for row in _point_rows(record))
        case "blocks":
            rows = (row for record in records for row in _block_rows(record))
        case "cells":
            rows = (_cell_row(record) for record in records)
        case "traces":
            rows = (row for record in records for row in _trace_rows(record))
        case "draws":
            rows = (row for record in records for row in _draw_rows(record))
        case _:
            raise RdbenchError(f"cannot export {what!r}; choose from {', '.join(COLUMNS)}")
    columns = COLUMNS[what]
    table = pd.DataFrame(list(rows), columns=pd.Index(columns), dtype=object)
    # Typed by hand: a column that is empty in one export and full in another must not change type.
    return table.astype({column: _dtype(column) for column in columns})


def write(table: pd.DataFrame, format: str, out: Path | None = None) -> None:
    """Write ``table`` to ``out``, or as CSV to standard output when ``out`` is None.

    The file appears whole or not at all.

    Raises:
        RdbenchError: the format is unknown, needs a file or a package that is missing, or the
            file cannot be written.
    """
    if format not in ("csv", "parquet"):
        raise RdbenchError(f"unknown format {format!r}; choose from csv, parquet")
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise RdbenchError("parquet needs pyarrow: pip install 'rdbench[parquet]'")
    if out is None:
        if format == "parquet":
            raise RdbenchError("parquet is binary and needs a file: give --out FILE")
        table.to_csv(sys.stdout, index=False)
        return
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    except OSError as error:
        raise RdbenchError(f"cannot write {out}: {error.strerror}") from error
    part = Path(name)
    try:
        os.close(handle)
        if format == "csv":
            table.to_csv(part, index=False)
        else:
            table.to_parquet(part, index=False, engine="pyarrow")
        part.chmod(0o666 & ~_umask())
        part.replace(out)
    except OSError as error:
        raise RdbenchError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    """The process's file mask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _dtype(column: str) -> str:
    if column in _TEXT:
        return "string"
    if column in _WHOLE:
        return "Int64"
    return "boolean" if column in _YES_NO else "float64"


def _head(record: CellRecord) -> dict[str, Any]:
    """What every row of a cell has in common."""
    made = record.provenance
    return {
        "suite": record.suite,
        "suite_version": record.suite_version,
        "case": record.case,
        "cell": record.cell,
        "dim": record.dim,
        "distortion": record.distortion,
        "estimator": record.estimator,
        "preset": record.preset,
        "params": compact_json(record.params),
        "seed": record.seed,
        "budget": record.budget,
        "n_train": record.n_train,
        "device": made.device,
        "threads": made.threads,
        "jobs": made.jobs,
        "commit": made.commit,
        "dirty": made.dirty,
        "schema": record.schema,
        "versions": compact_json(made.versions),
    }


def cost_of(record: CellRecord) -> dict[str, Any]:
    """What the whole fit consumed: seconds, MB and counts, None where not known."""
    cost = record.cost
    return {
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "peak_rss_mb": cost.peak_rss_mb,
        "n_source_samples": cost.n_source_samples,
        "gradient_steps": cost.gradient_steps,
        "n_parameters": cost.n_parameters,
    }


def _point_rows(record: CellRecord) -> Iterable[dict[str, Any]]:
    common = _head(record) | cost_of(record)
    names = [name for name in (*_POINT, "audit_s") if name not in _DERIVED]
    for point in record.points:
        own = {name: getattr(point, name) for name in names}
        yield common | own | {name: make(record, point) for name, make in _DERIVED.items()}


def _block_rows(record: CellRecord) -> Iterable[dict[str, Any]]:
    common = {name: value for name, value in _head(record).items() if name in _CELL_HEAD}
    for point in record.points:
        names = ("beta", "target_rate", "gap_common_se", "side")
        own = common | {name: getattr(point, name) for name in names}
        for block, value in enumerate(point.gap_blocks):
            yield own | {"block": block, "gap_block": value}


def _cell_row(record: CellRecord) -> dict[str, Any]:
    made = record.provenance
    found = good_to(record)
    audits = [point.audit_s for point in record.points if point.audit_s is not None]
    return (
        _head(record)
        | cost_of(record)
        | {
            "status": record.status,
            "reason": record.reason,
            "n_points": len(record.points),
            "n_ok": sum(point.status == "ok" for point in record.points),
            "good_to": None if found is None else found.rate,
            "audit_s": sum(audits) if audits else None,
            "processor": made.processor,
            "platform": made.platform,
            "started": made.started,
            "finished": made.finished,
            "fields": compact_json(record.fields),
            "traceback": record.traceback,
        }
    )


def _trace_rows(record: CellRecord) -> Iterable[dict[str, Any]]:
    common = _head(record)
    for mark in record.trace:
        yield common | {
            name: getattr(mark, name)
            for name in ("beta", "wall_s", "cpu_s", "gap", "gap_lo", "gap_hi")
        }


def _draw_rows(record: CellRecord) -> Iterable[dict[str, Any]]:
    common = {name: value for name, value in _head(record).items() if name in _CELL_HEAD}
    for point in record.points:
        if point.draws is None:
            continue
        kept = point.draws
        own = common | {"beta": point.beta, "target_rate": point.target_rate}
        for symbol, (x, drawn) in enumerate(zip(kept.x, kept.y, strict=True)):
            for y in drawn:
                yield own | {"law": "conditional", "symbol": symbol} | _pair(x, y)
        for x, y in zip(kept.source, kept.reproduction, strict=True):
            yield own | {"law": "joint"} | _pair(x, y)


def _pair(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """The coordinates of a symbol and its reproduction, in one or two dimensions."""
    named = (("x", x), ("y", y))
    return {f"{name}{i}": value for name, vector in named for i, value in enumerate(vector, 1)}
