"""The table, its summary line, and the JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gate.verdicts import REGRESSIONS, Finding, Verdict

ORDER: tuple[Verdict, ...] = (*REGRESSIONS, "both fail", "suspected", "mended", "new", "ok")
"""What is worse first; a ``suspected`` was not confirmed."""


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """The worst first, in the order in which they were measured."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.verdict))


def show(findings: Sequence[Finding], out: Console) -> None:
    """Print a table, a row for each finding."""
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for name in ("verdict", "metric"):
        table.add_column(name, no_wrap=True)
    for name in ("BASE", "HEAD", "change", "interval", "allowed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in ordered(findings):
        table.add_row(*_row(one))
    # As wide as it needs to be: a name that is cut off cannot be given to --only.
    wide = Console(file=out.file, width=1000)
    wide.print(table, markup=False, highlight=False, soft_wrap=True, crop=False)


def _row(one: Finding) -> list[str]:
    unit = f" {one.unit}" if one.unit else ""
    sign = "+" if one.unit == "nats" else "x"
    interval = ""
    if one.low is not None and one.high is not None:
        interval = f"[{_figure(one.low)}, {_figure(one.high)}]"
    return [
        one.verdict,
        one.metric,
        _figure(one.base) + (unit if one.base is not None else ""),
        _figure(one.head) + (unit if one.head is not None else ""),
        ""
        if one.change is None
        else (_signed(one.change) if sign == "+" else f"x{one.change:.2f}"),
        interval,
        "" if one.limit is None else f"{sign}{_figure(one.limit)}",
        one.note,
    ]


def _figure(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{value:+.3g}"


def summary(findings: Sequence[Finding], allow_missing: bool) -> str:
    """One line: how many of each verdict, and what it comes to."""
    counts = Counter(one.verdict for one in findings)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])
    bad = len(failing(findings, allow_missing))
    verdict = "REGRESSION" if bad else "no regression"
    return f"{verdict}: {len(findings)} metrics: {parts}"


def failing(findings: Sequence[Finding], allow_missing: bool) -> list[Finding]:
    """The findings for which the exit code is 1."""
    return [
        one
        for one in findings
        if one.regression and not (allow_missing and one.verdict == "missing")
    ]


def save(path: Path, head: dict[str, Any], findings: Sequence[Finding]) -> None:
    """Everything as JSON; what does not exist is null."""
    rows = []
    for one in ordered(findings):
        row = asdict(one)
        row = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        rows.append(row)
    path.write_text(json.dumps({**head, "findings": rows}, indent=1, allow_nan=False) + "\n")
