"""Evaluation of an energy in one or two dimensions by the trapezoidal rule.

Z and Z_x are sums over one product grid whose step is well below the width of the noise kernel,
so that the rule converges geometrically for a smooth energy under squared error, and at second
order at the kink of absolute error, where Richardson's extrapolation removes the leading term.
The same sums over every other node tell the error that is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.types import Distortion, Energy, TestChannel

_MAX_NODES = {1: 400_000, 2: 6_000_000}
_STEP = {"squared_error": 0.6, "absolute_error": 0.05}  # in widths of the noise kernel
_TOLERANCE = 3e-4  # nats; a larger difference between the two grids halves the step
_OUTSIDE = 1e-7  # largest mass of q allowed in the outer shell of the box
_SHELL = 3  # nodes
_MISSED = 0.5  # nats by which E at a draw may lie below E at every node
_BOXES = 12  # each 1.5 times as wide as the last
_CHUNK = 65_536
_BLOCK = 4_000_000
_DISTORTION_ROWS = 1000
_LOG_ROWS = 64


@dataclass(frozen=True, eq=False)
class Grid:
    """A product grid: the nodes of each axis, and the log mass of q at every node."""

    axes: tuple[Tensor, ...]
    log_q: Tensor
    lowest: float
    """The smallest E at any node."""

    def thinned(self) -> Grid:
        """Every other node, normalised again."""
        every_other = (slice(None, None, 2),) * len(self.axes)
        return _normalised(
            tuple(axis[::2] for axis in self.axes), self.log_q[every_other], self.lowest
        )


def quadrature(
    channel: TestChannel,
    energy: Energy,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    generator: Generator,
) -> Evaluation:
    """F(q) for q = exp(-E) / Z in d <= 2, refined until two grids agree.

    ``accepted`` is false where q still has mass at the edge of every box tried, or where the
    largest grid has not converged.
    """
    beta, dim = channel.beta, x.shape[1]
    draws = energy.sample(2000, generator).double()
    lower, upper, contained = _box(energy, torch.cat([x, draws]))
    spread = float((upper - lower).min())
    # At low rate q itself, not the noise, sets the finest scale; its draws tell that scale.
    narrowest = max(_local_scale(draws), spread / 100_000.0)
    scale = min(_noise_width(distortion.name, beta), spread / 100.0, narrowest)
    step = _STEP[distortion.name] * scale
    lowest = float(energy.value_and_grad(torch.cat([x, draws]))[0].min())
    while True:
        grid = _grid(energy, lower, upper, step)
        fine = _potential(grid, distortion, x, beta)
        coarse = _potential(grid.thinned(), distortion, x, beta)
        rows = min(len(fine), len(coarse))
        fine, coarse = fine[:rows], coarse[:rows]
        error = abs(float((fine - coarse).mean()))
        # Two grids also agree where both step over a spike; but its draws lie far below all nodes.
        resolved = lowest >= grid.lowest - _MISSED
        # A box that cuts q converges slowly, to a number that will not be accepted anyway.
        if (error <= _TOLERANCE and resolved) or not contained:
            break
        if grid.log_q.numel() * 2**dim > _MAX_NODES[dim]:
            break
        step *= 0.5
    if distortion.name == "absolute_error":
        fine = fine + (fine - coarse) / 3.0
    return Evaluation(
        potential=fine,
        distortion=_distortion(grid, distortion, x[: min(_DISTORTION_ROWS, rows)], beta),
        method=f"quadrature, {grid.log_q.numel()} nodes",
        side="exact",
        below=error,
        above=error,
        accepted=contained and resolved and error <= 10.0 * _TOLERANCE,
    )


def _noise_width(name: str, beta: float) -> float:
    if beta == 0.0:
        return math.inf
    return 1.0 / math.sqrt(2.0 * beta) if name == "squared_error" else 1.0 / beta


def _local_scale(draws: Tensor) -> float:
    """The width of the narrowest part of q that holds a few per cent of its draws.

    Per axis, the shortest interval with 1% of the draws; for a Gaussian it is 0.025 standard
    deviations long, for a component of weight w 0.025 / w, hence the factor.
    """
    count = max(2, len(draws) // 100)
    ordered = draws.sort(0).values
    return 10.0 * float((ordered[count:] - ordered[:-count]).min())


def _box(energy: Energy, points: Tensor) -> tuple[Tensor, Tensor, bool]:
    """A box that holds the points and all but a negligible part of q."""
    lower, upper = points.min(0).values, points.max(0).values
    margin = 0.1 * (upper - lower)
    lower, upper = lower - margin, upper + margin
    nodes = 400 if points.shape[1] == 1 else 120
    for _ in range(_BOXES):
        grid = _grid(energy, lower, upper, float((upper - lower).max()) / nodes)
        inner = (slice(_SHELL, -_SHELL),) * points.shape[1]
        if 1.0 - float(grid.log_q.exp()[inner].sum()) < _OUTSIDE:
            return *_with_far_modes(energy, lower, upper), True
        quarter = 0.25 * (upper - lower)
        lower, upper = lower - quarter, upper + quarter
    return lower, upper, False


def _with_far_modes(energy: Energy, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """The box, or a wider one where coarse grids find mass of q that the box does not hold.

    A mode much narrower than 1/250 (d = 2: 1/20) of the box, or farther away than 8 of its
    widths, is still not seen.
    """
    nodes = 4000 if len(lower) == 1 else 320
    middle, half = 0.5 * (lower + upper), 0.5 * (upper - lower)
    found = (lower, upper)
    for scale in (4.0, 16.0):
        wide = (middle - scale * half, middle + scale * half)
        grid = _grid(energy, *wide, float((wide[1] - wide[0]).max()) / nodes)
        mass = grid.log_q.exp()
        for i, axis in enumerate(grid.axes):
            shape = [-1 if j == i else 1 for j in range(len(grid.axes))]
            held = (axis >= found[0][i]) & (axis <= found[1][i])
            mass = mass * held.reshape(shape)
        if 1.0 - float(mass.sum()) > 10.0 * _OUTSIDE:
            found = wide
    return found


def _grid(energy: Energy, lower: Tensor, upper: Tensor, step: float) -> Grid:
    dim = len(lower)
    most = int(_MAX_NODES[dim] ** (1.0 / dim))
    axes = tuple(
        torch.linspace(
            float(a),
            float(b),
            min(max(math.ceil(float(b - a) / step), 8), most) + 1,
            dtype=torch.float64,
            device=lower.device,
        )
        for a, b in zip(lower, upper, strict=True)
    )
    nodes = torch.cartesian_prod(*axes).reshape(-1, dim)
    log_q = torch.cat([-energy.value_and_grad(part)[0].double() for part in nodes.split(_CHUNK)])
    return _normalised(axes, log_q.reshape([len(axis) for axis in axes]), -float(log_q.max()))


def _normalised(axes: tuple[Tensor, ...], log_q: Tensor, lowest: float) -> Grid:
    return Grid(axes, log_q - torch.logsumexp(log_q.reshape(-1), 0), lowest)


def _potential(grid: Grid, distortion: Distortion, x: Tensor, beta: float) -> Tensor:
    """-log sum_j q_j exp(-beta rho(x, y_j)), on every row of x that can be afforded."""
    if len(grid.axes) == 1:
        return _log_domain(grid, distortion, x, beta)[0]
    first, second = _kernels(grid, distortion, x, beta)
    z = ((first @ grid.log_q.exp()) * second).sum(1)
    if bool((z > 1e-280).all()):
        return -z.log()
    # q is so far from some x that exp underflows: sum logarithms instead, on fewer rows.
    return _log_domain(grid, distortion, x[:_LOG_ROWS], beta)[0]


def _distortion(grid: Grid, distortion: Distortion, x: Tensor, beta: float) -> Tensor:
    """E[rho(x, Y) | x] on the rows of x."""
    if len(grid.axes) == 1:
        return _log_domain(grid, distortion, x, beta)[1]
    first, second = _kernels(grid, distortion, x, beta)
    left = first @ grid.log_q.exp()
    z = (left * second).sum(1)
    if not bool((z > 1e-280).all()):
        return _log_domain(grid, distortion, x[:_LOG_ROWS], beta)[1]
    rho_1 = distortion.pairwise(x[:, :1], grid.axes[0][:, None])
    rho_2 = distortion.pairwise(x[:, 1:], grid.axes[1][:, None])
    along_1 = (((first * rho_1) @ grid.log_q.exp()) * second).sum(1)
    return (along_1 + (left * second * rho_2).sum(1)) / z


def _kernels(grid: Grid, distortion: Distortion, x: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """exp(-beta rho) along each of two axes: the kernel of a summed distortion is a product."""
    return (
        torch.exp(-beta * distortion.pairwise(x[:, :1], grid.axes[0][:, None])),
        torch.exp(-beta * distortion.pairwise(x[:, 1:], grid.axes[1][:, None])),
    )


def _log_domain(
    grid: Grid, distortion: Distortion, x: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """-log Z_x / Z and E[rho | x], node by node in logarithms."""
    nodes = torch.cartesian_prod(*grid.axes).reshape(-1, len(grid.axes))
    log_q = grid.log_q.reshape(-1)
    potential, spent = [], []
    for part in x.split(max(1, _BLOCK // len(nodes))):
        rho = distortion.pairwise(part, nodes)
        exponent = log_q - beta * rho
        log_z = torch.logsumexp(exponent, 1)
        potential.append(-log_z)
        spent.append((torch.exp(exponent - log_z[:, None]) * rho).sum(1))
    return torch.cat(potential), torch.cat(spent)
