"""q on spheres that nearly minimises F: a grid of radii, the interior point, a finer grid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import maximum_filter1d

from rdbench.certify.radial.density import RadialDensity
from rdbench.certify.radial.sums import RadialWeight, Shells, log_kernel, panel_rule
from rdbench.inference.finite import interior_point
from rdbench.inference.kernels import DenseKernel

MOST_SHELLS = 2500
_SOLVER_ORDER = 4
MOST_ROUNDS = 8
_DROP = 1e-4
# Beyond this mass two panels between neighbours will do.
_TAIL = 1e-4


def end_of_range(density: RadialDensity, beta: float, loss: float) -> float:
    """A radius S with beta E[S^2; > S] <= loss and a mass beyond it of at most ``loss``."""
    reach = density.typical
    while beta * density.tail(reach).square > loss or density.tail(reach).mass > loss:
        reach *= 1.25
    return reach


def shell_grid(
    density: RadialDensity, beta: float, end: float, loss: float
) -> Float[ndarray, " m"]:
    """Radii from 0 to ``end``, denser where more of the source lies beyond.

    With a spacing u / sqrt(2 beta) the best weights lose about 2e-8 10^(6 (u - 1)) nats for
    1 <= u <= 2 and u^2 / 24 for large u; the spacing keeps mass times loss below ``loss``.

    Raises:
        ValueError: beta is so large that the grid would have more than MOST_SHELLS radii.
    """
    unit = 1.0 / np.sqrt(2.0 * beta)
    radii = [0.0]
    while radii[-1] < end:
        mass = max(density.tail(radii[-1]).mass, 1e-300)
        fine = 1.0 + np.log10(loss / (2e-8 * mass)) / 6.0
        coarse = np.sqrt(24.0 * loss / mass)
        u = max(min(max(fine, 0.7), 1.8), coarse)
        if mass > 1e-2:
            u = 0.7
        radii.append(radii[-1] + min(u * unit, max(0.2 * radii[-1], 0.1 * density.typical)))
        if len(radii) > MOST_SHELLS:
            raise ValueError(
                f"beta = {beta:g} is too large for {density.name}: more than {MOST_SHELLS} shells"
            )
    return np.array(radii)


def panel_edges(
    density: RadialDensity, beta: float, radii: Float[ndarray, " m"], end: float
) -> Float[ndarray, " k"]:
    """Panels that resolve the kernel and the density, split between radii that are far apart.

    Half way between two distant radii -log Z turns over, on the scale of the kernel or faster.
    """
    step = min(1.2 / np.sqrt(2.0 * beta), density.width)
    stops = np.unique(np.concatenate([radii, 0.5 * (radii[1:] + radii[:-1]), [end]]))
    edges = [np.zeros(1)]
    last = 0.0
    for stop in stops[(stops > 0.0) & (stops <= end)]:
        if stop - last < step and stop < end:
            continue
        pieces = int(np.ceil((stop - last) / step))
        if density.tail(last).mass < _TAIL:
            pieces = min(pieces, 2)
        edges.append(np.linspace(last, stop, pieces + 1)[1:])
        last = stop
    return np.concatenate(edges)


def shell_rounds(
    density: RadialDensity, beta: float, end: float, tolerance: float
) -> Iterator[tuple[Shells, float]]:
    """Shells whose F is nearly minimal, better with every round, and log max c on a grid.

    The weights are solved on a grid that is refined where c > 1: every round adds the local
    maxima of c, with a radius on each side. The pair next to it stands for the exact radius, and
    what that costs falls with the fourth power of the spacing.
    """
    radii = shell_grid(density, beta, end, 1e-3 * tolerance)
    nodes, widths = panel_rule(panel_edges(density, beta, radii, end), _SOLVER_ORDER)
    log_p = np.log(widths) + density.log_radial(nodes)
    keep = log_p > -60.0
    nodes, log_p = nodes[keep], log_p[keep]
    p = np.exp(log_p)
    # Beyond, the radii are too far apart for c to be near one, and it does not matter.
    matter = min(density.quantile(0.005 * tolerance), end)
    spread = 0.35 / np.sqrt(2.0 * beta)
    for _ in range(MOST_ROUNDS):
        shells = _weigh(density.dim, beta, nodes, p / p.sum(), radii, tolerance)
        r, log_c = _peaks(shells, nodes, log_p, beta, matter)
        yield shells, float(log_c.max())
        found = r[log_c > 0.1 * tolerance]
        if not len(found):
            return
        radii = np.unique(
            np.concatenate([shells.radii, found, found - spread, found + spread]).clip(0.0)
        )
        spread *= 0.3


def _weigh(
    dim: int, beta: float, nodes: ndarray, p: ndarray, radii: ndarray, tolerance: float
) -> Shells:
    """The best weights on the given radii, less those that are nothing beside their neighbours."""
    logs = log_kernel(dim, beta, nodes[:, None], radii)
    shift = logs.max(1)
    matrix = np.exp(logs - shift[:, None])
    kernel = DenseKernel(matrix, -shift, -logs / beta, np.ascontiguousarray(matrix.T))
    weights = interior_point(kernel, p, tolerance=max(1e-9, 1e-3 * tolerance)).weights
    used = weights > _DROP * maximum_filter1d(weights, 9)
    return Shells(dim, radii[used], weights[used] / weights[used].sum())


def _peaks(
    shells: Shells, nodes: ndarray, log_p: ndarray, beta: float, end: float
) -> tuple[ndarray, ndarray]:
    """The local maxima of log c up to ``end`` for lambda = 1 / Z, by parabolas on a grid."""
    log_mass = log_p - shells.log_partition(nodes, beta)
    weight = RadialWeight(shells.dim, beta, nodes, log_mass, np.ones(len(nodes)))
    r = np.linspace(0.0, end, int(np.ceil(12.0 * end * np.sqrt(2.0 * beta))) + 2)
    log_c = np.log(np.maximum(weight.value(r), 1e-300))
    # c is even in r; at the other end a reflection will do.
    left = np.concatenate([log_c[1:2], log_c[:-1]])
    right = np.concatenate([log_c[1:], log_c[-2:-1]])
    top = np.flatnonzero((log_c >= left) & (log_c >= right))
    rise, bend = 0.5 * (right[top] - left[top]), 2.0 * log_c[top] - left[top] - right[top]
    move = rise / np.maximum(bend, 1e-12)
    return r[top] + (r[1] - r[0]) * move, log_c[top] + 0.5 * rise * move
