"""The preset ``product``: an energy for every independent coordinate, summed.

In an orthogonal basis v_1, ..., v_d found by independent component analysis,

    E(y) = sum_k E_k(u_k),   u_k = v_k . (y - centre) / s_k,

with s_k the spread along v_k and every E_k a network of one variable that starts as a Student t.
Squared error is a sum over coordinates, so that q and p(y|x) are products, and eq. (4) of every E_k
is two weighted sums over points of its axis: no chain is run. In the end exp(-E_k) is taken on a
grid: q is a product of atoms, whose F is an exact sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.ebrd.descent import Weighted, descend
from rdbench.estimators.ebrd.grid import Strata
from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import NO_CLAIM, RunningMean, Task, stopped
from rdbench.inference.experts import Experts
from rdbench.inference.product import Coordinates, conditional, exact_point, independent
from rdbench.types import Claim, Product, Start, TestChannel

_POINTS = 256  # on every axis while it is trained; more where p(y|x) is narrow
_FINEST = 4096
_PER_WIDTH = 4.0  # points of a range within a standard deviation of the noise
_FINER = 4  # times the points: of q in the end


def fit_product(config: Settings, task: Task) -> Iterator[TestChannel]:
    """The channels of a ladder, all slopes trained together.

    Args:
        config: lengths and rates.
        task: the problem in standard coordinates.
    """
    where = independent(task.warm, task.generator)
    u = where.forward(task.warm)
    spread = u.std(0).clamp(min=1e-300)
    axes = _Axes(where, spread, Strata(u / spread))
    count, dim = len(task.betas), task.dim
    energy = Experts(count * dim, 1, config.hidden, task.generator)
    start = axes.law([energy.single(0)] * dim, _POINTS)
    average = RunningMean(energy, config.averaging)
    task.monitor.count(parameters=sum(p.numel() for p in energy.parameters()))
    slopes = torch.tensor(task.betas, dtype=torch.float64, device=task.device)
    # Per slope and axis, in units of the spread along it.
    tilts = (slopes[:, None] * axes.spread.square()).reshape(-1, 1)
    points = axes.points(float(tilts.max()))

    def weighted(_: int) -> Weighted:
        x = where.forward(task.draws.sample(config.batch)) / axes.spread
        y, sizes = axes.strata.along(points, task.generator)
        y, sizes = (of.float().repeat(count, 1) for of in (y, sizes))
        with torch.no_grad():
            log_weight = sizes - energy(y[..., None])
        posterior = _posterior(x.T.float(), y, log_weight, tilts.float())
        return y[..., None], posterior - torch.softmax(log_weight, 1)

    def channel(index: int, claimed_on: Tensor | None = None) -> TestChannel:
        beta = task.betas[index]
        rows = [average.mean.single(index * dim + k) for k in range(dim)]
        q = axes.law(rows, _FINER * points)
        claim = NO_CLAIM
        if claimed_on is not None:
            rate, distortion = exact_point(q, claimed_on, beta)
            claim = Claim(rate, distortion, task.draws.side)
        return TestChannel(
            beta,
            q,
            claim,
            conditional(q, beta),
            q_is="product of energy networks",
            start=Start(start, "Student t(3) on every axis"),
        )

    def offer() -> list[TestChannel]:
        return [channel(i) for i in range(count)]

    done = descend(config, task.monitor, energy, average, weighted, offer, (0, 1))
    claimed_on = task.draws.claim(config.claim_draws or 2000)
    for i in range(count):
        made = channel(i, claimed_on)
        yield made if done else stopped(made)


def _posterior(
    x: Float[Tensor, "d n"],
    y: Float[Tensor, "B m"],
    log_weight: Float[Tensor, "B m"],
    tilts: Float[Tensor, "B 1"],
) -> Float[Tensor, "B m"]:
    """mean_i p(y_j|x_i) on every axis of every slope, B = slopes times axes."""
    dim, total = len(x), []
    for first in range(0, len(y), dim):
        at, w = y[first : first + dim], tilts[first : first + dim]
        # (x - y)^2 less x^2, which the softmax does not see
        line = log_weight[first : first + dim] - w * at.square()
        exponent = torch.baddbmm(line[:, None], x[..., None], (2.0 * w * at)[:, None])
        total.append(torch.softmax(exponent, 2).mean(1))
    return torch.cat(total)


@dataclass(frozen=True, eq=False)
class _Axes:
    """Coordinates, the spread along each, and how points lie on them."""

    where: Coordinates
    spread: Float[Tensor, " d"]
    strata: Strata

    def points(self, tilt: float) -> int:
        """How many points resolve exp(-tilt u^2) on the widest axis."""
        reach = float((self.strata.knots[:, -1] - self.strata.knots[:, 0]).max())
        needed = _PER_WIDTH * reach * math.sqrt(2.0 * tilt)
        doubled: int = 2 ** math.ceil(math.log2(max(needed, 1.0)))
        return min(_FINEST, max(_POINTS, doubled))

    @torch.no_grad()
    def law(self, energies: list[Experts], points: int) -> Product:
        """q with exp(-E_k) on a grid of every axis."""
        y, sizes = self.strata.along(points)
        e = torch.stack([one(at[None, :, None])[0] for one, at in zip(energies, y, strict=True)])
        return self.where.product(self.spread[:, None] * y, torch.log_softmax(sizes - e, 1))
