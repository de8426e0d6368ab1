"""The sections of the summary after a run: which columns each has and what its cells say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rdbench.report.claims import verdict_texts
from rdbench.report.grouping import number
from rdbench.report.scores import Interval
from rdbench.report.summary import Summary


@dataclass(frozen=True)
class Shown:
    """A column: its title, the text of a row in units of so many nats, and its importance.

    A terminal that is too narrow shows the columns of the lowest ``rank`` that fit, in one line a
    row: with the ``brief`` text where there is one.
    """

    title: str
    text: Callable[[Summary, float], str]
    rank: int = 0
    brief: Callable[[Summary, float], str] | None = None
    optional: bool = False
    """Left out where no row has anything to say."""


@dataclass(frozen=True)
class Section:
    """One table: its title (``{units}`` is filled in) and its columns after case and estimator."""

    title: str
    columns: tuple[Shown, ...]
    is_shown: Callable[[Summary], bool] = lambda _: True
    """Whether a row has anything to say here; a section without such a row is left out."""


def _ok(found: Summary, _: float) -> str:
    return f"{found.ok}/{found.points}" + (f" ({found.seeds} seeds)" if found.seeds > 1 else "")


def _good_to(found: Summary, scale: float) -> str:
    """A rate, marked where the ladder ends there."""
    best = found.good_to
    return "-" if best is None else ("≥ " if best.is_top else "") + number(best.rate, scale)


def _median(found: Summary, scale: float) -> str:
    """A median gap, marked where it is only known to be no larger."""
    middle = found.median
    return "-" if middle is None else ("≤ " if middle.is_upper else "") + number(middle.gap, scale)


def _mean(found: Summary, scale: float) -> str:
    text = _interval(found.gap, scale)
    if found.truth_doubt is not None:
        text += f" (F* ± {number(found.truth_doubt, scale)})"
    return text + (f" (of {found.scored})" if found.scored not in (0, found.ok) else "")


def _by_seed(found: Summary, scale: float) -> str:
    if found.by_seed is None:
        return "-"
    return " to ".join(number(end, scale) for end in found.by_seed)


def _worst(found: Summary, scale: float) -> str:
    one = found.worst
    return "-" if one is None else _interval(Interval(one.gap, one.lo, one.hi), scale)


def _worst_at(found: Summary, scale: float) -> str:
    return "-" if found.worst is None else number(found.worst.rate, scale)


def _claim(found: Summary, _: float) -> str:
    return "\n".join(verdict_texts(found.claims)) or "-"


def _cpu(found: Summary, _: float) -> str:
    return number(found.cpu_s, 1.0)


def _protocol_gap(found: Summary, scale: float) -> str:
    return "-" if found.protocol is None else number(found.protocol.mean_gap, scale)


def _protocol_ceiling(found: Summary, scale: float) -> str:
    one = found.protocol
    return "-" if one is None else f"N={one.draws}: R ≤ {number(one.ceiling, scale)}"


def _protocol_beyond(found: Summary, _: float) -> str:
    return "-" if found.protocol is None else f"{found.protocol.beyond}/{found.protocol.points}"


def _conditional(name: str) -> Callable[[Summary, float], str]:
    """A field of the error of p(y|x), which has no unit."""
    return lambda found, _: number(getattr(found.conditional, name, None), 1.0)


def _conditional_interval(found: Summary, _: float) -> str:
    one = found.conditional
    return "-" if one is None else _interval(Interval(one.error, one.lo, one.hi), 1.0)


_GAPS = (
    Shown("ok", _ok, 2),
    Shown("good to R", _good_to, 4),
    Shown("median gap", _median, 5),
    Shown("mean gap", _mean, 0),
    Shown("by seed", _by_seed, 8, optional=True),
    Shown("worst gap", _worst, 1),
    Shown("at R", _worst_at, 7),
)
SECTIONS = (
    Section(
        "Gap F(q) - F* [95%] and rates in {units} per symbol",
        (
            *_GAPS,
            Shown("side", lambda found, _: ", ".join(found.sides) or "-", 3),
            Shown("CPU s", _cpu, 6),
        ),
        lambda found: not found.is_lower,
    ),
    Section(
        "Lower bounds: gap F* - F_lo [95%] and rates in {units} per symbol",
        (
            *_GAPS,
            Shown("evidence", lambda found, _: ", ".join(found.evidence) or "-", 3),
            Shown("lambda is", lambda found, _: ", ".join(found.q_is) or "-", 9),
            Shown("CPU s", _cpu, 6),
        ),
        lambda found: found.is_lower,
    ),
    Section(
        "Claims, and the estimate of Appendix A, in {units} per symbol",
        (
            Shown("claim", _claim, 0, lambda f, _: (verdict_texts(f.claims) or ["-"])[0]),
            Shown("claimed - audited", lambda f, s: number(f.claims.excess, s, sign=True), 1),
            Shown("mean claimed", lambda found, s: number(found.claims.mean_gap, s), 2),
            Shown("worst claimed", lambda found, s: number(found.claims.worst_gap, s), 3),
            Shown("App. A gap", _protocol_gap, 4),
            Shown("its ceiling", _protocol_ceiling, 7),
            Shown("beyond", _protocol_beyond, 6),
            Shown("R - R(D)", lambda found, scale: _interval(found.rate_error, scale), 5),
        ),
        lambda found: bool(found.claims.verdicts),
    ),
    Section(
        "What q is, and its gain F(start) - F(q) [95%] in {units} per symbol",
        (
            Shown("q is", lambda found, _: ", ".join(found.q_is), 0),
            Shown("gain over start", lambda found, scale: _interval(found.gain, scale), 1),
            Shown("started from", lambda found, _: ", ".join(found.started_from) or "-", 2),
        ),
        lambda found: bool(found.q_is) and not found.is_lower,
    ),
    Section(
        "Error of p(y|x), as a fraction of the spread of the optimal one",
        (
            Shown("error", _conditional("error"), 0),
            Shown("95% interval", _conditional_interval, 1),
            Shown("floor", _conditional("floor"), 3),
            Shown("mode mass", _conditional("mode_mass"), 2),
        ),
        lambda found: found.conditional is not None,
    ),
)
"""From top to bottom."""


def _interval(gap: Interval, scale: float) -> str:
    if gap.mean is None or (gap.lo is None and gap.hi is None):
        return "-"
    if gap.lo is None:
        return f"≤ {number(gap.hi, scale)}"
    if gap.hi is None:
        return f"≥ {number(gap.lo, scale)}"
    return f"[{number(gap.lo, scale)}, {number(gap.hi, scale)}]"
