"""Blahut-Arimoto in any dimension under a structure of q: independent axes, or spheres.

Under squared error F of a product is a sum over orthogonal coordinates, so that each has a problem
of its own, on a line. If q is isotropic about the mean, Z(x) is a function of |x - mean| alone, and
the problem is one on the half-line of radii, with a Bessel function for a kernel
(`rdbench.inference.product`). Both take draws alone. Any such q is a valid upper bound; what it
misses, where the source has no such structure, is in F. The weights of each problem come from the
interior point, on draws that are binned at half the step of the points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, ndtri
from torch import Generator, Tensor

from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel
from rdbench.estimators.blahut_arimoto.grids import Discretised
from rdbench.fitting import Split
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel, Kernel
from rdbench.inference.product import (
    conditional,
    exact_point,
    exact_sums,
    independent,
    principal,
    sphere_means,
)
from rdbench.types import (
    Claim,
    Factor,
    Monitor,
    Product,
    Refusal,
    Start,
    TestChannel,
    Unsupported,
)

_STEP = 0.5  # of a grid, in units of the noise 1 / sqrt(2 beta)
_FINER = 0.7  # the step of the radii, over that
_LEAST = {"line": 96, "radii": 200}  # intervals that a grid has at least
_ROWS = 256  # bins that draws have at least
_DENSE = 400  # points up to which a line has a dense kernel
_MOST = {"line": 50_000, "radii": 2_000}
_NORMAL_CUTS = ndtri(np.arange(1, 64) / 64)
_NORMAL, _NORMAL_REACH = 4.0, 6.0  # standard errors of chi-squared; standard deviations
_TAIL = 20  # of the largest radii are binned in equal ratios
_RATIO, _REACH = 1.05, 16.0  # of neighbouring radii out there, up to that many times the largest
LARGEST = 40_000_000
"""Draws times dimensions: all make the mean and the principal axes."""
_BINNED, _ICA_NUMBERS = 20_000_000, 8_000_000  # of them to bins, to FastICA
_CLAIMED = 200_000  # draws times dimensions, at most, on which F is claimed
_HELD_OUT = 4_000
_MARGIN = 0.1  # nats of F on held-out draws
_PRUNED = 1e-13  # weight of the points that are dropped, in all


@dataclass(frozen=True, eq=False)
class Sample:
    """Sorted numbers that are binned at every slope anew, or the normal law of these moments.

    Numbers that chi-squared over 64 cells cannot tell from a normal law are taken for one: the
    noise of a histogram would cost more than the difference, and its tails end too early.
    """

    values: Float[ndarray, " n"]
    cumulated: Float[ndarray, " n1"]
    mean: float
    deviation: float
    normal: bool
    ends: tuple[float, float]
    """The interval that holds them, up to 1e-9 of a normal law."""

    @classmethod
    def of(cls, draws: Float[Tensor, " n"], *, radii: bool = False) -> Sample:
        """From draws in any order; radii are not normal."""
        values = np.sort(draws.cpu().numpy())
        n, mean, deviation = len(values), float(values.mean()), float(values.std())
        cuts = mean + deviation * _NORMAL_CUTS
        counts = np.diff(np.searchsorted(values, cuts), prepend=0, append=n)
        excess = float(np.square(counts * len(counts) / n - 1.0).sum()) * n / len(counts)
        freedom = len(counts) - 3
        normal = (
            not radii and deviation > 0.0 and excess < freedom + _NORMAL * math.sqrt(2.0 * freedom)
        )
        reach = _NORMAL_REACH * deviation
        ends = (mean - reach, mean + reach) if normal else (float(values[0]), float(values[-1]))
        if normal:
            values = values[:0]
        return cls(values, np.append(0.0, np.cumsum(values)), mean, deviation, normal, ends)

    def bins(self, edges: Float[ndarray, " k"]) -> tuple[ndarray, ndarray, ndarray]:
        """Share and mean of every cell that has some, and which cells these are."""
        if self.normal:
            z = (edges - self.mean) / self.deviation
            shares, slopes = np.diff(ndtr(z)), -np.diff(np.exp(-0.5 * z * z))
            kept = np.flatnonzero(shares > 1e-14)
            shares = shares[kept]
            means = self.mean + self.deviation * slopes[kept] / (math.sqrt(2 * math.pi) * shares)
            return shares / shares.sum(), np.clip(means, edges[kept], edges[kept + 1]), kept
        at = np.searchsorted(self.values, edges, side="right")
        at[0], at[-1] = 0, len(self.values)
        counts = np.diff(at)
        kept = np.flatnonzero(counts)
        means = np.diff(self.cumulated[at])[kept] / counts[kept]
        return counts[kept] / len(self.values), means, kept


@dataclass(frozen=True, eq=False)
class Part:
    """A subspace, and the finite problem in it at every slope; ``tail``: points that go on."""

    axes: Float[Tensor, "d k"]
    at: Callable[[float], Discretised]
    tail: float = 0.0
    """The probability beyond the draws, spread over the points beyond them."""
    last: float = math.inf
    """Where these points begin."""
    mirrored: bool = False
    """Whether each point stands for both signs: the sphere of a line."""


@dataclass(frozen=True, eq=False)
class Structure:
    """A family of laws whose factors are solved for one by one."""

    name: str
    q_is: str
    centre: Float[Tensor, " d"]
    parts: tuple[Part, ...]


def axes_of(x: Float[Tensor, "n d"], generator: Generator, *, ica: bool) -> Structure:
    """Independent coordinates, of FastICA or of PCA."""
    at = principal(x)[0]
    if ica:
        found = independent(x[: max(_ICA_NUMBERS // x.shape[1], 1)], generator)
        at = at if found.kind == at.kind else replace(found, centre=at.centre)
    rows = at.forward(x[: max(_BINNED // x.shape[1], 1)]).T.contiguous()
    parts = tuple(
        Part(axis[:, None], partial(_line, Sample.of(u)))
        for axis, u in zip(at.basis.T.contiguous(), rows, strict=True)
    )
    return Structure(at.kind, "product of atoms", at.centre, parts)


def spheres_of(x: Float[Tensor, "n d"]) -> Structure:
    """Uniform laws on spheres about the mean."""
    centre, dim = x.mean(0), x.shape[1]
    radii = Sample.of((x[: max(_BINNED // dim, 1)] - centre).norm(dim=1), radii=True)
    axes = torch.eye(dim, dtype=x.dtype, device=x.device)
    last = float(radii.values[-1])
    part = Part(axes, partial(_radial, radii, dim), 1.0 / len(radii.values), last, dim == 1)
    return Structure("spheres", "uniform laws on spheres", centre, (part,))


def _line(sample: Sample, beta: float) -> Discretised:
    """Points from the least to the largest draw, and the draws in bins of half their step."""
    lo, hi = sample.ends
    mean = sample.mean
    # a smooth law is resolved by a step of one (`grids`), and by less of it than atoms are
    count = _intervals("line", hi - lo, beta, _STEP * (2.0 if sample.normal else 1.0))
    if count == 0:
        return _one_point(mean)
    step = (hi - lo) / count
    # one of them at the mean, where at low rates most of q is
    points = mean + step * (np.arange(count + 2) - math.ceil((mean - lo) / step))
    dense = _DENSE // 4 if sample.normal else _DENSE
    if count > dense and 4 * BandedKernel.half_width(step, beta) < count:
        if sample.normal:
            p = np.exp(-0.5 * ((points - mean) / sample.deviation) ** 2)
            p /= p.sum()
        else:  # the draws on the points themselves
            shares, _, kept = sample.bins(np.append(points, points[-1] + step) - 0.5 * step)
            p = np.zeros(len(points))
            p[kept] = shares
        return _problem(p, BandedKernel.build(len(points), step, beta), points)
    rows = 2 * count if sample.normal else max(_ROWS, 2 * count)
    p, means, _ = sample.bins(np.linspace(lo, hi, rows + 1))
    return _problem(p, DenseKernel.build((means[:, None] - points) ** 2, beta), points)


def _radial(sample: Sample, dim: int, beta: float) -> Discretised:
    """Radii up to the last draws, then in equal ratios: heavy tails go on there."""
    most = float(sample.values[-1])
    inner = float(sample.values[-min(_TAIL, len(sample.values))])
    count = _intervals("radii", inner, beta, _STEP * _FINER)
    if count == 0:
        return _one_point(0.0)
    growth = math.log(max(_RATIO, 1.0 + 1.0 / count))
    outer = inner * np.exp(growth * np.arange(1, math.ceil(math.log(_REACH) / growth) + 1))
    radii = np.append(np.linspace(0.0, inner, count + 1), outer)
    edges = np.append(np.linspace(0.0, inner, 2 * count + 1), outer)
    edges[-1] = max(edges[-1], most)
    p, means, _ = sample.bins(edges)
    angular = sphere_means(dim, 2.0 * beta * means[:, None] * radii)[0]
    rho = (means[:, None] - radii) ** 2 - angular / beta
    return _problem(p, DenseKernel.build(rho, beta), radii)


def _problem(p: ndarray, kernel: Kernel, points: ndarray) -> Discretised:
    return Discretised(p, kernel, points[:, None], np.full(len(points), 1.0 / len(points)))


def _one_point(at: float) -> Discretised:
    """All that beta = 0 or draws without spread ask for."""
    return _problem(np.ones(1), DenseKernel.build(np.zeros((1, 1)), 0.0), np.array([at]))


def _intervals(kind: str, width: float, beta: float, step: float) -> int:
    """How many intervals of a grid over ``width``; none where one point is all it takes.

    Raises:
        Unsupported: too many.
    """
    if beta == 0.0 or width == 0.0:
        return 0
    needed = width * math.sqrt(2.0 * beta) / step
    if needed > _MOST[kind]:
        raise Unsupported(
            f"beta = {beta:.6g} asks for {needed:.3g} points on a {kind}; the limit is "
            f"{_MOST[kind]}"
        )
    return max(_LEAST[kind], math.ceil(needed))


@dataclass(frozen=True)
class Fitted:
    """A product at one slope, the one of uniform weights on its points, and what is certified."""

    q: Product
    start: Product
    gap: float
    converged: bool


def fitted(
    structure: Structure, beta: float, solve: Callable[[Discretised], finite.Solution]
) -> Fitted:
    """Solve for every factor of a structure.

    Args:
        structure: the family.
        beta: the slope.
        solve: the weights of a finite problem.

    Raises:
        Unsupported: a grid would be too large.
    """
    factors, starts, gap, converged = [], [], 0.0, True
    for part in structure.parts:
        problem = part.at(beta)
        solution = solve(problem)
        gap, converged = gap + max(solution.gap, 0.0), converged and solution.converged
        points, weights = problem.points[:, 0], solution.weights
        beyond = points > part.last
        if part.tail > 0.0 and beyond.any():
            weights = (1.0 - part.tail) * weights + part.tail * beyond / beyond.sum()
        start = problem.start
        if part.mirrored:
            points = np.append(-points, points)
            weights, start = np.tile(0.5 * weights, 2), np.tile(0.5 * start, 2)
        factors.append(_factor(part.axes, points, weights))
        starts.append(_factor(part.axes, points, start))
    q = Product(structure.centre, tuple(factors))
    return Fitted(q, Product(structure.centre, tuple(starts)), gap, converged)


def _factor(axes: Float[Tensor, "d k"], points: ndarray, weights: ndarray) -> Factor:
    """The law without its lightest points, 1e-13 in all."""
    order = np.argsort(weights)
    kept = np.sort(order[np.searchsorted(np.cumsum(weights[order]), _PRUNED) :])
    points, log_w = points[kept], np.log(weights[kept] / weights[kept].sum())
    return Factor(axes, torch.from_numpy(points).to(axes), torch.from_numpy(log_w).to(axes))


def answers(
    structures: Sequence[Structure],
    draws: Split,
    betas: Sequence[float],
    monitor: Monitor,
    solve: Callable[[Discretised, float, Callable[[float], bool]], finite.Solution],
    claim_draws: int,
) -> Iterator[TestChannel | Refusal]:
    """The channel of the structure with the least F on held-out draws, at every slope.

    All are fitted at the middle slope first; those that lose more than a tenth of a nat there are
    not tried at the others.

    Args:
        structures: one or several.
        draws: for the choice and for the claim.
        betas: the slopes.
        monitor: progress, checkpoints and the budget.
        solve: the weights of a finite problem at a slope; its last argument asks whether to go on.
        claim_draws: on how many F is claimed.
    """
    held_out = draws.held_out(_HELD_OUT).double()
    dim = structures[0].centre.shape[0]
    claimed_on = draws.claim(min(claim_draws, max(_CLAIMED // dim, 100))).double()
    stopped, done = False, 0.0

    def go_on(_: float) -> bool:
        nonlocal stopped
        stopped = stopped or not monitor.advance(done)
        return not stopped

    def tried(beta: float) -> list[tuple[float, Structure, Fitted]]:
        found = []
        for structure in structures:
            try:
                one = fitted(structure, beta, lambda problem: solve(problem, beta, go_on))
            except Unsupported as reason:
                refused[beta] = str(reason)
                continue
            only = len(structures) == 1
            f = 0.0 if only else -float(exact_sums(one.q, held_out, beta)[0].mean())
            found.append((f, structure, one))
        return sorted(found, key=lambda one: one[0])

    refused: dict[float, str] = {}
    middle = sorted(betas)[len(betas) // 2]
    first = tried(middle)
    if first:
        structures = [one for f, one, _ in first if f <= first[0][0] + _MARGIN]
    for i, beta in enumerate(betas):
        done = i / len(betas)
        found = first if beta == middle else tried(beta)
        if not found:
            yield Refusal(beta, "unsupported", refused[beta])
            continue
        _, structure, best = found[0]
        rate, distortion = exact_point(best.q, claimed_on, beta)
        monitor.count(parameters=sum(len(f.points) for f in best.start.factors))
        certified = f"certified gap {best.gap:.2g} nats on the draws of the fit"
        channel = TestChannel(
            beta=beta,
            marginal=best.q,
            claim=Claim(rate, distortion, draws.side),
            sample_conditional=conditional(best.q, beta),
            status="ok" if best.converged else "not_converged",
            reason=f"{structure.name}; {certified}",
            q_is=structure.q_is,
            start=Start(best.start, "uniform weights on its points"),
        )
        monitor.checkpoint(partial(list, [channel]))
        yield channel
        if stopped:
            return
