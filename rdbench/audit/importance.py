"""Evaluation of a density by multiple importance sampling with the balance heuristic.

Z(x) = E_q exp(-beta rho(x, Y)) is estimated, independently for every x, from n_q draws of q, n_r
of the noise around x, r(y|x) = exp(-beta rho(x, y)) / M, and n_g of the conditional
p_g(y|x) = g(y) exp(-beta rho(x, y)) / Z_g(x) of a Gaussian mixture g fitted to other draws of q
(squared error only: there it is drawn exactly and Z_g is in closed form):

    Z^(x) = sum_j q(y_j) e^{-beta rho(x, y_j)}
                  / (n_q q(y_j) + n_r r(y_j|x) + n_g p_g(y_j|x))      over all draws j.

It is unbiased whatever the proposals (Veach and Guibas 1995; Owen and Zhou 2000), so -log Z^(x)
lies above f(x) in expectation, by half the squared coefficient of variation to leading order.
Where q is a mixture of few Gaussians, p_g(y|x) is nearly p(y|x) and little is left at any rate.
Draws of q that all x share would be cheaper, but their error does not average out over x.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation, sampling_error
from rdbench.audit.normalisation import checked_mixture
from rdbench.audit.pilot import Candidate, choose
from rdbench.audit.size import AuditSize, of_letters
from rdbench.audit.sums import plug_in
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density, Distortion

MAX_COMPONENTS = 8
_FIT_DIM = 100  # beyond it no mixture is fitted (d^2 per draw), so that log_prob is not trusted
_BLOCK = 1_000_000  # numbers held at once


@dataclass(frozen=True)
class Allocation:
    """How many draws per symbol of q, of the noise and of p_g(y|x)."""

    marginal: int
    noise: int
    fitted: int

    @property
    def total(self) -> int:
        """Draws per symbol."""
        return self.marginal + self.noise + self.fitted


@torch.no_grad()
def density(
    marginal: Density,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    size: AuditSize,
    generator: Generator,
) -> Evaluation:
    """Plug-in or importance sampling, whichever a pilot on other draws finds lower.

    Raises:
        ValueError: ``log_prob`` does not integrate to one against the draws of ``sample``.
    """

    def by_plug_in(x: Tensor, probabilities: Tensor | None) -> Evaluation:
        draws = marginal.sample(size.plug_in_draws, generator).double()
        return plug_in(draws, distortion, x, probabilities, beta, exact_draws=True)

    log_mass = _log_noise_mass(distortion, beta, x.shape[1])
    if log_mass is None:
        return by_plug_in(x, probabilities)
    if x.shape[1] > _FIT_DIM:
        return by_plug_in(x, probabilities)
    g = checked_mixture(marginal, MAX_COMPONENTS, generator)
    if g is None:
        # An offset of log_prob would be an offset of F. The plug-in asks for draws alone.
        return by_plug_in(x, probabilities)

    def by_sampling(allocation: Allocation, x: Tensor, probabilities: Tensor | None) -> Evaluation:
        return _sampled(
            marginal, distortion, x, probabilities, beta, log_mass, g, allocation, generator
        )

    if probabilities is not None:
        size = of_letters(size, len(x))
    k = size.local_draws
    half, eighth = k // 2, k // 8
    candidates: dict[str, Candidate] = {}
    if distortion.name == "squared_error":
        allocation = Allocation(2 * eighth, eighth, k - 3 * eighth)
        candidates["fitted"] = functools.partial(by_sampling, allocation)
    candidates["noise"] = functools.partial(by_sampling, Allocation(k - half, half, 0))
    candidates["plug-in"] = by_plug_in
    chosen = choose(candidates, x, probabilities, size.pilot_symbols, generator)
    return candidates[chosen](x, probabilities)


def _log_noise_mass(distortion: Distortion, beta: float, dim: int) -> float | None:
    """log M, or None where exp(-beta rho) has no finite mass to draw from."""
    if beta == 0.0:
        return None
    try:
        return distortion.log_noise_mass(beta, dim)
    except NotImplementedError:
        return None


def _sampled(
    marginal: Density,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    log_mass: float,
    g: GaussianMixture | None,
    allocation: Allocation,
    generator: Generator,
) -> Evaluation:
    d, k = x.shape[1], allocation.total
    use_g = g if allocation.fitted > 0 else None
    potential, spent, effective = [], [], []
    for part in x.split(max(1, _BLOCK // (k * d))):
        b = len(part)
        noise = distortion.noise(beta, b * allocation.noise, d, generator)
        drawn = [
            marginal.sample(b * allocation.marginal, generator).double().reshape(b, -1, d),
            part[:, None] + noise.reshape(b, -1, d),
        ]
        if use_g is not None:
            drawn.append(use_g.sample_conditional(part, allocation.fitted, beta, generator))
        y = torch.cat(drawn, 1)
        flat = y.reshape(-1, d)
        log_q = marginal.log_prob(flat).double().reshape(b, k)
        rho = distortion.value_and_grad(part[:, None].expand_as(y), y)[0]
        # log(n_r / M + n_g g / Z_g): what multiplies exp(-beta rho) in the local proposals
        local = torch.full_like(rho, math.log(allocation.noise) - log_mass)
        if use_g is not None:
            tilt = math.log(allocation.fitted) - use_g.log_partition(part, beta)
            local = torch.logaddexp(local, use_g.log_prob(flat).reshape(b, k) + tilt[:, None])
        proposal = torch.logaddexp(math.log(allocation.marginal) + log_q, local - beta * rho)
        log_w = log_q - beta * rho - proposal
        log_z = torch.logsumexp(log_w, 1)
        posterior = torch.exp(log_w - log_z[:, None])
        potential.append(-log_z)
        spent.append((posterior * rho).sum(1))
        effective.append(1.0 / posterior.square().sum(1))
    effective_draws = torch.cat(effective)
    with_g = "" if use_g is None else f", a fitted mixture ({use_g.size})"
    return Evaluation(
        potential=torch.cat(potential),
        distortion=torch.cat(spent),
        method=f"importance sampling from q, noise{with_g}, {k} draws per symbol",
        side="upper",
        probabilities=probabilities,
        ess=float(effective_draws.quantile(0.05)) / k,
        common_se=sampling_error(effective_draws, k, probabilities),
    )
