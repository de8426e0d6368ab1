"""How far every estimator is from the truth: audited gaps in nats, at three rates of every case."""

from __future__ import annotations

from benchmarks._cases import BANDS, ESTIMATORS
from benchmarks._measured import CASE_NAMES, Measured, PerCase, number, point
from benchmarks._measured import measured as setup_cache

__all__ = ["Gap", "setup_cache"]

FLOOR = 1e-3
"""Nats. Smaller gaps count as this one: asv judges by ratios, and between two gaps below the doubt
of the audit a ratio says nothing."""
FINER = {"blahut_arimoto": 1e-5}
"""The same for an estimator without a seed, whose doubt is the grid's."""
FINITE = {"random-500": 1e-9}
"""The same for a finite source, whose audit is a sum."""


def floored(value: float, estimator: str, case: str) -> float:
    """``value`` or the floor that belongs to the estimator on the case."""
    return max(value, FINITE.get(case, FINER.get(estimator, FLOOR)))


class Gap(PerCase):
    """F(q) - F* of the reproduction marginal q, and how large it may be: lower is better."""

    params = (ESTIMATORS, CASE_NAMES, BANDS)
    param_names = ("estimator", "case", "band")
    unit = "nats"

    def track_estimate(self, have: Measured, estimator: str, case: str, band: str) -> float:
        """The audit's estimate, its absolute value, not below the floor."""
        gap = number(point(have, estimator, case, band), "gap")
        return floored(abs(gap), estimator, case)

    def track_upper(self, have: Measured, estimator: str, case: str, band: str) -> float:
        """The upper end of its 95% interval, not below the floor.

        This is the one to compare: it holds on every side of the audit, and it includes the doubt.
        """
        upper = number(point(have, estimator, case, band), "gap_hi")
        return floored(upper, estimator, case)
