"""Whether a log density belongs to its sampler: a log_prob that is too high by c fakes a lower F.

For normalised p and g, E_p[g / (p + g)] = E_g[p / (p + g)], both the integral of p g / (p + g). If
log_prob is log p + c instead of log p, the two means of numbers in [0, 1]

    E_p[sigmoid(c + log g - log_prob)] = E_g[sigmoid(log_prob - c - log g)]

agree at that c and nowhere else: bridge sampling (Bennett 1976; Meng and Wong 1996).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from rdbench.audit.bridge import mismatch, offset
from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import fit_observed
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density

_SIGMAS = 5.0
_SLACK = 0.01  # nats
KNOWN = 0.05
"""Nats: up to this standard error a mass counts as known. A larger one comes from few draws in the
overlap, and is then no good measure of the error itself."""
_GOAL = 0.004  # nats: more draws until the standard error is no larger
_SELECT_DRAWS, _COMPARE_DRAWS = 8000, 4000  # choose the number of components
_QUICK_DRAWS = 2000, 1000
# p parameters fitted to n draws leave g some p / 2n nats from q: with few draws that is more in
# d = 50 than the gaps that are audited.
_LEAST_FIT, _PER_PARAMETER, _MOST_NUMBERS = 8000, 30, 10_000_000
_QUICK_PER_PARAMETER = 10
_LEAST_VARIANCE = 1e-12  # of g, over that of q
_CHECK_DRAWS = (2000, 20_000, 60_000)  # the next where the one before leaves it open
_CHECK_NUMBERS = 1_500_000


@dataclass(frozen=True)
class Mass:
    """The log of what a density integrates to, as far as it is known, in nats."""

    value: float
    se: float

    @property
    def above(self) -> float:
        """By how much an F by this density may be too low, beside the standard error."""
        return max(self.value, 0.0)


UNKNOWN = Mass(0.0, math.inf)


@dataclass(frozen=True, eq=False)
class Checked:
    """A mixture fitted to the draws of a density, and the density's mass by it."""

    mixture: GaussianMixture
    mass: Mass


def wrong_mass(value: float, se: float) -> None:
    """Refuses a mass that is known to be other than one.

    Raises:
        ValueError: it is.
    """
    if abs(value) > _SIGMAS * se + _SLACK:
        raise ValueError(
            f"the density integrates to exp({value:.4g} +- {se:.1g}) over what its sampler "
            "draws, not to one"
        )


def checked(marginal: Density, components: int, generator: Generator) -> Checked | None:
    """A mixture g fitted to draws of q, and how well ``log_prob`` was found to fit its sampler.

    The number of components, the fit and the comparison use draws of their own. ``None`` where q
    and g overlap too little to tell: nothing may then rest on ``log_prob``.

    Raises:
        ValueError: log_prob does not integrate to one against the draws, or is not their density
            in places.
    """

    def draw(n: int) -> Tensor:
        return marginal.sample(n, generator).double()

    g = fitted(draw, 0.0, components, generator)
    if g is None:
        return None
    at_p, at_g = [], []
    done, value, se = 0, math.nan, math.inf
    for count in _CHECK_DRAWS:
        if done > 0 and count * g.dim > _CHECK_NUMBERS and se <= KNOWN:
            break
        check, other = draw(count - done), g.sample(count - done, generator)
        done = count
        at_p.append(marginal.log_prob(check).double() - g.log_prob(check))
        at_g.append(marginal.log_prob(other).double() - g.log_prob(other))
        p, by_g = torch.cat(at_p), torch.cat(at_g)[:, None]
        alone = p.new_ones(1)  # the parts of a single proposal
        value, se = offset(p, by_g, alone)
        if math.isfinite(value) and se <= KNOWN:
            wrong_mass(value, se)
            found = mismatch(p, by_g, alone, [])
            if found is not None:
                raise ValueError(
                    "log_prob is not the log density of the draws: where its "
                    f"{found.where} against a fitted mixture, the sampler puts "
                    f"{found.sampled:.2g} and log_prob claims {found.claimed:.2g} "
                    f"({found.sigmas:.0f} standard errors)"
                )
            if se <= _GOAL:
                break
    return Checked(g, Mass(value, se)) if math.isfinite(value) and se <= KNOWN else None


def fitted(
    draw: Callable[[int], Tensor],
    least: float,
    components: int,
    generator: Generator,
    quick: bool = False,
) -> GaussianMixture | None:
    """A Gaussian mixture fitted to draws; ``None`` where they are constant or not finite.

    Args:
        draw: n of them, (n, d).
        least: the least variance of a component, 0 for next to none.
        components: the most.
        generator: picks the seeds of the partitions.
        quick: with fewer draws.
    """
    sizes = _QUICK_DRAWS if quick else (_SELECT_DRAWS, _COMPARE_DRAWS)
    select, compare = draw(sum(sizes)).split(sizes)
    least = max(least, _LEAST_VARIANCE * float(select.var(0).mean()))
    if not 0.0 < least < math.inf:
        return None
    choice = choose_observed(select, compare, least, components, generator)
    most = _MOST_NUMBERS // select.shape[1]
    each = _QUICK_PER_PARAMETER if quick else _PER_PARAMETER
    count = min(max(len(select), each * choice.parameters), most)
    return fit_observed(
        draw(count), choice.mixture, least, tied=choice.tied, iterations=20, tolerance=1e-4
    )
