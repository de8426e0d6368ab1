"""How far a run is: counts, times, and the words for one finished cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from rdbench.run.compose import FINAL
from rdbench.run.plan import Cell
from rdbench.run.pool import InFlight
from rdbench.run.records import CellRecord


class Forecast:
    """The time left, from finished cells of the same estimator."""

    def __init__(self, cells: Sequence[Cell], jobs: int) -> None:
        self._left = {cell.id: cell for cell in cells}
        self._jobs = jobs
        self._seen: dict[str, list[float]] = defaultdict(list)

    def done(self, cell: Cell, seconds: float | None) -> None:
        """A cell is finished; None where it cost nothing."""
        self._left.pop(cell.id, None)
        if seconds is not None:
            self._seen[cell.estimator].append(seconds)

    def left_s(self, in_flight: Sequence[tuple[InFlight, float]]) -> float | None:
        """Seconds until the end, or None where nothing is known yet.

        Args:
            in_flight: the cells being run, each with the seconds it has taken.
        """
        flying = {flight.cell.id: (flight, took) for flight, took in in_flight}
        everything = [s for seen in self._seen.values() for s in seen]
        rests = []
        for cell in self._left.values():
            seen = self._seen.get(cell.estimator) or everything
            flight, took = flying.get(cell.id, (None, 0.0))
            if flight is not None and flight.stage.done > 0.05:
                guess = took / flight.stage.done
            elif seen:
                guess = fmean(seen)
            else:
                return None
            rests.append(max(guess - took, 0.0))
        return max(sum(rests) / self._jobs, *rests, 0.0)


def clock(seconds: float) -> str:
    """9s, 1m02s, 2h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def outcome(record: CellRecord, per_nat: float, unit: str) -> str:
    """One finished cell in words.

    Args:
        record: the cell.
        per_nat: how many units one nat is.
        unit: "nats" or "bits".
    """
    words: list[str] = [record.status]
    failed = [p for p in record.points if p.status not in FINAL]
    if failed:
        words.append(f"{len(failed)} of {len(record.points)} slopes failed")
    # The upper end of the interval: whatever the side, the largest gap is no larger.
    known = [p for p in record.points if p.status in FINAL and (p.gap, p.gap_hi) != (None, None)]
    ends = [p.gap_hi for p in known if p.gap_hi is not None]
    if ends and len(ends) == len(known):
        words.append(f"worst gap ≤ {max(ends) * per_nat:.3g} {unit}")
    elif known:
        words.append("worst gap without an upper end")
    if record.status not in ("ok", "not_converged") and record.reason:
        words.append(record.reason)
    return ", ".join(words)
