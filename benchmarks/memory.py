"""The largest resident set of a fit's process, the libraries that it loads included."""

from __future__ import annotations

from benchmarks._measured import Measured, PerCase, cost
from benchmarks._measured import measured as setup_cache

__all__ = ["Memory", "setup_cache"]


class Memory(PerCase):
    """One case's three rates, one process."""

    unit = "MB"

    def track_peak(self, have: Measured, estimator: str, case: str) -> float:
        """Peak resident set size, 2^20 bytes."""
        return cost(have, estimator, case, "peak_rss_mb")
