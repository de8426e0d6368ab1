"""The symbols at which a channel is audited: every letter, fresh draws, or draws in strata.

Where the gap sits in rare symbols (atoms that end at 5 standard deviations of a t distribution),
a few thousand plain draws hardly see it, and their own spread does not tell. On the line, and for
elliptical sources along the radius, symbols are therefore drawn from a law r and weighted by p / r
(importance sampling with a defensive mixture: Hesterberg 1995; Owen and Zhou 2000). With c the
median of p, s its width and k = 2 for squared error, 1 for absolute error, r is the equal mixture
of

    p(t),  p(t) (1 + |t - c| / s)^k  and  p(t) (1 + |t - c| / s)^(3k/2)    for a power-law tail,
    p(t),  p(t) (1 + |t - c| / s)^k,  p(t)^(1/2)  and  p(t)^(1/4)          for lighter ones,

each normalised, so that weight times distortion is bounded where plain draws have no third moment,
and symbols of probability 10^-5 are seen. Within each of 64 blocks the draws are stratified by the
quantiles of r. Of a mixture's symbols, half are spread evenly over the components, so that a rare
one far away is seen. The blocks are independent and equal in law, so that the spread of their
means is the error, whatever the strata gain.

Of a source that is known by rows alone, the symbols are its held-out rows, each once: drawing more
of them again would say that the error is less than it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.arrays import probabilities as as_probabilities
from rdbench.types import (
    Distortion,
    HasComponents,
    HasDensity,
    HasHeldOut,
    HasRadius,
    HasSupport,
    HasTail,
    Problem,
    RdbenchError,
    Source,
)

BLOCKS = 64
_PILOT = 1024  # draws that tell where the density is, and how wide
_CELLS = 4096
_REACH = 28.0  # asinh of the farthest cell: 7e11 widths
_GROWTH = {"squared_error": 2.0, "absolute_error": 1.0}  # the power of |x| that a potential has
_NORMALISED = 0.02  # what the cells may say of the integral of a density, jumps included
_DECADES = 12.0  # on either side of one: where a radius is looked for


@dataclass(frozen=True, eq=False)
class Symbols:
    """Symbols x and how to average over them.

    ``probabilities`` are the exact weights of every letter of a finite source. Else the mean of g
    is (1/n) sum_i w_i g(x_i) with ``weights`` w, all one where they are ``None``. Rows come in
    ``BLOCKS`` blocks of ``block`` rows; any number of whole blocks, from the first on, is a sample.
    """

    x: Float[Tensor, "n d"]
    probabilities: Float[Tensor, " n"] | None = None
    weights: Float[Tensor, " n"] | None = None
    block: int = 1
    tail_index: float = math.nan
    """Moments of ||X|| below this order are finite; NaN where the source does not say."""
    groups: Int[Tensor, " n"] | None = None
    """Rows are independent only where these numbers differ; None where all rows are."""

    @property
    def stratified(self) -> bool:
        """Whether rows are independent only between blocks."""
        return self.weights is not None


def draw_symbols(
    problem: Problem, count: int, generator: Generator, *, drawn: bool = False
) -> Symbols:
    """Every letter of a finite source (unless ``drawn``), else about ``count`` symbols.

    Args:
        problem: its source is drawn.
        count: how many, about.
        generator: of all draws.
        drawn: draw the letters of a finite source, too.

    Raises:
        RdbenchError: the source drew symbols that are not finite.
    """
    source = problem.source
    if isinstance(source, HasSupport) and not drawn:
        x = source.support.to(generator.device).double()
        pmf = as_probabilities(source.pmf.to(generator.device), "a pmf")
        found = Symbols(x, probabilities=pmf)
    elif isinstance(source, HasHeldOut):
        found = _held_out(source, count, generator.device)
    else:
        found = _stratified(source, problem.distortion, count, generator) or _plain(
            source, count, generator
        )
    if not bool(torch.isfinite(found.x).all()):
        raise RdbenchError(f"the source {source.name} has symbols that are not finite")
    return found


def draw_halves(problem: Problem, count: int, generator: Generator) -> tuple[Symbols, Symbols]:
    """Two independent sets of symbols, of about ``count`` each: what one finds the other judges.

    Fresh draws of a source that can be drawn from. Of one that is known by rows, the two halves of
    its held-out rows, groups whole: the same rows twice would judge what they have found.

    Args:
        problem: its source is drawn.
        count: how many in each, about.
        generator: of all draws.

    Raises:
        RdbenchError: the source drew symbols that are not finite, or has one row or group.
    """
    source = problem.source
    if not isinstance(source, HasHeldOut):
        first, second = (draw_symbols(problem, count, generator) for _ in range(2))
        return first, second
    whole = _held_out(source, 2 * count, generator.device)
    label = whole.groups
    if label is None:
        label = torch.arange(len(whole.x), device=whole.x.device)
    names, place = torch.unique(label, return_inverse=True)
    if len(names) < 2:
        raise RdbenchError(f"{source.name} has one held-out row or group: no two halves")
    # in the order of the names, which has nothing to do with the values
    odd = place % 2 == 1
    halves = []
    for chosen in (~odd, odd):
        x = whole.x[chosen]
        groups = None if whole.groups is None else whole.groups[chosen]
        halves.append(Symbols(x, block=max(1, len(x) // BLOCKS), groups=groups))
    return halves[0], halves[1]


def _held_out(source: HasHeldOut, count: int, device: torch.device) -> Symbols:
    """The first ``count`` held-out rows: the same for every estimator, so that pairs compare."""
    groups = source.groups
    kept = min(count, len(source.held_out))
    if groups is not None:
        # a group that is cut counts by its part: rows of it stay in one group
        groups = groups[:kept].to(device)
    x = source.held_out[:kept].to(device).double()
    return Symbols(x, block=max(1, kept // BLOCKS), groups=groups)


def _plain(source: Source, count: int, generator: Generator) -> Symbols:
    x = source.sample(count, generator).double()
    return Symbols(x, block=max(1, count // BLOCKS), tail_index=_tail_index(source))


def _tail_index(source: Source) -> float:
    return float(source.tail_index) if isinstance(source, HasTail) else math.nan


@dataclass(frozen=True)
class _Reach:
    """The parts of r, in equal parts: p times (1 + |t - c| / s)^power, and p^temper."""

    powers: tuple[float, ...]
    tempers: tuple[float, ...] = ()


def _stratified(
    source: Source, distortion: Distortion, count: int, generator: Generator
) -> Symbols | None:
    """Draws in strata, or None where the source has neither a line nor a radius to lay them on."""
    growth = _GROWTH.get(distortion.name)
    block = count // BLOCKS
    if growth is None or block < 2 or isinstance(source, HasSupport):
        return None
    index = _tail_index(source)
    if index == math.inf:
        reach = _Reach((0.0, growth), (0.5, 0.25))
    else:
        # A tilted law keeps a part of the source's moments, or its extremes would be too far out.
        power = growth if math.isnan(index) else min(growth, 0.5 * index)
        reach = _Reach((0.0, power, 1.5 * power))
    # Of a singular Gaussian the protocol says yes, by its class: the attribute itself raises.
    if source.dim == 1 and isinstance(source, HasDensity) and hasattr(source, "log_prob"):
        density: HasDensity = source
        pilot = source.sample(_PILOT, generator).double()[:, 0]
        law = _law(lambda t: density.log_prob(t[:, None]).double(), pilot, reach, signed=True)
        if law is None:
            return None
        t, weights = law.draw(block, generator)
        return Symbols(t[:, None], weights=weights, block=block, tail_index=math.inf)
    if source.dim > 1 and isinstance(source, HasRadius):
        radii = _radii(source, generator.device)
        law = None if radii is None else _law(source.log_radius, radii, reach, signed=False)
        if law is None:
            return None
        s, weights = law.draw(block, generator)
        size, dev = (len(s), source.dim), s.device
        u = torch.randn(size, generator=generator, device=dev, dtype=torch.float64)
        x = source.from_radius(s, u / u.norm(dim=1, keepdim=True))
        return Symbols(x, weights=weights, block=block, tail_index=math.inf)
    if isinstance(source, HasComponents) and index == math.inf:
        return _by_component(source, block, generator)
    return None


def _by_component(source: HasComponents, block: int, generator: Generator) -> Symbols | None:
    """Draws of a mixture of which half are spread evenly over its components; None if singular."""
    weights = source.weights.to(generator.device).double()
    chances = 0.5 * weights + 0.5 / len(weights)
    u = _strata(block, generator)
    labels = torch.searchsorted(torch.cumsum(chances, 0), u).clamp(max=len(chances) - 1)
    x = source.sample_components(labels, generator)
    joint = source.log_joint(x).double()
    log_p = torch.logsumexp(joint, 1)
    if not bool(torch.isfinite(log_p).all()):
        return None
    log_r = torch.logsumexp(joint + (chances / weights).log(), 1)
    return Symbols(x, weights=torch.exp(log_p - log_r), block=block, tail_index=math.inf)


def _strata(block: int, generator: Generator) -> Float[Tensor, " n"]:
    """BLOCKS stratified samples of ``block`` uniform numbers each."""
    dev = generator.device
    u = torch.rand((BLOCKS, block), generator=generator, device=dev, dtype=torch.float64)
    return ((torch.arange(block, device=dev) + u) / block).reshape(-1)


def _radii(source: HasRadius, device: torch.device) -> Float[Tensor, " k"] | None:
    """Quantiles of the radius, by a sum over a logarithmic grid."""
    log_s = torch.linspace(-_DECADES, _DECADES, 2 * _CELLS, dtype=torch.float64, device=device)
    s = 10.0**log_s
    mass = torch.exp(source.log_radius(s).double()) * s
    total = float(mass.sum())
    if not 0.0 < total < math.inf:
        return None
    level = (torch.arange(_PILOT, dtype=torch.float64, device=device) + 0.5) / _PILOT
    picked = torch.searchsorted(torch.cumsum(mass, 0) / total, level)
    return s[picked.clamp(max=len(s) - 1)]


@dataclass(frozen=True, eq=False)
class _Law:
    """A law that is uniform within cells: r has ``mass`` in [edges_i, edges_i+1]."""

    edges: Float[Tensor, " m1"]
    mass: Float[Tensor, " m"]
    log_prob: Callable[[Tensor], Tensor]

    def draw(self, block: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """BLOCKS stratified samples of ``block`` draws, with their weights p / r."""
        u = _strata(block, generator)
        cumulated = torch.cumsum(self.mass, 0)
        cell = torch.searchsorted(cumulated, u * cumulated[-1]).clamp(max=len(self.mass) - 1)
        within = torch.rand(u.shape, generator=generator, device=u.device, dtype=torch.float64)
        width = self.edges[cell + 1] - self.edges[cell]
        t = self.edges[cell] + within * width
        log_r = self.mass[cell].log() - cumulated[-1].log() - width.log()
        weights = torch.exp(self.log_prob(t) - log_r)
        # A cell may reach beyond the support. What lies there counts for nothing and is moved to a
        # symbol of the source: an estimator is asked about those alone.
        return torch.where(weights > 0.0, t, t[weights.argmax()]), weights


def _law(
    log_prob: Callable[[Tensor], Tensor],
    pilot: Float[Tensor, " k"],
    reach: _Reach,
    *,
    signed: bool,
) -> _Law | None:
    """The law r for a density p on the line (``signed``) or on the half-line.

    Its cells end at the points of a grid that is fine around the draws of ``pilot`` and reaches far
    out, and at those draws themselves, so that narrow parts of p have cells of their width. None
    where the cells do not find the integral one: then log_prob is not the density of the draws, or
    too rough for them.
    """
    low, centre, high = torch.quantile(pilot, torch.tensor([0.1, 0.5, 0.9]).to(pilot)).tolist()
    scale = 0.5 * (high - low)
    if not (0.0 < scale < math.inf):
        return None
    grid = torch.linspace(-_REACH, _REACH, _CELLS + 1, dtype=torch.float64, device=pilot.device)
    edges = torch.cat([centre + scale * torch.sinh(grid), pilot])
    if not signed:
        edges = torch.cat([edges[edges > 0.0], edges.new_zeros(1)])
    edges = torch.unique(edges)
    width = edges[1:] - edges[:-1]
    middle = edges[:-1] + 0.5 * width
    at = [edges[:-1] + part * width for part in _GAUSS_NODES]
    values = torch.stack([log_prob(t) for t in at]).double()
    values = torch.nan_to_num(values, nan=-math.inf).exp()
    integral = (torch.tensor(_GAUSS_WEIGHTS).to(values) @ values) * width
    if not abs(float(integral.sum()) - 1.0) <= _NORMALISED:
        return None
    # The largest value in a cell keeps the weight p / r bounded in it.
    bound = values.max(0).values * width
    away = 1.0 + (middle - centre).abs() / scale
    parts = [bound * away.pow(k) for k in reach.powers]
    parts += [width * values.max(0).values.pow(g) for g in reach.tempers]
    mass = torch.stack([part / part.sum() for part in parts]).sum(0)
    keep = mass > 0.0
    if not bool(torch.isfinite(mass).all()) or not bool(keep.any()):
        return None
    first, last = int(keep.nonzero()[0]), int(keep.nonzero()[-1])
    mass = mass[first : last + 1]
    # An empty cell between others may still hold a little.
    mass = mass.clamp(min=1e-12 * float(mass.max()))
    return _Law(edges[first : last + 2], mass, log_prob)


_GAUSS_NODES = (
    0.04691007703066802, 0.23076534494715845, 0.5, 0.7692346550528415, 0.953089922969332,
)  # fmt: skip
_GAUSS_WEIGHTS = (
    0.11846344252809454, 0.23931433524968324, 0.28444444444444444, 0.23931433524968324,
    0.11846344252809454,
)  # fmt: skip
