"""The table, its summary line, and the JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from benchmarks.gate.verdicts import Finding, Verdict

ORDER: tuple[Verdict, ...] = get_args(Verdict)


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """The worst first, in the order in which they were measured."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.verdict))


def show(findings: Sequence[Finding], out: Console) -> None:
    """Print a table, a row for each finding."""
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for name in ("verdict", "metric", "BASE", "HEAD", "change", "interval", "allowed", ""):
        right = name not in ("verdict", "metric", "")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for one in ordered(findings):
        nats = one.unit == "nats"
        change = (
            "" if one.change is None else f"{one.change:+.3g}" if nats else f"x{one.change:.2f}"
        )
        ends = (one.low, one.high)
        interval = "" if None in ends else f"[{_figure(one.low)}, {_figure(one.high)}]"
        limit = "" if one.limit is None else f"{'+' if nats else 'x'}{_figure(one.limit)}"
        sides = (f"{_figure(v)} {one.unit}" if v is not None else "" for v in (one.base, one.head))
        table.add_row(one.verdict, one.metric, *sides, change, interval, limit, one.note)
    # As wide as it needs to be: a name that is cut off cannot be given to --only.
    wide = Console(file=out.file, width=1000)
    wide.print(table, markup=False, highlight=False, soft_wrap=True, crop=False)


def _figure(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3g}"


def summary(findings: Sequence[Finding], allow_missing: bool) -> str:
    """One line: how many of each verdict, and what it comes to."""
    counts = Counter(one.verdict for one in findings)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])
    verdict = "REGRESSION" if failing(findings, allow_missing) else "no regression"
    return f"{verdict}: {len(findings)} metrics: {parts}"


def failing(findings: Sequence[Finding], allow_missing: bool) -> list[Finding]:
    """The findings for which the exit code is 1."""
    tolerated = ("missing",) if allow_missing else ()
    return [one for one in findings if one.regression and one.verdict not in tolerated]


def save(path: Path, head: dict[str, Any], findings: Sequence[Finding]) -> None:
    """Everything as JSON; what does not exist is null."""
    rows = [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(one).items()}
        for one in ordered(findings)
    ]
    path.write_text(json.dumps({**head, "findings": rows}, indent=1, allow_nan=False) + "\n")
