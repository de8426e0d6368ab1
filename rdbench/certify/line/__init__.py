"""Certified two-sided bounds of F*(beta) on the line under squared error."""

from __future__ import annotations

import math

import numpy as np

from rdbench.certify.certificate import Certificate, Kind
from rdbench.certify.checks import check_slope
from rdbench.certify.line.atoms import LineAtoms
from rdbench.certify.line.densities import LineDensity
from rdbench.certify.line.exchange import search
from rdbench.certify.line.sides import Sides, bracket

_STALLED = 3
_FINEST = 1e-10


def certify_line(
    density: LineDensity, beta: float, tolerance: float, start: Certificate | None = None
) -> Certificate:
    """F*(beta) = min_q -E log E_q exp(-beta (X - Y)^2) for a density on the line, in nats.

    The bracket bounds every error but rounding (docs/certificates.md): kind "certified"; where the
    density comes without bounds off the line, "certified (numerical)". A wider tolerance is
    quicker. Not below 1e-10: the weights are solved no further.

    Args:
        density: the source.
        beta: slope >= 0.
        tolerance: stop once hi - lo is below it.
        start: a certificate at a neighbouring slope, whose atoms are tried as well.

    Raises:
        ValueError: beta or the tolerance is out of range, the source has no finite variance, or
            beta is so large that q would need too many atoms.
    """
    check_slope(beta, tolerance)
    if not density.order > 2.0:
        raise ValueError(
            "squared error needs a finite variance; this source has finite moments of order "
            f"below {density.order:g} only"
        )
    if beta == 0.0:
        at = np.array([[density.centre]])
        return Certificate(0.0, 0.0, 0.0, at, np.ones(1), math.nan, "certified", tolerance)
    aim = max(tolerance, _FINEST)
    known = None if start is None else start.points[:, 0] - density.centre
    best: tuple[Sides, LineAtoms] | None = None
    lower, since = 0.0, 0  # F* >= 0
    for atoms in search(density, beta, aim, known):
        sides = bracket(density, atoms, beta, aim)
        since += 1
        if sides.lo > lower or best is None or sides.hi < best[0].hi:
            since = 0
        lower = max(lower, sides.lo)
        if best is None or sides.hi < best[0].hi:
            best = (sides, atoms)
        if best[0].hi - lower <= tolerance or since > _STALLED:
            break
    assert best is not None
    sides, atoms = best
    width = sides.hi - lower
    reason = ""
    if width > tolerance:
        reason = (
            f"reached {width:.2g} with {len(atoms.points)} atoms, of which {sides.quadrature:.2g} "
            "is for the integrals' errors"
        )
    kind: Kind = "certified" if density.modulus is not None else "certified (numerical)"
    return Certificate(
        beta, lower, sides.hi, density.centre + atoms.points[:, None], atoms.weights,
        sides.distortion, kind, tolerance, sides.quadrature, reason,
    )  # fmt: skip
