"""Whether a log density belongs to its sampler: a log_prob that is too high by c fakes a lower F.

For normalised p and g, E_p[g / (p + g)] = E_g[p / (p + g)], both the integral of p g / (p + g). If
log_prob is log p + c instead of log p, the two means of numbers in [0, 1]

    E_p[sigmoid(c + log g - log_prob)] = E_g[sigmoid(log_prob - c - log g)]

agree at that c and nowhere else: bridge sampling (Bennett 1976; Meng and Wong 1996).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import fit_observed
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density

_SIGMAS = 5.0
_SLACK = 0.01  # nats
# Nats: up to this standard error the mass counts as known. A larger one comes from few draws in the
# overlap, and is then no good measure of the error itself.
_KNOWN = 0.05
_SELECT_DRAWS, _COMPARE_DRAWS = 8000, 4000  # choose the number of components
# p parameters fitted to n draws leave g some p / 2n nats from q: with few draws that is more in
# d = 50 than the gaps that are audited.
_LEAST_FIT, _PER_PARAMETER, _MOST_NUMBERS = 8000, 30, 10_000_000
_LEAST_VARIANCE = 1e-12  # of g, over that of q
_CHECK_DRAWS = (2000, 20_000)  # the second where the first leaves it open
_ROUNDS = 100


def log_mass(
    difference_at_p: Float[Tensor, " n"], difference_at_g: Float[Tensor, " m"]
) -> tuple[float, float]:
    """The log of what log_prob integrates to, and its standard error.

    Args:
        difference_at_p: log_prob(y) - log g(y) at draws of p.
        difference_at_g: the same at draws of g.
    """
    at_p, at_g = difference_at_p.double(), difference_at_g.double()
    # Below all differences the second mean is the larger one, above them the first.
    lo = min(float(at_p.min()), float(at_g.min())) - 1.0
    hi = max(float(at_p.max()), float(at_g.max())) + 1.0
    if not (math.isfinite(hi) and hi > lo):
        return math.nan, math.inf
    lo = max(lo, hi - 1e6)  # log_prob may be -inf where g is not
    for _ in range(_ROUNDS):
        c = 0.5 * (lo + hi)
        above = float(torch.sigmoid(at_g - c).mean()) > float(torch.sigmoid(c - at_p).mean())
        lo, hi = (c, hi) if above else (lo, c)
    c = 0.5 * (lo + hi)
    errors = (_relative_error(torch.sigmoid(at_g - c)), _relative_error(torch.sigmoid(c - at_p)))
    return c, math.hypot(*errors)


def judged(value: float, se: float) -> Literal["normalised", "wrong", "open"]:
    """What the log of a mass says; ``open`` where it is not known well enough."""
    if not math.isfinite(value) or not se <= _KNOWN:
        return "open"
    return "normalised" if abs(value) <= _SIGMAS * se + _SLACK else "wrong"


def checked_mixture(
    marginal: Density, components: int, generator: Generator
) -> GaussianMixture | None:
    """A mixture g fitted to draws of q, by which ``log_prob`` was found to fit its sampler.

    The number of components, the fit and the comparison use draws of their own. ``None`` where q
    and g overlap too little to tell: nothing may then rest on ``log_prob``.

    Raises:
        ValueError: log_prob does not integrate to one against the draws.
    """
    draws = marginal.sample(_SELECT_DRAWS + _COMPARE_DRAWS, generator).double()
    select, compare = draws.split([_SELECT_DRAWS, _COMPARE_DRAWS])
    least = _LEAST_VARIANCE * float(select.var(0).mean())
    if not 0.0 < least < math.inf:
        return None
    choice = choose_observed(select, compare, least, components, generator)
    most = _MOST_NUMBERS // select.shape[1]
    count = min(max(_LEAST_FIT, _PER_PARAMETER * choice.parameters), most)
    fit = marginal.sample(count, generator).double()
    g = fit_observed(fit, choice.mixture, least, tied=choice.tied, iterations=20, tolerance=1e-4)
    for count in _CHECK_DRAWS:
        check, other = marginal.sample(count, generator).double(), g.sample(count, generator)
        value, se = log_mass(
            marginal.log_prob(check).double() - g.log_prob(check),
            marginal.log_prob(other).double() - g.log_prob(other),
        )
        verdict = judged(value, se)
        if verdict == "wrong":
            raise ValueError(
                f"the density integrates to exp({value:.4g} +- {se:.1g}) over what its sampler "
                "draws, not to one"
            )
        if verdict == "normalised":
            return g
    return None


def _relative_error(values: Tensor) -> float:
    mean = float(values.mean())
    if not mean > 0.0:
        return math.inf
    return float(values.std()) / (mean * math.sqrt(len(values)))
