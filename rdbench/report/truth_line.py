"""The truth as it is drawn: lines where R(D) is known well enough, bands where it is not.

The points are made to be joined by straight strokes, on a linear axis of D as on a logarithmic
one: nothing that draws them interpolates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.band.hull import lower_hull
from rdbench.report.rungs import TOLERANCE, Piece, Rung, TruthSource, complete, cubic, pieces_of

_STROKE = 0.25 * TOLERANCE
"""Nats: what a stroke may differ from the curve that it stands for."""
_MOST_STROKES = 160
_LARGEST = 1e100
_THIN = 2e-3
"""Of the rate: a bracket of F* that a stroke hides."""
_LOOSE = 0.5
"""Relative width of the bracket of D from which on its middle means nothing."""


@dataclass(frozen=True, eq=False)
class TruthLine:
    """R(D) between the rungs, in nats.

    ``lines`` hold points (D, R) by rising D: joined by strokes they are within ``TOLERANCE`` (or
    .2%) of R(D), as far as a source of the truth was at hand. ``bands`` hold (D, lower, upper):
    between the tangents and the chords, where no line is known within the tolerance. ``slopes``
    and ``intercepts`` are of the tangents, R(D) >= intercept - slope D.
    """

    lines: tuple[Float[ndarray, "_ 2"], ...] = ()
    bands: tuple[Float[ndarray, "_ 3"], ...] = ()
    slopes: Float[ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    intercepts: Float[ndarray, " n"] = field(default_factory=lambda: np.zeros(0))

    def least(self, distortion: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """The least rate of any channel of these distortions, in nats: the highest tangent, or 0.

        It holds at every D, beyond the ends of the lines as well.
        """
        tangents = self.intercepts - np.multiply.outer(distortion, self.slopes)
        least: Float[ndarray, " k"] = np.max(tangents, axis=-1, initial=0.0)
        return least


def truth_line(
    rungs: Sequence[Rung],
    source: TruthSource | None = None,
    span: tuple[float, float] = (math.inf, -math.inf),
    top: float = math.inf,
) -> TruthLine:
    """The lines and bands that show the truth.

    Without a source, the cubic through neighbouring rungs (see `rdbench.report.rungs`) is drawn
    wherever their brackets are narrow, kept convex and between tangents and chords; a band beside
    it says where it may err by more than the tolerance.

    Args:
        rungs: what the records say, in any order; of one slope one is enough.
        source: where more is known of this case; None if nowhere.
        span: the distortions that the picture shows beyond those of ``rungs``.
        top: nats; where the rate axis ends.
    """
    rungs = [rung for rung in rungs if _fits(rung)]
    stated = [d for rung in rungs for d in (rung.distortion, rung.reached[0])]
    shown = (min([span[0], *stated]), max([span[1], *stated]))
    found = complete(rungs, source, shown, top)
    if not found:
        return TruthLine()
    slopes = np.array([rung.beta for rung in found])
    intercepts = np.array([rung.lo for rung in found])
    if len(found) == 1:
        only = found[0]
        alone = np.array([[only.distortion, only.rate]])
        return TruthLine(() if _is_loose(only) else (alone,), (), slopes, intercepts)
    lines: list[Float[ndarray, "_ 2"]] = []
    bands: list[Float[ndarray, "_ 3"]] = []
    for known, run in itertools.groupby(pieces_of(found), lambda p: _kind(p, source)):
        pieces = list(run)
        if known != "band":
            lines.append(_clip(_line(pieces), shown))
        if known != "line":
            bands.append(_clip(_band(pieces, found), shown))
    return TruthLine(
        tuple(one for one in lines if len(one)),
        tuple(one for one in bands if len(one)),
        slopes,
        intercepts,
    )


def _fits(rung: Rung) -> bool:
    """Whether sums, products and ratios of its numbers stay numbers."""
    values = (rung.beta, rung.lo, rung.hi, rung.distortion, *rung.reached)
    return rung.beta > 0.0 and all(abs(value) <= _LARGEST for value in values)


def _is_loose(rung: Rung) -> bool:
    """Whether the bracket of D* is so wide that nothing at its middle is known."""
    return rung.reached[0] - rung.distortion > 0.5 * _LOOSE * rung.distortion


def _kind(piece: Piece, source: TruthSource | None) -> str:
    """How a piece is drawn: a "line", a "band", or "both", an interpolation in its band."""
    close = piece.own <= max(TOLERANCE, _THIN * piece.right.rate)
    if close and piece.error <= TOLERANCE + 2.0 * piece.own:
        return "line"
    if _is_loose(piece.left) or _is_loose(piece.right) or not close:
        return "band"
    return "both" if source is None else "band"


def _strokes(piece: Piece) -> int:
    """How many strokes stand for a piece, straight in D or in log D."""
    a, b = piece.left, piece.right
    if not a.distortion > 0.0:
        return _MOST_STROKES
    bend = (a.rate - b.rate) * (math.log(b.distortion) - math.log(a.distortion)) / 8.0
    need = math.sqrt(max(piece.width, bend, 0.0) / _STROKE)
    return max(1, min(_MOST_STROKES, math.ceil(need)))


def _grid(piece: Piece) -> Float[ndarray, " k"]:
    """Distortions from the left end to just before the right one."""
    a, b, n = piece.left.distortion, piece.right.distortion, _strokes(piece)
    part = np.arange(n) / n
    if a > 0.0:
        return a * np.exp(part * (math.log(b) - math.log(a)))
    # Towards D = 0 the curve is steep.
    return a + (b - a) * part**3


def _line(pieces: Sequence[Piece]) -> Float[ndarray, "k 2"]:
    """Neighbouring pieces as one convex curve through their rungs."""
    slopes = np.array([p.left.beta for p in pieces] + [pieces[-1].right.beta])
    level = np.array([p.left.lo for p in pieces] + [pieces[-1].right.lo])
    ds, rs = [], []
    for piece in pieces:
        a, b, d = piece.left, piece.right, _grid(piece)
        chord = a.rate + (d - a.distortion) / (b.distortion - a.distortion) * (b.rate - a.rate)
        tangent = np.max(level - np.multiply.outer(d, slopes), axis=1, initial=0.0)
        ds.append(d)
        rs.append(np.clip(cubic(a, b, d), np.minimum(tangent, chord), chord))
    last = pieces[-1].right
    d = np.concatenate([*ds, [last.distortion]])
    return np.stack([d, _convex(d, np.concatenate([*rs, [last.rate]]))], axis=1)


def _convex(x: Float[ndarray, " k"], y: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """The largest convex function below points with rising x, at those x."""
    hull = lower_hull(x, y)
    convex: Float[ndarray, " k"] = np.interp(x, x[hull], y[hull])
    return convex


def _band(pieces: Sequence[Piece], rungs: Sequence[Rung]) -> Float[ndarray, "k 3"]:
    """Between the tangents of all rungs and the chords between what they are known to reach."""
    reached = np.array(sorted(rung.reached for rung in rungs))
    own = [end.reached[0] for piece in pieces for end in (piece.left, piece.right)]
    d = np.unique(np.concatenate([*map(_grid, pieces), [pieces[-1].right.distortion], own]))
    slopes, level = np.array([r.beta for r in rungs]), np.array([r.lo for r in rungs])
    lower = np.max(level - np.multiply.outer(d, slopes), axis=1, initial=0.0)
    # More distortion takes no more rate; left of all of them nothing is known to be reached.
    rate = np.minimum.accumulate(reached[:, 1])
    kept, first = np.unique(reached[:, 0], return_index=True)
    upper = np.interp(d, kept, _convex(kept, rate[first]), left=np.nan)
    known = np.isfinite(upper)
    band: Float[ndarray, "_ 3"] = np.stack([d, lower, np.maximum(upper, lower)], axis=1)[known]
    return band


def _clip(points: Float[ndarray, "k c"], span: tuple[float, float]) -> Float[ndarray, "_ c"]:
    """The part of a line or band with D in ``span``, cut at its ends."""
    if not len(points):
        return points
    d = points[:, 0]
    lo, hi = max(span[0], float(d[0])), min(span[1], float(d[-1]))
    if lo > hi:
        return points[:0]
    ends = np.array([lo, hi])
    cut = np.stack([np.interp(ends, d, points[:, c]) for c in range(points.shape[1])], axis=1)
    inside = points[(d > lo) & (d < hi)]
    return np.concatenate([cut[:1], inside, cut[1:]]) if hi > lo else cut[:1]
