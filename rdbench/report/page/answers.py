"""Who does best on a set of cases: a row per estimator, ranked, with what it rests on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rdbench.report.page.cases import axis_data, spread
from rdbench.report.page.pack import finite
from rdbench.report.page.standings import step_of
from rdbench.report.paired import Entrant
from rdbench.report.scales import gap_axis, seconds_axis
from rdbench.report.scores import (
    half_truth,
    is_lower,
    is_scored,
    is_start,
    is_upper,
    mean,
    mean_gap,
    shown_mean,
    worst_gap,
)
from rdbench.report.series import state
from rdbench.report.summary import between_seeds
from rdbench.report.tiers import Ranking, ranking
from rdbench.run.records import CellRecord


@dataclass(frozen=True)
class Part:
    """A cell, or those of its points that are asked about."""

    series: int
    record: CellRecord
    """With these points alone."""
    is_lost: bool
    """Whether the cell ended without any point."""


def answer(parts: Sequence[Part]) -> dict[str, Any]:
    """A row for every series that was run there, in order, in nats.

    First come those with a gap at every point, by rank; then those without, by the share of points
    they have a gap at; then lower bounds, which have no rank among channels.

    Args:
        parts: cells of the same settings.
    """
    own: dict[int, list[Part]] = {}
    for part in parts:
        own.setdefault(part.series, []).append(part)
    entrants = {
        series: Entrant(
            tuple((p.record, point) for p in mine for point in p.record.points),
            whole=not any(p.is_lost for p in mine),
        )
        for series, mine in own.items()
    }
    found = ranking(entrants)
    cases = {(p.record.suite, p.record.case) for p in parts}
    rows = [_row(series, mine, found) for series, mine in own.items()]
    for row in rows:
        row["not_run"] = len(cases) - row["run_on"]
    rows.sort(key=lambda row: _order(row, found))
    return {
        "cases": len(cases),
        "points": sum(len(p.record.points) for p in parts),
        "seeds": len({p.record.seed for p in parts}),
        "rows": [finite(row) for row in rows],
        "axes": _axes(rows),
    }


def _row(series: int, parts: Sequence[Part], found: Ranking[int]) -> dict[str, Any]:
    records = [part.record for part in parts]
    points = [point for record in records for point in record.points]
    scored = [point for point in points if is_scored(point)]
    gap, upper = mean_gap(scored), is_upper(scored)
    worst = worst_gap(points)
    missing = Counter(state(point) for point in points if not is_scored(point))
    missing["q is its start"] = sum(map(is_start, scored))
    high = None if worst is None else worst.gap if worst.hi is None else worst.hi
    width = 2.0 * max((half_truth(point) for point in scored), default=0.0)
    behind = found.behind.get(series)
    return {
        "series": series,
        **_rank(series, found),
        "behind": None if behind is None else asdict(behind),
        "is_lower": is_lower(points),
        "worst": None if worst is None else asdict(worst),
        "gap": asdict(gap),
        "shown": shown_mean(gap, upper=upper),
        "is_upper": upper,
        "by_seed": between_seeds(records),
        "cpu_s": mean(r.cost.cpu_s for r in records if any(map(is_scored, r.points))),
        "cases": len({(r.suite, r.case) for r in records if any(map(is_scored, r.points))}),
        "run_on": len({(r.suite, r.case) for r in records}),
        "scored": len(scored),
        "points": len(points),
        "missing": [[name, count] for name, count in missing.most_common() if count],
        "lost": sum(part.is_lost for part in parts),
        # As in the heat map of cases: of what the bracket on F* may add, nothing is painted.
        "step": None if high is None else step_of(high - width),
        "veiled": high is not None and step_of(high) > step_of(high - width),
    }


def _rank(series: int, found: Ranking[int]) -> dict[str, Any]:
    """The rank and with how many others it is shared; None where there is none."""
    ahead = 0
    for tier in found.tiers:
        if series in tier:
            return {"rank": ahead + 1, "tied": len(tier) - 1}
        ahead += len(tier)
    return {"rank": None, "tied": 0}


def _order(row: Mapping[str, Any], found: Ranking[int]) -> tuple[float, ...]:
    ranked = [series for tier in found.tiers for series in tier]
    if row["series"] in ranked:
        return 0.0, ranked.index(row["series"]), 0.0, 0.0
    shown = math.inf if row["shown"] is None else row["shown"]
    share = row["scored"] / max(row["points"], 1)
    return 2.0 if row["is_lower"] else 1.0, -row["cases"], -share, shown


def _axes(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Of the picture of gap against CPU seconds; None where nobody has both."""
    timed = [row for row in rows if row["cpu_s"] and row["shown"] is not None]
    if not timed:
        return None
    spreads = [spread(row["shown"], row["gap"]["lo"], row["gap"]["hi"]) for row in timed]
    return {
        "seconds": axis_data(seconds_axis([row["cpu_s"] for row in timed], 1.6)),
        "gap": axis_data(gap_axis(spreads)),
    }
