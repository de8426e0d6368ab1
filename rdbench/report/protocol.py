"""The paper's own evaluation beside the audit: the plug-in of its Appendix A and its ceiling.

With N draws of q the plug-in -log mean_j exp(-beta rho(x, y_j)) is the exact value of a channel on
N equally likely atoms, whose rate never exceeds log N. Where the true rate does, it can only be
wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rdbench.report.scores import mean
from rdbench.run.records import PointRecord


@dataclass(frozen=True)
class Protocol:
    """Several points by Appendix A, in nats."""

    mean_gap: float | None
    draws: int
    """The N of the point with the fewest draws."""
    beyond: int
    """Points whose true rate exceeds log N."""
    points: int

    @property
    def ceiling(self) -> float:
        """log N."""
        return math.log(self.draws)


def log_draws(point: PointRecord) -> float | None:
    """log N in nats, None where the protocol was not run."""
    return math.log(point.n_paper_protocol) if point.n_paper_protocol else None


def saturated(point: PointRecord) -> bool | None:
    """Whether the true rate (or the one aimed at) exceeds log N; None where either is unknown."""
    ceiling = log_draws(point)
    rate = point.target_rate if point.rate_lo is None else point.rate_lo
    return None if ceiling is None or rate is None else rate > ceiling


def summarise_protocol(points: Iterable[PointRecord]) -> Protocol | None:
    """The mean gap by Appendix A and how many points are beyond its ceiling."""
    known = [point for point in points if point.n_paper_protocol]
    if not known:
        return None
    return Protocol(
        mean_gap=mean(point.gap_paper_protocol for point in known),
        draws=min(point.n_paper_protocol or 0 for point in known),
        beyond=sum(bool(saturated(point)) for point in known),
        points=len(known),
    )
