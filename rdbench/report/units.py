"""The unit in which rates are shown; everything stored is in nats."""

from __future__ import annotations

import math

from rdbench.outcomes import RdbenchError


def nats_per(units: str) -> float:
    """How many nats one unit is: 1, or ln 2 for bits.

    Raises:
        RdbenchError: the unit is unknown.
    """
    if units == "nats":
        return 1.0
    if units == "bits":
        return math.log(2.0)
    raise RdbenchError(f"unknown units {units!r}; choose from nats, bits")
