"""Whether a log density belongs to its sampler: a log_prob that is too high by c fakes a lower F.

For normalised p and g, E_p[g / (p + g)] = E_g[p / (p + g)], both the integral of p g / (p + g). If
log_prob is log p + c instead of log p, the two means of numbers in [0, 1]

    E_p[sigmoid(c + log g - log_prob)] = E_g[sigmoid(log_prob - c - log g)]

agree at that c and nowhere else: bridge sampling (Bennett 1976; Meng and Wong 1996).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.em import refined, select_mixture
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density

_SIGMAS = 5.0
_SLACK = 0.01  # nats
_UNKNOWN = 0.2  # nats: a larger standard error comes from too few draws in the overlap to be meant
_SELECT_DRAWS = 2000  # choose the number of components
_FIT_DRAWS = 6000
_CHECK_DRAWS = 2000
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


def is_normalised(value: float, se: float) -> bool:
    """Whether the log of a mass is zero within its error, or not known well enough to say."""
    return se > _UNKNOWN or abs(value) <= _SIGMAS * se + _SLACK


def checked_mixture(marginal: Density, components: int, generator: Generator) -> GaussianMixture:
    """A mixture g fitted to draws of q, once ``log_prob`` was compared with its sampler by it.

    The number of components, the fit and the comparison use draws of their own.

    Raises:
        ValueError: log_prob does not integrate to one against the draws.
    """
    draws = marginal.sample(_SELECT_DRAWS + _FIT_DRAWS + _CHECK_DRAWS, generator).double()
    select, fit, check = draws.split([_SELECT_DRAWS, _FIT_DRAWS, _CHECK_DRAWS])
    g = refined(select_mixture(select, components, generator, margin=0.01), fit)
    other = g.sample(_CHECK_DRAWS, generator)
    value, se = log_mass(
        marginal.log_prob(check).double() - g.log_prob(check),
        marginal.log_prob(other).double() - g.log_prob(other),
    )
    if math.isfinite(value) and not is_normalised(value, se):
        raise ValueError(
            f"the density integrates to exp({value:.4g} +- {se:.1g}) over what its sampler draws, "
            "not to one"
        )
    return g


def _relative_error(values: Tensor) -> float:
    mean = float(values.mean())
    if not mean > 0.0:
        return math.inf
    return float(values.std()) / (mean * math.sqrt(len(values)))
