"""BD-rate: how much more rate one curve takes than another, in percent at equal quality.

G. Bjøntegaard, Calculation of average PSNR differences between RD-curves, ITU-T VCEG-M33 (2001);
with piecewise cubic Hermite interpolation, as JCT-VC and JVET compute it (JVET-T2010):

    BD = 10^(mean over the common PSNR of log10 R_test - log10 R_anchor) - 1.

Points that another point of their own curve beats in both rate and distortion are left out: what
is interpolated has to be monotone. A monotone curve keeps all of its points, as published.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.band.hull import unbeaten
from rdbench.outcomes import RdbenchError


def bd_rate(anchor: Float[ndarray, "n 2"], test: Float[ndarray, "m 2"]) -> float:
    """The mean difference of rate of ``test`` to ``anchor`` in percent; negative: it takes less.

    Only ratios of rates and of distortions count: any units, the same for both.

    Args:
        anchor: points (D, R) in any order.
        test: likewise.

    Raises:
        RdbenchError: fewer than two points left of a curve, or no common range of distortion.
    """
    from scipy.interpolate import PchipInterpolator

    quality, log_rate = zip(*(_curve(points) for points in (anchor, test)), strict=True)
    lo, hi = max(q[0] for q in quality), min(q[-1] for q in quality)
    if not lo < hi:
        raise RdbenchError("no BD-rate: the curves have no range of distortion in common")
    areas = [
        float(PchipInterpolator(q, r).integrate(lo, hi))
        for q, r in zip(quality, log_rate, strict=True)
    ]
    return float(100.0 * np.expm1(np.log(10.0) * (areas[1] - areas[0]) / (hi - lo)))


def _curve(points: Float[ndarray, "n 2"]) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
    """-10 log10 D, rising, and log10 R of the points that none beats."""
    known = points[(points > 0.0).all(axis=1)]
    d, r = known[unbeaten(known[:, 0], known[:, 1])][::-1].T
    if len(d) < 2:
        raise RdbenchError("no BD-rate: a curve has fewer than two points that none of it beats")
    return -10.0 * np.log10(d), np.log10(r)
