"""Verdicts on claims, on all rows of a table at once.

Numbers that are not known are NaN here: whatever is compared with one is false.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from rdbench.report.claim_limits import (
    Slack,
    Tangent,
    curve_of,
    noise,
    over,
    small,
    tolerance,
)
from rdbench.report.numbers import Flags, Numbers, equal, numbers
from rdbench.run.records import CellRecord, PointRecord

Verdict = Literal[
    "below truth", "too good", "misplaced", "unconfirmed", "too bad", "loose", "undecided",
    "conservative", "within noise", "agrees", "unchecked", "no claim",
]  # fmt: skip
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""In the order in which they are shown: what matters most comes first."""

Rule = tuple[Flags, Verdict]
Asked = tuple[PointRecord, int, tuple[Tangent, ...]]
"""A point, the dimension of its source, tangents of the true curve at other slopes."""

_THREE = 3.0 / 1.96
"""From the half width of a 95% interval to three standard errors."""
_LOOSE = 0.25
"""Of R, and in nats: a bound farther from F(q) than both bounds nothing of interest."""
_IMPOSSIBLE = 1e-3
"""Nats below F* at which an audit's whole interval is no result; above, it is rounding."""


def verdicts_in(pairs: Iterable[tuple[CellRecord, PointRecord]]) -> list[Verdict]:
    """The verdicts on points, each by the ladder of the cell that it is given with."""
    curves: dict[int, tuple[Tangent, ...]] = {}
    asked: list[Asked] = []
    of: CellRecord | None = None
    curve: tuple[Tangent, ...] = ()
    for record, point in pairs:
        if record is not of:  # the points of a cell mostly come together
            of = record
            if id(record) not in curves:
                curves[id(record)] = curve_of(record)
            curve = curves[id(record)]
        asked.append((point, record.dim, curve))
    return verdicts(asked)


def verdicts(asked: Sequence[Asked]) -> list[Verdict]:
    """Whether claims can be right, by what the audit and the truth allow.

    The audit confines F(q) to an interval [a, b], here at three standard errors; no q has
    F(q) < F*. With C the claimed Lagrangian, t what a claim's own noise explains and s what is too
    small to matter (`rdbench.report.claim_limits`):

    ========================  ==================================================================
    ``below truth``           D < 0, R < 0 by more than its noise, or (R, D) under a tangent of
                              the true curve by more than t + s; a claim of side ``lower`` may
                              lie under the curve, but not below zero
    ``too good``              C < a - t - s
    ``misplaced``             C may be right, but R or D is not that of the audit
    ``unconfirmed``           the audit bounds F(q) from above only, and C lies below the lower
                              end it would have if it were as sharp there, or R and D are others;
                              or it failed its acceptance test, and C lies in its bracket
    ``too bad``               C > b + t + s
    ``loose``                 outside on the side that the claim's own side allows, by more than
                              a quarter of R and of a nat
    ``undecided``             the audit's interval is wider than t + s: nothing can be told
    ``conservative``          outside on the side that the claim's own side allows
    ``within noise``          R, D or C is off by more than the audit's error and s, but no more
                              than t: noise of the claim, or a small error
    ``agrees``                none of these
    ``unchecked``             no truth, or no audit (or one that found the impossible)
    ``no claim``              the claim is missing
    ========================  ==================================================================

    Args:
        asked: the points.
    """
    if not asked:
        return []
    with np.errstate(all="ignore"):
        rows = _Rows(asked)
        rules = [(np.isnan(rows.claimed), "no claim"), *_of_bounds(rows), *_of_channels(rows)]
        codes = np.select(
            [where for where, _ in rules], [VERDICTS.index(name) for _, name in rules]
        )
    return [VERDICTS[code] for code in codes.tolist()]


