"""Few ticks, with short labels and without a formula language."""

from __future__ import annotations

import math

from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST_TICKS = 5
"""Labels on a logarithmic axis: panels may be two inches wide."""
_STEPS = ((1, 2, 5), (1, 3), (1,))
_MINOR = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)


def decades(lo: float, hi: float, *, most: int) -> list[float]:
    """The powers of ten in [lo, hi], thinned to at most ``most``."""
    if hi < lo:
        return []
    first, last = math.ceil(math.log10(lo) - 1e-9), math.floor(math.log10(hi) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**power for power in range(first, last + 1, step)]


def logarithmic_ticks(lo: float, hi: float, *, most: int) -> list[float]:
    """Round numbers in [lo, hi]: 1, 2, 5 or 1, 3 of a decade where they are at most ``most``."""
    first, last = math.floor(math.log10(lo)), math.ceil(math.log10(hi))
    for steps in _STEPS:
        found = [
            float(f"{step}e{power}")
            for power in range(first, last + 1)
            for step in steps
            if lo * (1 - 1e-9) <= float(f"{step}e{power}") <= hi * (1 + 1e-9)
        ]
        if len(found) <= most:
            return found
    return decades(lo, hi, most=most)


def tick_logarithmically(axis: Axis, lo: float, hi: float, *, most: int) -> None:
    """Ticks of a logarithmic axis that shows [lo, hi]; minor ones without labels."""
    axis.set_major_locator(FixedLocator(logarithmic_ticks(lo, hi, most=most)))
    axis.set_major_formatter(FuncFormatter(tick_label))
    axis.set_minor_locator(LogLocator(subs=_MINOR))
    axis.set_minor_formatter(NullFormatter())


def tick_label(value: float, _position: object = None) -> str:
    """Powers of ten as ``power_label`` writes them, other numbers in digits."""
    if value > 0.0 and abs(math.log10(value) - round(math.log10(value))) > 1e-9:
        return f"{value:g}"
    return power_label(value)


def power_label(value: float, _position: object = None) -> str:
    """A power of ten (or zero) as a tick label: 0.001 to 1000 in digits, 10⁻⁴ beyond."""
    if value == 0.0:
        return "0"
    sign, power = ("-" if value < 0 else ""), round(math.log10(abs(value)))
    if -3 <= power <= 3:
        return f"{sign}{10.0**power:g}"
    return f"{sign}10{str(power).translate(_SUPERSCRIPT)}"
