"""How far a run is: counts, times, and the words for one finished cell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rdbench.run.compose import FINAL
from rdbench.run.plan import Cell
from rdbench.run.records import CellRecord
from rdbench.run.spool import Stage


class Flying(NamedTuple):
    """A cell that is being run, at this moment."""

    cell: Cell
    took: float
    """Seconds that it has taken."""
    stage: Stage


@dataclass
class _Tally:
    """The cells of one estimator."""

    left: int = 0
    seen: int = 0
    seconds: float = 0.0
    """Of those that were seen."""


class Forecast:
    """The time left, from finished cells of the same estimator, by running sums."""

    def __init__(self, cells: Sequence[Cell], jobs: int) -> None:
        self._left = {cell.id for cell in cells}
        self._jobs = jobs
        self._tallies: dict[str, _Tally] = defaultdict(_Tally)
        for cell in cells:
            self._tallies[cell.estimator].left += 1

    def done(self, cell: Cell, seconds: float | None) -> None:
        """A cell is finished; None where it cost nothing."""
        tally = self._tallies[cell.estimator]
        if cell.id in self._left:
            self._left.remove(cell.id)
            tally.left -= 1
        if seconds is not None:
            tally.seen += 1
            tally.seconds += seconds

    def left_s(self, flying: Sequence[Flying]) -> float | None:
        """Seconds until the end, or None where nothing is known yet.

        Args:
            flying: the cells being run.
        """
        tallies = self._tallies.values()
        seen, seconds = sum(one.seen for one in tallies), sum(one.seconds for one in tallies)
        rests = []  # pairs of a number of cells and the rest of each
        in_air: dict[str, int] = defaultdict(int)
        for one in flying:
            in_air[one.cell.estimator] += 1
            tally = self._tallies[one.cell.estimator]
            if one.stage.done > 0.05:
                guess = one.took / one.stage.done
            elif seen:
                guess = tally.seconds / tally.seen if tally.seen else seconds / seen
            else:
                return None
            rests.append((1, max(guess - one.took, 0.0)))
        for name, tally in self._tallies.items():
            waiting = tally.left - in_air[name]
            if waiting > 0:
                if not seen:
                    return None
                guess = tally.seconds / tally.seen if tally.seen else seconds / seen
                rests.append((waiting, guess))
        total = sum(n * rest for n, rest in rests)
        return max(total / self._jobs, *(rest for _, rest in rests), 0.0)


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
