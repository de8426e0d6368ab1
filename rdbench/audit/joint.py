"""Whether the weights of importance sampling are what they claim, on simulated symbols.

Importance sampling estimates Z(x) by the mean of w(x, y) = q(y) e^{-beta rho(x, y)} / s(y|x) over
draws of s. It is right for every x at once if, with the noise r(x|y) = e^{-beta rho(x, y)} / M and
any density h of symbols, the two joint laws

    forward    y by the sampler of q, then x by the noise around y:      q(y) r(x|y)
    reverse    x by h, then y by the proposal's sampler:                 h(x) s(y|x)

have the ratio w(x, y) / (M h(x)). Only draws of q, the noise and h, which are the audit's own or
need no density, enter beside w: an offset or a local error of log q or of log s, a sampler that
draws something else, all show as a wrong ratio (`rdbench.audit.bridge`). The rate does not
matter: forward draws come with exact draws of q(y|x) (Geweke 2004; Grosse, Ghahramani, Adams
2015). h is a Gaussian mixture fitted to simulated symbols and to the source's own, so that both
where q draws and where the audit asks is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.bridge import Mismatch, mismatch, offset
from rdbench.audit.normalisation import KNOWN, Mass, fitted, wrong_mass
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Distortion

_FIRST, _MOST = 2000, 16_000  # draws of either law; more until the offset is known well enough
_NUMBERS = 100_000  # in the first draws: what is wrong in a tail alone needs many, cheap in few d
_GOAL = 0.004  # nats
_COMPONENTS, _MANY = 8, 16  # of h, quickly or thoroughly fitted
_MIXTURE_DIM = 100  # beyond it h is one Gaussian
_BLOCK = 1_000_000  # numbers held at once
_WIDE_PART = 0.2  # of h, for the tails
_FAR = (0.5, 0.9, 0.99, 0.999)  # quantiles of the distance from the centre of the simulated symbols


@dataclass(frozen=True, eq=False)
class Sampling:
    """Importance sampling of Z(x), on q's own space or on a latent one.

    ``forward(n, g)`` gives n hidden points (n, l) of q's sampler and the y (n, d) they stand for;
    ``propose(x, g)`` hidden points (n, k, l) for every symbol, and how much of s the proposal of
    each stands for; ``log_weights(x, hidden)`` gives log w.
    """

    forward: Callable[[int, Generator], tuple[Tensor, Tensor]]
    propose: Callable[[Tensor, Generator], tuple[Tensor, Tensor]]
    log_weights: Callable[[Tensor, Tensor], Tensor]


def log_noise_mass(distortion: Distortion, beta: float, dim: int) -> float | None:
    """log M, or None where exp(-beta rho) has no finite mass to draw from."""
    if beta == 0.0:
        return None
    try:
        return distortion.log_noise_mass(beta, dim)
    except NotImplementedError:
        return None


def _simulated_symbols(
    sampling: Sampling, distortion: Distortion, beta: float, n: int, dim: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """n draws of the forward law: hidden points (n, l) and symbols (n, d)."""
    hidden, y = sampling.forward(n, generator)
    return hidden, y + distortion.noise(beta, n, dim, generator)


def _law_of_symbols(
    sampling: Sampling,
    distortion: Distortion,
    x: Tensor,
    probabilities: Tensor | None,
    beta: float,
    generator: Generator,
    quick: bool,
) -> GaussianMixture | None:
    """h, fitted to as many simulated symbols as symbols of the source; None where it cannot be."""
    p = torch.ones(len(x), dtype=torch.float64, device=x.device)
    p = p if probabilities is None else probabilities
    dim = x.shape[1]

    def draw(n: int) -> Tensor:
        half = n // 2
        simulated = _simulated_symbols(sampling, distortion, beta, n - half, dim, generator)[1]
        given = x[torch.multinomial(p, half, replacement=True, generator=generator)]
        both = torch.cat([simulated, given])
        return both[torch.randperm(n, generator=generator, device=x.device)]

    narrow = float(distortion.noise(beta, 1000, dim, generator).square().mean())
    most = _COMPONENTS if quick else _MANY
    components = most if dim <= _MIXTURE_DIM else 1
    found = fitted(draw, narrow, components, generator, quick)
    return None if found is None else _with_wide_tails(found)


def _with_wide_tails(h: GaussianMixture) -> GaussianMixture:
    """h with a part for one Gaussian that reaches farther out than it.

    What is wrong in the tails of q alone is met by few symbols, for which it matters much.
    """
    centre = h.weights @ h.means
    apart = h.means - centre
    cov = (h.weights[:, None, None] * h.covs).sum(0) + (h.weights[:, None] * apart).T @ apart
    cov = (1.0 + 3.0 * math.sqrt(2.0 / (h.dim + 2.0))) * cov
    return GaussianMixture(
        torch.cat([(1.0 - _WIDE_PART) * h.weights, h.weights.new_tensor([_WIDE_PART])]),
        torch.cat([h.means, centre[None]]),
        torch.cat([h.covs, cov[None]]),
    )


def checked_weights(
    sampling: Sampling,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    generator: Generator,
    *,
    quick: bool = True,
    most: int = _MOST,
) -> Mass | None:
    """By how much w is too high, and how well that is known; None where it is not known.

    Args:
        sampling: what draws, and what weighs.
        distortion: its noise simulates symbols.
        x: the symbols of the audit (n, d).
        probabilities: their exact weights, where the source is finite.
        beta: the slope, nats per unit of distortion.
        generator: of all draws.
        quick: fit h with fewer draws and components.
        most: the most draws of either law.

    Raises:
        ValueError: w is wrong, everywhere or in places.
    """
    h = _law_of_symbols(sampling, distortion, x, probabilities, beta, generator, quick)
    if h is None:
        return None
    dim = h.dim
    log_mass = distortion.log_noise_mass(beta, dim)
    at_p, at_g, from_p, from_g = [], [], [], []
    count = 0
    while count < most:
        first = max(_FIRST, _NUMBERS // dim)
        more = min(first, most) if count == 0 else min(count, most - count)
        count += more
        hidden, x = _simulated_symbols(sampling, distortion, beta, more, dim, generator)
        for part, z in zip(x.split(_rows(dim)), hidden.split(_rows(dim)), strict=True):
            log_w = sampling.log_weights(part, z[:, None])
            at_p.append(log_w[:, 0] - log_mass - h.log_prob(part))
        from_p.append(x)
        x = h.sample(more, generator)
        for part in x.split(_rows(dim)):
            z, parts = sampling.propose(part, generator)
            log_w = sampling.log_weights(part, z)
            at_g.append(log_w - log_mass - h.log_prob(part)[:, None])
        from_g.append(x)
        p, g = torch.cat(at_p), torch.cat(at_g)
        value, se = offset(p, g, parts)
        where = mismatch(p, g, parts, _groups(torch.cat(from_p), torch.cat(from_g), h))
        if where is not None:
            raise ValueError(_described(where, value, se))
        if se <= _GOAL:
            break
    if not (math.isfinite(value) and se <= KNOWN):
        return None
    wrong_mass(value, se)
    return Mass(value, se)


def _rows(dim: int) -> int:
    return max(1, _BLOCK // (16 * dim))


def _groups(of_p: Tensor, of_g: Tensor, h: GaussianMixture) -> list[tuple[str, Tensor, Tensor]]:
    """Symbols by their distance from the centre, and by the component of h."""
    centre, scale = of_p.mean(0), of_p.std(0).clamp(min=1e-300)
    far_p, far_g = (((x - centre) / scale).square().sum(1) for x in (of_p, of_g))
    groups = []
    for level in _FAR:
        edge = far_p.quantile(level)
        name = f"the symbol lies beyond the {100 * level:g}% quantile of the distance from the mean"
        groups.append((name, far_p > edge, far_g > edge))
    if h.size > 1:
        label_p, label_g = h.log_joint(of_p).argmax(1), h.log_joint(of_g).argmax(1)
        for k in range(h.size):
            name = f"the symbol lies near {_written(h.means[k])}"
            groups.append((name, label_p == k, label_g == k))
    return groups


def _written(point: Tensor) -> str:
    shown = ", ".join(f"{float(v):.3g}" for v in point[:3])
    return f"({shown}{', ...' if len(point) > 3 else ''})"


def _described(found: Mismatch, value: float, se: float) -> str:
    return (
        "log_prob is not the log density of the draws: where "
        f"{found.where}, the sampler puts {found.sampled:.2g} and log_prob claims "
        f"{found.claimed:.2g} ({found.sigmas:.0f} standard errors); over all it integrates to "
        f"exp({value:.3g} +- {se:.1g})"
    )
