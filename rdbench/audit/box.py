"""The product grid on which an energy in one or two dimensions is summed: its box and its nodes.

The box follows the draws of q, not the symbols: at low rate q is far narrower than the source,
and a grid fine enough for q over a box wide enough for x has millions of nodes that carry
nothing. What the box then might miss is looked for: mass of q around the symbols and far away,
and mass of p(y|x) at the edge for extreme x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rdbench.types import Distortion, Energy

MAX_NODES = {1: 400_000, 2: 6_000_000}
SHELL = 3  # nodes at every edge
_OUTSIDE = 1e-7  # largest mass of q allowed in the outer shell of the box
_SPILLED = 1e-5  # largest mass of p(y|x) allowed there
_EXTREME = 32  # symbols for which that is looked at
_BOXES = 12  # each 1.5 times as wide as the last
_COARSE = {1: 400, 2: 120}  # nodes along an axis of the box while it is being found
_LOOK = {1: 4000, 2: 320}  # and of the boxes that are searched for far modes
_CHUNK = 65_536


@dataclass(frozen=True, eq=False)
class Grid:
    """A product grid: the nodes of each axis, and the log mass of q at every node."""

    axes: tuple[Tensor, ...]
    log_q: Tensor
    lowest: float
    """The smallest E at any node."""
    log_z: float
    """log of the integral of exp(-E) by this grid."""

    def thinned(self) -> Grid:
        """Every other node, normalised again."""
        every_other = (slice(None, None, 2),) * len(self.axes)
        axes = tuple(axis[::2] for axis in self.axes)
        return normalised(axes, self.log_q[every_other], self.lowest)

    @property
    def inner(self) -> tuple[slice, ...]:
        """The nodes that are not in the outer shell."""
        return (slice(SHELL, -SHELL),) * len(self.axes)


def grid_of(
    energy: Energy,
    lower: Float[Tensor, " d"],
    upper: Float[Tensor, " d"],
    step: Float[Tensor, " d"],
) -> Grid:
    """The grid over a box, no coarser than ``step`` unless that would be too many nodes."""
    dim = len(lower)
    most = int(MAX_NODES[dim] ** (1.0 / dim))
    axes = tuple(
        torch.linspace(
            float(a),
            float(b),
            min(max(math.ceil(float((b - a) / h)), 8), most) + 1,
            dtype=torch.float64,
            device=lower.device,
        )
        for a, b, h in zip(lower, upper, step, strict=True)
    )
    nodes = torch.cartesian_prod(*axes).reshape(-1, dim)
    log_q = torch.cat([-energy.at(part).double() for part in nodes.split(_CHUNK)])
    return normalised(axes, log_q.reshape([len(axis) for axis in axes]), -float(log_q.max()))


def normalised(axes: tuple[Tensor, ...], log_q: Tensor, lowest: float) -> Grid:
    """The grid whose masses sum to one."""
    total = torch.logsumexp(log_q.reshape(-1), 0)
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    return Grid(axes, log_q - total, lowest, float(total) + math.log(cell))


def box_of(
    energy: Energy,
    draws: Float[Tensor, "m d"],
    x: Float[Tensor, "n d"],
    distortion: Distortion,
    beta: float,
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"], bool]:
    """A box that holds all but a negligible part of q, and whether there is one.

    It starts at the draws of q and grows until its outer shell is empty, of q and of p(y|x).
    Then coarse grids around the symbols, and 4 and 16 times as wide, are searched for mass of q
    that it does not hold.
    """
    lower, upper = draws.min(0).values, draws.max(0).values
    # An atom has no width: give it that of the finest grid that will be laid over it.
    margin = (0.1 * (upper - lower)).clamp(min=1e-12 * float(x.abs().max() + 1.0))
    lower, upper = lower - margin, upper + margin
    contained = False
    for _ in range(_BOXES):
        grid = grid_of(energy, lower, upper, (upper - lower) / _COARSE[x.shape[1]])
        contained = (
            1.0 - float(grid.log_q.exp()[grid.inner].sum()) < _OUTSIDE
            and _spilled(grid, distortion, x, beta) < _SPILLED
        )
        if contained:
            break
        quarter = 0.25 * (upper - lower)
        lower, upper = lower - quarter, upper + quarter
    if not contained:
        return lower, upper, False
    return *_with_far_modes(energy, lower, upper, x, grid.log_z), True


def _spilled(grid: Grid, distortion: Distortion, x: Tensor, beta: float) -> float:
    """The largest mass of p(y|x) in the outer shell of the box, over the most extreme x."""
    middle = torch.stack([0.5 * (axis[0] + axis[-1]) for axis in grid.axes])
    extreme = x[(x - middle).square().sum(1).topk(min(_EXTREME, len(x))).indices]
    nodes = torch.cartesian_prod(*grid.axes).reshape(-1, len(grid.axes))
    posterior = torch.softmax(
        grid.log_q.reshape(-1) - beta * distortion.pairwise(extreme, nodes), 1
    ).reshape(-1, *grid.log_q.shape)
    held = posterior[(slice(None), *grid.inner)].flatten(1).sum(1)
    return 1.0 - float(held.min())


def _with_far_modes(
    energy: Energy, lower: Tensor, upper: Tensor, x: Tensor, log_z: float
) -> tuple[Tensor, Tensor]:
    """The box, or a wider one where coarse grids find mass of q that it does not hold.

    A mode much narrower than 1/250 (d = 2: 1/20) of the range of the symbols, or farther away than
    8 times that range, is still not seen.
    """
    low = torch.minimum(lower, x.min(0).values)
    high = torch.maximum(upper, x.max(0).values)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    for scale in (1.0, 4.0, 16.0):
        wide = (middle - scale * half, middle + scale * half)
        step = (wide[1] - wide[0]) / _LOOK[x.shape[1]]
        grid = grid_of(energy, *wide, step)
        # Within a step of the box a node of the coarse grid stands for mass inside it.
        outside = ~_held(grid, lower - step, upper + step)
        heavy = outside & (grid.log_q + grid.log_z > log_z + math.log(10.0 * _OUTSIDE))
        if bool(heavy.any()):
            nodes = torch.nonzero(heavy)
            found = torch.stack([axis[nodes[:, i]] for i, axis in enumerate(grid.axes)], 1)
            lower = torch.minimum(lower, found.min(0).values - step)
            upper = torch.maximum(upper, found.max(0).values + step)
    return lower, upper


def _held(grid: Grid, lower: Tensor, upper: Tensor) -> Bool[Tensor, ...]:
    """Which nodes lie in the box."""
    held = torch.ones_like(grid.log_q, dtype=torch.bool)
    for i, axis in enumerate(grid.axes):
        shape = [-1 if j == i else 1 for j in range(len(grid.axes))]
        held &= ((axis >= lower[i]) & (axis <= upper[i])).reshape(shape)
    return held
