"""sup_y of c(y) = int exp(-beta ||x - y||^2) dmu(x), mu >= 0, on the line or in the plane.

|c(y + i t e)| <= exp(beta t^2) sup c, which bounds the error of Chebyshev interpolation
(docs/certificates.md, sections 2 and 6); the interpolants are bounded by bisection.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

from flint import arb, arb_mat

DEGREE = 24
_DEEPEST, _MOST = 60, 20_000


@cache
def _tables() -> tuple[list[arb], arb_mat, list[arb_mat]]:
    """Chebyshev points, values to coefficients, coefficients to those on either half."""
    n = DEGREE
    points = [(arb(k) / n).cos_pi() for k in range(n + 1)]
    fit = arb_mat([[t.chebyshev_t(k) for k in range(n + 1)] for t in points]).inv()
    halves = [
        fit * arb_mat([[((t + s) / 2).chebyshev_t(k) for k in range(n + 1)] for t in points])
        for s in (-1, 1)
    ]
    return points, fit, halves


def interpolation_error(dims: int) -> arb:
    """Of the interpolants on half widths up to 1 / sqrt(beta), for sup c = 1, with r = 7."""
    r, n = arb(7), DEGREE
    line = 4 * ((r - 1 / r) ** 2 / 4).exp() * r**-n / (r - 1)
    return line if dims == 1 else line * (2 + 2 / arb.pi() * arb(n + 1).log())


def supremum(
    c: Callable[..., arb_mat], box: Sequence[tuple[arb, arb]], beta: arb, slack: float
) -> arb:
    """An upper bound of sup c, which must be attained in the box, about ``slack`` above it.

    ``c(*axes)``: the values of c on the product of one or two lists of coordinates, as a matrix.

    Raises:
        ArithmeticError: too many cells are needed.
    """
    points, fit, halves = _tables()
    axes = []
    for lo, hi in box:
        count = max(1, math.ceil(float(((hi - lo) * beta.sqrt() / 2).upper()) * (1 + 1e-9)))
        half = (hi - lo) / (2 * count)
        axes.append([[lo + half * (2 * k + 1 + t) for t in points] for k in range(count)])
    wide = len(axes) == 2
    right = [h.transpose() if wide else arb_mat([[1]]) for h in halves[: len(axes)]]
    across = fit.transpose() if wide else arb_mat([[1]])
    cells = [fit * c(*pieces) * across for pieces in product(*axes)]
    centre = arb_mat([[(arb(k) / 2).cos_pi() for k in range(DEGREE + 1)]])
    found = top = arb(0)
    for depth in range(_DEEPEST):
        left = []
        for cell in cells:
            entries = cell.entries()
            middle = centre * cell * (centre.transpose() if wide else across)
            bound, value = entries[0] + sum(map(abs, entries[1:])), middle[0, 0].lower()
            found = value if value > found else found
            if bound.upper() <= found + slack * found.max(arb(1)) or depth == _DEEPEST - 1:
                top = top.max(bound)
            else:
                left.append(cell)
        if len(left) > _MOST:
            raise ArithmeticError("the maximum of c could not be enclosed")
        cells = [h * cell * other for cell in left for h in halves for other in right]
    return top / (1 - interpolation_error(len(axes)))