class _Rows:
    """The columns of the points asked for."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self.points = [point for point, _, _ in asked]
        self.dim = np.array([dim for _, dim, _ in asked], dtype=np.float64)
        self.curves = [curve for _, _, curve in asked]
        self.beta = self.numbers("beta")
        self.rate = self.numbers("rate")
        self.distortion = self.numbers("distortion")
        self.lagrangian = self.numbers("lagrangian")
        self.truth_lo = self.numbers("truth_lo")
        self.rate_hi = self.numbers("rate_hi")
        self.claimed_rate = self.numbers("claimed_rate")
        self.claimed_distortion = self.numbers("claimed_distortion")
        pair = self.claimed_rate + self.beta * self.claimed_distortion
        self.claimed = _known(self.numbers("claimed_lagrangian"), pair)
        # R and D by which slack is measured: the audited ones, else the claimed ones.
        self.scale = (
            np.nan_to_num(_known(self.rate, self.claimed_rate), posinf=np.inf, neginf=-np.inf),
            np.nan_to_num(
                _known(self.distortion, self.claimed_distortion), posinf=np.inf, neginf=-np.inf
            ),
        )

    def numbers(self, name: str) -> Numbers:
        return numbers(self.points, name)

    def equal(self, name: str, text: str) -> Flags:
        return equal(self.points, name, text)


@dataclass(frozen=True)
class _Found:
    """Where the audit puts F(q); not ``two_sided``: ``lo`` mirrors ``hi`` and bounds nothing."""

    lo: Numbers
    hi: Numbers
    two_sided: Flags

    @property
    def half(self) -> Numbers:
        """Half the width of the 95% interval."""
        half: Numbers = 0.5 * (self.hi - self.lo)
        return half

    def off(self, value: Numbers) -> Numbers:
        """By how much a value lies outside at three standard errors; negative where below."""
        more = (_THREE - 1.0) * self.half
        above = np.maximum(value - self.hi - more, 0.0)
        found: Numbers = above + np.minimum(value - self.lo + more, 0.0)
        return found


def _known(first: Numbers, second: Numbers) -> Numbers:
    return np.where(np.isnan(first), second, first)


def _of_bounds(rows: _Rows) -> list[Rule]:
    """The verdicts on claims of lower bounds: by the audited interval of F_lo alone."""
    lower = rows.equal("side", "lower")
    lo, hi = rows.numbers("lagrangian_lo"), rows.numbers("lagrangian_hi")
    found, granted = _Found(lo, hi, lower), tolerance(rows.dim)
    off = found.off(rows.claimed)
    worthless = -off - granted > _LOOSE * np.maximum(1.0, rows.lagrangian)
    return [
        (lower & np.isnan(rows.lagrangian + lo + hi), "unchecked"),
        (lower & (off > granted), "too good"),
        (lower & (off < -granted) & worthless, "loose"),
        (lower & (off < -granted), "conservative"),
        (lower & (found.half > granted), "undecided"),
        (lower & (off != 0.0), "within noise"),
        (lower, "agrees"),
    ]


def _of_channels(rows: _Rows) -> list[Rule]:
    """The verdicts on claims of channels: by the truth, then by C, then by R and D."""
    scale = (*rows.scale, rows.beta, rows.dim)
    granted = noise(*scale) + small(*scale)
    lower = rows.equal("claimed_side", "lower")
    upper = rows.equal("claimed_side", "upper")
    under = _under_the_curve(rows)
    found, audited = _audited_interval(rows)
    off = found.off(rows.claimed)
    beyond = np.abs(off) - granted.lagrangian
    above, below = (beyond > 0.0) & (off > 0.0), (beyond > 0.0) & ~(off > 0.0)
    allowed = (above & upper) | (below & lower)
    worthless = beyond > _LOOSE * np.maximum(1.0, rows.scale[0])
    return [
        (_negative(rows), "below truth"),
        (np.isnan(rows.truth_lo), "unchecked"),
        (~lower & under, "below truth"),
        (~audited, "unchecked"),
        (allowed & worthless, "loose"),
        (allowed, "conservative"),
        (above, "too bad"),
        (below & found.two_sided, "too good"),
        (below, "unconfirmed"),
        (lower & under, "conservative"),
        *_of_pairs(rows, found, off, granted, upper),
    ]


def _of_pairs(rows: _Rows, found: _Found, off: Numbers, granted: Slack, upper: Flags) -> list[Rule]:
    """The verdicts on R and D where C is in order."""
    trifle = small(*rows.scale, rows.beta, rows.dim)
    rate_half = rows.numbers("rate_half")
    distortion_half = rows.numbers("distortion_half")
    rates = _off(rows.claimed_rate, rows.rate, rate_half)
    distortions = _off(rows.claimed_distortion, rows.distortion, distortion_half)
    # Records of old schemas do not say how sure R and D are.
    bare = np.isnan(rates + distortions)
    other = _other_channel(rows, upper)
    rate = np.maximum(rates - other, 0.0)
    distortion = np.maximum(distortions - over(other, rows.beta, np.inf), 0.0)
    misplaced = (rate > granted.rate) | (distortion > granted.distortion)
    unsure = found.half > granted.lagrangian
    far = np.abs(off) > trifle.lagrangian
    wide = unsure | (rate_half > granted.rate) | (distortion_half > granted.distortion)
    noisy = far | (rate > trifle.rate) | (distortion > trifle.distortion)
    return [
        (np.isnan(rows.numbers("gap")), "unconfirmed"),
        (bare & unsure, "undecided"),
        (bare & far, "within noise"),
        (bare, "agrees"),
        (misplaced & found.two_sided, "misplaced"),
        (misplaced, "unconfirmed"),
        (wide, "undecided"),
        (noisy, "within noise"),
        (np.full(len(off), fill_value=True), "agrees"),
    ]


def _off(claimed: Numbers, found: Numbers, half: Numbers) -> Numbers:
    """How far a claimed number is from the audited one beyond three standard errors of it."""
    off: Numbers = np.maximum(np.abs(claimed - found) - _THREE * half, 0.0)
    return off


def _other_channel(rows: _Rows, upper: Flags) -> Numbers:
    """How far R and beta D of a channel may be from those of p(y|x) ~ q exp(-beta rho), in nats.

    An encoder, and what an upper bound is computed with, is another channel: one with
    R + beta D = F(q) + e has relative entropy e from that one at most, which moves beta D by about
    sqrt(2 e Var(beta rho)), and the variance given x is about d/2.
    """
    other = upper | rows.equal("conditional_kind", "encoder")
    excess = np.where(np.isnan(rows.lagrangian), 0.0, rows.claimed - rows.lagrangian)
    return np.where(other, np.sqrt(rows.dim * np.maximum(excess, 0.0)), 0.0)


def _audited_interval(rows: _Rows) -> tuple[_Found, Flags]:
    """The 95% interval of F(q), out of that of the gap, and where there is an audit.

    An audit whose whole interval lies below F* has found what no channel does: there is nothing
    to hold a claim against.
    """
    truth_lo, truth_hi = rows.truth_lo, rows.numbers("truth_hi")
    gap_hi = rows.numbers("gap_hi")
    audited = ~np.isnan(truth_lo + truth_hi + gap_hi) & ~(gap_hi < -_IMPOSSIBLE)
    # The interval of the gap stands on the middle of the bracket on F* and contains its width;
    # that of F(q) does not.
    hi = truth_lo + gap_hi
    below = np.where(rows.equal("side", "upper"), np.nan, rows.numbers("gap_lo"))
    mirrored = _known(2.0 * rows.lagrangian - hi, truth_lo)
    lo = _known(truth_hi + below, mirrored)
    # fmin and fmax leave out what is not known.
    lo, hi = np.fmin(lo, rows.lagrangian), np.fmax(hi, rows.lagrangian)
    # F(q) >= F*: where the lower end of an interval is below, that is noise, and no licence.
    ends = np.maximum(lo, truth_lo), np.maximum(hi, truth_lo)
    return _Found(*ends, ~np.isnan(below)), audited


def _negative(rows: _Rows) -> Flags:
    """Whether a rate or a distortion below zero is claimed: no bound on anything says that.

    A rate is a mean and may come out below zero by the noise that it has where the truth is.
    """
    true = _known(_known(rows.rate_hi, rows.rate), np.zeros(len(rows.dim)))
    least: Any = noise(true, 0.0, 0.0, rows.dim) + small(true, 0.0, 0.0, rows.dim)
    paired = ~np.isnan(rows.claimed_rate + rows.claimed_distortion)
    found: Flags = paired & ((rows.claimed_distortion < 0.0) | (rows.claimed_rate < -least.rate))
    return found


def _under_the_curve(rows: _Rows) -> Flags:
    """Whether the claimed (R, D) lies below a tangent of the true curve by more than its noise.

    The tangents are those of the curve, and the one at the point's own slope.
    """
    rate, distortion = rows.claimed_rate, rows.claimed_distortion
    scale = np.fmax(rate, _known(rows.rate_hi, np.zeros(len(rate))))
    # The same along the curve.
    granted = noise(scale, distortion, rows.beta, rows.dim)
    unsaid = small(scale, distortion, rows.beta, rows.dim).lagrangian
    usual = tolerance(rows.dim)
    found = np.zeros(len(rate), dtype=bool)
    for beta, least in [(rows.beta, rows.truth_lo), *_tangents(rows.curves)]:
        most = usual * np.maximum(1.0, over(beta, rows.beta, np.inf))
        slack = np.minimum(most, granted.rate + beta * granted.distortion) + unsaid
        found |= rate + beta * distortion < least - slack
    return found


def _tangents(curves: Sequence[tuple[Tangent, ...]]) -> list[tuple[Numbers, Numbers]]:
    """The first tangents of all curves, then the second ones, and so on; NaN where one ends."""
    places: dict[int, int] = {}
    own: list[tuple[Tangent, ...]] = []
    for curve in curves:
        place = places.setdefault(id(curve), len(own))
        if place == len(own):
            own.append(curve)
    rows = np.array([places[id(curve)] for curve in curves])
    table = np.full((len(own), max(map(len, own), default=0), 2), np.nan)
    for place, curve in enumerate(own):
        if curve:
            table[place, : len(curve)] = curve
    return [(table[rows, k, 0], table[rows, k, 1]) for k in range(table.shape[1])]
