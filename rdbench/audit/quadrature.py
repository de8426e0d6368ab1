"""Evaluation of an energy in one or two dimensions by the trapezoidal rule.

Z and Z_x are sums over one product grid whose step is well below the width of the noise kernel,
so that the rule converges geometrically for a smooth energy under squared error, and at second
order at the kink of absolute error, where Richardson's extrapolation removes the leading term.
The same sums over every other node tell the error that is left.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.averages import weighted_mean
from rdbench.audit.box import MAX_NODES, Grid, box_of, grid_of
from rdbench.audit.evaluation import Evaluation
from rdbench.exponentials import boltzmann
from rdbench.types import Distortion, Energy, TestChannel

_STEP = {"squared_error": 0.85, "absolute_error": 0.05}  # in widths of the noise kernel
_LOCAL = {"squared_error": 2.0, "absolute_error": 1.0}  # such widths in the narrowest part of q
_TOLERANCE = 3e-4  # nats; a larger difference between the two grids halves the step
_MISSED = 0.5  # nats by which E at a draw may lie below E at every node
_BLOCK = 4_000_000
_DISTORTION_ROWS = 1000
_LOG_ROWS = 64


def quadrature(
    channel: TestChannel,
    energy: Energy,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    generator: Generator,
    weights: Float[Tensor, " n"] | None = None,
) -> Evaluation:
    """F(q) for q = exp(-E) / Z in d <= 2, refined until two grids agree.

    ``accepted`` is false where q still has mass at the edge of every box tried, or where the
    largest grid has not converged.

    Args:
        channel: its slope.
        energy: E, whose q is evaluated.
        distortion: squared or absolute error.
        x: the symbols (n, 1) or (n, 2).
        generator: of all draws.
        weights: of the symbols, where they were drawn in strata.
    """
    beta, dim = channel.beta, x.shape[1]
    draws = energy.sample(2000, generator).double()
    if dim == 2 and distortion.name == "squared_error":
        energy, draws, x = _along_axes(energy, draws, x)
    lower, upper, contained = box_of(energy, draws, x, distortion, beta)
    step = _STEP[distortion.name] * _scales(distortion.name, beta, draws, upper - lower)
    lowest = float(energy.at(torch.cat([x, draws])).min())
    while True:
        grid = grid_of(energy, lower, upper, step)
        fine = _potential(grid, distortion, x, beta)
        coarse = _potential(grid.thinned(), distortion, x, beta)
        rows = min(len(fine), len(coarse))
        fine, coarse = fine[:rows], coarse[:rows]
        error = abs(weighted_mean(fine - coarse, weights))
        # Two grids also agree where both step over a spike; but its draws lie far below all nodes.
        resolved = lowest >= grid.lowest - _MISSED
        # A box that cuts q converges slowly, to a number that will not be accepted anyway.
        if (error <= _TOLERANCE and resolved) or not contained:
            break
        if grid.log_q.numel() * 2**dim > MAX_NODES[dim]:
            break
        step = 0.5 * step
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


def _along_axes(energy: Energy, draws: Tensor, x: Tensor) -> tuple[Energy, Tensor, Tensor]:
    """The energy, its draws and the symbols along the principal axes of q.

    A rotation leaves squared error as it is, and a q that is narrow across a slanted line would
    need nodes of that width over the whole plane. Directions that carry no rate are such lines.
    """
    _, axes = torch.linalg.eigh(torch.cov(draws.T))

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = energy.value_and_grad(y @ axes.T)
        turned: Tensor = grad @ axes
        return value, turned

    def sample(n: int, g: Generator) -> Tensor:
        turned: Tensor = energy.sample(n, g).double() @ axes
        return turned

    def value(y: Tensor) -> Tensor:
        return energy.at(y @ axes.T)

    return Energy(sample, value_and_grad, value), draws @ axes, x @ axes


def _scales(name: str, beta: float, draws: Tensor, spread: Tensor) -> Float[Tensor, " d"]:
    """Per axis the finest scale: of the noise, or of q at low rate, as its draws tell it."""
    noise = math.inf
    if beta > 0.0:
        noise = 1.0 / math.sqrt(2.0 * beta) if name == "squared_error" else 1.0 / beta
    narrowest = torch.maximum(_LOCAL[name] * _local_scale(draws), spread / 100_000.0)
    return torch.minimum(narrowest, spread / 100.0).clamp(max=noise)


def _local_scale(draws: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The width of the narrowest part of q that holds a few per cent of its draws.

    Per axis, the shortest interval with 1% of the draws; for a Gaussian it is 0.025 standard
    deviations long, for a component of weight w 0.025 / w, hence the factor.
    """
    count = max(2, len(draws) // 100)
    ordered = draws.sort(0).values
    return 10.0 * (ordered[count:] - ordered[:-count]).min(0).values


def _potential(grid: Grid, distortion: Distortion, x: Tensor, beta: float) -> Tensor:
    """-log sum_j q_j exp(-beta rho(x, y_j)), on every row of x that can be afforded."""
    if len(grid.axes) == 1:
        return _log_domain(grid, distortion, x, beta)[0]
    first, second, shift = _kernels(grid, distortion, x, beta)
    z = ((first @ grid.log_q.exp()) * second).sum(1)
    if bool((z > 1e-280).all()):
        return shift - z.log()
    # q is so far from some x that exp underflows: sum logarithms instead, on fewer rows.
    return _log_domain(grid, distortion, x[:_LOG_ROWS], beta)[0]


def _distortion(grid: Grid, distortion: Distortion, x: Tensor, beta: float) -> Tensor:
    """E[rho(x, Y) | x] on the rows of x."""
    if len(grid.axes) == 1:
        return _log_domain(grid, distortion, x, beta)[1]
    first, second, _ = _kernels(grid, distortion, x, beta)
    left = first @ grid.log_q.exp()
    z = (left * second).sum(1)
    if not bool((z > 1e-280).all()):
        return _log_domain(grid, distortion, x[:_LOG_ROWS], beta)[1]
    rho_1 = distortion.pairwise(x[:, :1], grid.axes[0][:, None])
    rho_2 = distortion.pairwise(x[:, 1:], grid.axes[1][:, None])
    along_1 = (((first * rho_1) @ grid.log_q.exp()) * second).sum(1)
    return (along_1 + (left * second * rho_2).sum(1)) / z


def _kernels(
    grid: Grid, distortion: Distortion, x: Tensor, beta: float
) -> tuple[Tensor, Tensor, Tensor]:
    """exp(-beta rho) along each of two axes: the kernel of a summed distortion is a product.

    Both are divided by their largest value in every row, whose logarithms, with the sign changed
    and summed, come third: a symbol outside of the box is far from all nodes.
    """
    along = [
        beta * distortion.pairwise(x[:, i : i + 1], axis[:, None])
        for i, axis in enumerate(grid.axes)
    ]
    least = [part.amin(1, keepdim=True) for part in along]
    first, second = (torch.exp(low - part) for low, part in zip(least, along, strict=True))
    return first, second, (least[0] + least[1])[:, 0]


def _log_domain(
    grid: Grid, distortion: Distortion, x: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """-log Z_x / Z and E[rho | x], node by node in logarithms."""
    nodes = torch.cartesian_prod(*grid.axes).reshape(-1, len(grid.axes))
    log_q = grid.log_q.reshape(-1)
    potential, distortions = [], []
    for part in x.split(max(1, _BLOCK // len(nodes))):
        rho = distortion.pairwise(part, nodes)
        exponent = log_q - beta * rho
        log_z, mean = boltzmann(exponent, rho)
        potential.append(-log_z)
        distortions.append(mean)
    return torch.cat(potential), torch.cat(distortions)
