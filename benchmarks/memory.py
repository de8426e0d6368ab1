"""The largest resident set of a fit's process, the libraries that it loads included."""

from __future__ import annotations

from benchmarks._measured import CASE_NAMES, ESTIMATORS, Measured, cost, require
from benchmarks._measured import measured as setup_cache

__all__ = ["Memory", "setup_cache"]


class Memory:
    """One case's three rates, one process."""

    params = (ESTIMATORS, CASE_NAMES)
    param_names = ("estimator", "case")
    timeout = 60
    unit = "MB"
    version = "1"

    def setup(self, have: Measured, estimator: str, case: str) -> None:
        """n/a where the estimator does not answer the case."""
        require(have, estimator, case)

    def track_peak(self, have: Measured, estimator: str, case: str) -> float:
        """Peak resident set size, 2^20 bytes."""
        return cost(have, estimator, case, "peak_rss_mb")
