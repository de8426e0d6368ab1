"""The least N that brings the gap to .05 nats, by rate: of a plug-in, and of fits to N draws.

    python -m rdbench.papers.sample_size.sizes

makes ``data/computed.csv`` again: how fast log N grows with R for the plug-in of Appendix A. Its N
is a number of draws of the exact q*, from the tables of Theorem 1 (`rdbench.papers.ebrd.theorem`).
An estimator's N is the size of its fixed training set; its gap is of the q that it finds, audited
on the population.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rdbench.papers.ebrd.theorem import GAP, crossing, load
from rdbench.report.scores import abscissa, shown_gap
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord

DATA = Path(__file__).parent / "data"
CASE = "ramp-d10"


class Needed(NamedTuple):
    """log N at which the gap is ``GAP``; or what is known where no curve crosses it."""

    rate: float
    log_n: float
    known: str
    """``measured``; ``at most``: already so small at the least N; ``more than`` the largest N."""


def plug_in() -> pd.DataFrame:
    """Rate, log N with its interval, and the floors, of the plug-in with draws of q*."""
    table = load()["prices"]
    return table[table["case"] == CASE].sort_values("true_rate")


def growth(rates: Iterable[float], log_n: Iterable[float]) -> tuple[float, float]:
    """The least and the largest d log N / dR between neighbouring rates."""
    steps = np.diff(np.array(list(log_n))) / np.diff(np.array(list(rates)))
    return float(steps.min()), float(steps.max())


def needed(records: Iterable[CellRecord], sizes: Collection[int]) -> Mapping[str, list[Needed]]:
    """By estimator and rate, from the upper ends where only they are known.

    Args:
        records: of one case, with training sets of several sizes.
        sizes: those that an estimator has to have been given; a rate at which one is missing is
            left out, unless a larger one is not enough yet.
    """
    gaps: dict[str, dict[float, dict[int, float]]] = {}
    for record in records:
        for point in record.points:
            rate, gap = abscissa(point), shown_gap(point)
            if record.n_train is not None and rate is not None and gap is not None:
                by_rate = gaps.setdefault(estimator_label(record), {})
                by_rate.setdefault(round(rate, 3), {})[record.n_train] = gap
    found = {
        label: [
            _crossed(rate, by_n)
            for rate, by_n in sorted(by_rate.items())
            if _is_settled(by_n, set(sizes) - by_n.keys())
        ]
        for label, by_rate in gaps.items()
    }
    return {label: rates for label, rates in found.items() if rates}


def _is_settled(by_n: Mapping[int, float], missing: Collection[int]) -> bool:
    """Whether the sizes that are missing cannot move the last crossing."""
    largest = max(missing, default=0)
    return not missing or any(gap > GAP for n, gap in by_n.items() if n > largest)


def _crossed(rate: float, by_n: Mapping[int, float]) -> Needed:
    """Where the gap stays below from: the last crossing, as noise may cross more than once."""
    sizes = sorted(by_n)
    log_n, values = [math.log(n) for n in sizes], [by_n[n] for n in sizes]
    if values[-1] > GAP:
        return Needed(rate, log_n[-1], "more than")
    above = [i for i, gap in enumerate(values) if gap > GAP]
    if not above:
        return Needed(rate, log_n[0], "at most")
    last = above[-1]
    found = crossing(log_n[last : last + 2], values[last : last + 2], GAP)
    assert found is not None
    return Needed(rate, found, "measured")


def rows() -> list[dict[str, Any]]:
    """The growth of the plug-in, for the published statement."""
    table = plug_in().dropna(subset=["measured"])
    lo, hi = growth(table["true_rate"], table["measured"])
    note = f"R from {table['true_rate'].min():g} to {table['true_rate'].max():g} nats"
    return [{"case": CASE, "by": "plug-in, draws of q*", "quantity": "order",
             "lo": float(f"{lo:.6g}"), "hi": float(f"{hi:.6g}"), "note": note}]  # fmt: skip


if __name__ == "__main__":
    pd.DataFrame(rows()).to_csv(DATA / "computed.csv", index=False)
