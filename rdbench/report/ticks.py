"""Short labels for powers of ten, without a formula language."""

from __future__ import annotations

import math

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def decades(lo: float, hi: float, *, most: int) -> list[float]:
    """The powers of ten in [lo, hi], thinned to at most ``most``."""
    if hi < lo:
        return []
    first, last = math.ceil(math.log10(lo) - 1e-9), math.floor(math.log10(hi) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**power for power in range(first, last + 1, step)]


def power_label(value: float, _position: object = None) -> str:
    """A power of ten (or zero) as a tick label: 0.001 to 1000 in digits, 10⁻⁴ beyond."""
    if value == 0.0:
        return "0"
    sign, power = ("-" if value < 0 else ""), round(math.log10(abs(value)))
    if -3 <= power <= 3:
        return f"{sign}{10.0**power:g}"
    return f"{sign}10{str(power).translate(_SUPERSCRIPT)}"
