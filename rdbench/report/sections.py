"""The sections of the summary after a run: which columns each has and what its cells say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rdbench.report.claims import verdict_texts
from rdbench.report.grouping import number
from rdbench.report.protocol import Protocol
from rdbench.report.scores import GoodTo, Interval, Median, Worst
from rdbench.report.summary import Summary

Cells = Callable[[Summary, float], list[str]]
"""The texts of a row after its keys: of a summary, in units of so many nats."""


@dataclass(frozen=True)
class Section:
    """One table: its title (``{units}`` is filled in), wide columns, and stacked ones.

    The stacked form is for narrow terminals; it groups the wide columns, one above the other.
    """

    title: str
    columns: tuple[str, ...]
    stacks: tuple[tuple[int, ...], ...]
    cells: Cells
    is_shown: Callable[[Summary], bool] = lambda _: True
    """Whether a row has anything to say here; a section without such a row is left out."""

    def headers(self, *, stacked: bool) -> tuple[str, ...]:
        """The titles of the columns."""
        return tuple(self._stack(self.columns)) if stacked else self.columns

    def row(self, found: Summary, scale: float, *, stacked: bool) -> list[str]:
        """The cells of one row."""
        texts = self.cells(found, scale)
        return self._stack(texts) if stacked else texts

    def _stack(self, texts: list[str] | tuple[str, ...]) -> list[str]:
        return ["\n".join(texts[index] for index in stack) for stack in self.stacks]


def _gap_cells(found: Summary, scale: float) -> list[str]:
    gap = _with_doubt(_interval(found.gap, scale), found.truth_doubt, scale)
    if found.scored not in (0, found.ok):
        gap += f" (of {found.scored})"
    ok = f"{found.ok}/{found.points}"
    if found.seeds > 1:
        ok += f" ({found.seeds} seeds)"
    worst, at = _worst(found.worst, scale)
    return [
        ok,
        good_to_text(found.good_to, scale),
        median_text(found.median, scale),
        gap,
        worst,
        at,
        ", ".join(found.sides) or "-",
        number(found.cpu_s, 1.0),
    ]


def _claim_cells(found: Summary, scale: float) -> list[str]:
    return [
        "\n".join(verdict_texts(found.claims)) or "-",
        number(found.claims.excess, scale, sign=True),
        number(found.claims.mean_gap, scale),
        number(found.claims.worst_gap, scale),
        *_protocol(found.protocol, scale),
        _interval(found.rate_error, scale),
    ]


def _conditional_cells(found: Summary, _: float) -> list[str]:
    known = found.conditional
    if known is None:
        return ["-"] * 4
    return [
        number(known.error, 1.0),
        _interval(Interval(known.error, known.lo, known.hi), 1.0),
        number(known.floor, 1.0),
        number(known.mode_mass, 1.0),
    ]


SECTIONS = (
    Section(
        "Gap F(q) - F* [95%] and rates in {units} per symbol",
        (
            "ok",
            "good to R",
            "median gap",
            "mean gap",
            "worst gap",
            "at R",
            "side",
            "CPU s",
        ),
        ((0, 6, 7), (1, 2), (3, 4, 5)),
        _gap_cells,
    ),
    Section(
        "What is claimed and what Appendix A says, in {units} per symbol",
        (
            "claim",
            "claimed - audited",
            "mean claimed",
            "worst claimed",
            "App. A gap",
            "its ceiling",
            "beyond",
            "R - R(D)",
        ),
        ((0,), (1, 2, 3), (4, 5, 6, 7)),
        _claim_cells,
        lambda found: bool(found.claims.verdicts),
    ),
    Section(
        "Error of p(y|x) against the optimal one, as a fraction of the spread of that",
        ("error", "95% interval", "floor", "mode mass"),
        ((0, 1), (2,), (3,)),
        _conditional_cells,
        lambda found: found.conditional is not None,
    ),
)
"""From top to bottom."""


def good_to_text(found: GoodTo | None, scale: float) -> str:
    """A rate, marked where the ladder ends there."""
    if found is None:
        return "-"
    return ("≥ " if found.is_top else "") + number(found.rate, scale)


def median_text(found: Median | None, scale: float) -> str:
    """A median gap, marked where it is only known to be no larger."""
    if found is None:
        return "-"
    return ("≤ " if found.is_upper else "") + number(found.gap, scale)


def _worst(worst: Worst | None, scale: float) -> tuple[str, str]:
    if worst is None:
        return "-", "-"
    return _interval(Interval(worst.gap, worst.lo, worst.hi), scale), number(worst.rate, scale)


def _with_doubt(text: str, doubt: float | None, scale: float) -> str:
    return text if doubt is None else f"{text} (F* ± {number(doubt, scale)})"


def _protocol(found: Protocol | None, scale: float) -> list[str]:
    """Mean gap, N with the ceiling of the rate, and how many true rates lie beyond it."""
    if found is None:
        return ["-", "-", "-"]
    ceiling = f"N={found.draws}: R ≤ {number(found.ceiling, scale)}"
    return [number(found.mean_gap, scale), ceiling, f"{found.beyond}/{found.points}"]


def _interval(gap: Interval, scale: float) -> str:
    if gap.mean is None or (gap.lo is None and gap.hi is None):
        return "-"
    if gap.lo is None:
        return f"≤ {number(gap.hi, scale)}"
    if gap.hi is None:
        return f"≥ {number(gap.lo, scale)}"
    return f"[{number(gap.lo, scale)}, {number(gap.hi, scale)}]"
