"""Whether two joint laws have the log ratio that is claimed for them, from draws of both.

For normalised densities p and g and the log ratio D = log p - log g,

    E_p[phi sigmoid(-D)] = E_g[phi sigmoid(D)]    for every bounded function phi,

both the integral of phi p g / (p + g). If a claimed D is too high by c everywhere, the two means
with phi = 1 agree at D - c and at no other shift: bridge sampling (Bennett 1976; Meng and Wong
1996). If it is wrong in some places only, they differ for a phi that singles these out; the
level of D itself does, because there one law sees what the other does not.

``at_p`` holds D at independent draws of p. ``at_g`` has a row for every independent draw of g and
a column for every point drawn within it, stratified by proposals whose parts of g are
``parts``: the weighted mean over a row counts as one draw.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_ROUNDS = 100
_FEW = 50.0  # effective draws: fewer are not a good measure of their own error
_SIGMAS = 5.0
_SLACK = 0.01  # nats
_LEVELS = (-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0)  # of D, between the phi


@dataclass(frozen=True)
class Mismatch:
    """Where two laws do not have the claimed ratio: the mass that each gives to the place."""

    sampled: float
    """Part of p's draws, each counted by sigmoid(-D)."""
    claimed: float
    """The same integral by draws of g and the claimed ratio."""
    sigmas: float
    where: str


def offset(
    at_p: Float[Tensor, " n"], at_g: Float[Tensor, "m k"], parts: Float[Tensor, " k"]
) -> tuple[float, float]:
    """c, by which the claimed D is too high, and its standard error; (NaN, inf) if unknown."""
    at_p, at_g = at_p.double(), at_g.double()
    # Below all differences the second mean is the larger one, above them the first.
    lo = min(float(at_p.min()), float(at_g.min())) - 1.0
    hi = max(float(at_p.max()), float(at_g.max())) + 1.0
    if not (math.isfinite(hi) and hi > lo):
        return math.nan, math.inf
    lo = max(lo, hi - 1e6)  # log_prob may be -inf where g is not
    for _ in range(_ROUNDS):
        c = 0.5 * (lo + hi)
        by_g = float((torch.sigmoid(at_g - c) @ parts).mean())
        above = by_g > float(torch.sigmoid(c - at_p).mean())
        lo, hi = (c, hi) if above else (lo, c)
    c = 0.5 * (lo + hi)
    everywhere = torch.ones_like(at_p), torch.ones_like(at_g)
    p, g, variance = _means(at_p - c, at_g - c, *everywhere, parts)
    if not min(p, g) > 0.0:
        return math.nan, math.inf
    return c, math.sqrt(variance) / min(p, g)


def mismatch(
    at_p: Float[Tensor, " n"],
    at_g: Float[Tensor, "m k"],
    parts: Float[Tensor, " k"],
    groups: list[tuple[str, Bool[Tensor, " n"], Bool[Tensor, " m"]]],
) -> Mismatch | None:
    """The clearest place at which the claimed ratio is wrong, or ``None``.

    Places are the levels of D and the ``groups`` of draws: name, members among the draws of p,
    members among those of g. A difference counts from five standard errors on, beyond what
    an offset of .01 nats explains.

    Args:
        at_p: D at draws of p (n,).
        at_g: D at draws of g (m, k).
        parts: what each column of ``at_g`` stands for (k,).
        groups: name, members among the draws of p (n,), among those of g (m,).
    """
    at_p, at_g = at_p.double(), at_g.double()
    worst: Mismatch | None = None
    edges = (-math.inf, *_LEVELS, math.inf)
    places = [
        (f"log ratio in [{lo:g}, {hi:g})", (at_p >= lo) & (at_p < hi), (at_g >= lo) & (at_g < hi))
        for lo, hi in itertools.pairwise(edges)
    ]
    places += [(name, of_p, of_g[:, None].expand_as(at_g)) for name, of_p, of_g in groups]
    for name, of_p, of_g in places:
        phi_p, phi_g = of_p.double(), of_g.double()
        p, g, variance = _means(at_p, at_g, phi_p, phi_g, parts)
        slope = float((phi_p * _sigmoid_slope(at_p)).mean())
        slope += float(((phi_g * _sigmoid_slope(at_g)) @ parts).mean())
        apart = abs(p - g) - _SLACK * slope
        if apart > 0.0 and apart > _SIGMAS * math.sqrt(variance):
            found = Mismatch(p, g, apart / math.sqrt(max(variance, 1e-300)), name)
            worst = found if worst is None or found.sigmas > worst.sigmas else worst
    return worst


def _means(
    at_p: Tensor, at_g: Tensor, phi_p: Tensor, phi_g: Tensor, parts: Tensor
) -> tuple[float, float, float]:
    """E_p[phi sigmoid(-D)], E_g[phi sigmoid(D)] and the variance of their difference.

    Where few draws hit, their own scatter says nothing: none in 20,000 has no scatter at all. The
    other side then says how many should: E_p[(phi sigmoid(-D))^2] = E_g[phi sigmoid(D) sigmoid(-D)]
    and the other way round.
    """
    values_p, each_g = phi_p * torch.sigmoid(-at_p), phi_g * torch.sigmoid(at_g)
    values_g = each_g @ parts
    p, g = float(values_p.mean()), float(values_g.mean())
    seen_from_g = float(((each_g * torch.sigmoid(-at_g)) @ parts).mean())
    seen_from_p = float((values_p * torch.sigmoid(at_p)).mean())
    variance_p = max(_variance(values_p), seen_from_g - min(p, g) ** 2)
    variance_g = _variance(values_g)
    square = float(values_g.square().sum())
    if not square > 0.0 or float(values_g.sum()) ** 2 / square < _FEW:
        variance_g = max(variance_g, seen_from_p - min(p, g) ** 2)
    return p, g, variance_p / len(at_p) + variance_g / len(at_g)


def _sigmoid_slope(values: Tensor) -> Tensor:
    s = torch.sigmoid(values)
    return s * (1.0 - s)


def _variance(values: Tensor) -> float:
    return float(values.var()) if len(values) > 1 else math.inf
