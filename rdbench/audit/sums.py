"""Evaluation by sums over points: exact for atoms and products, the plug-in for draws of q."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.exponentials import boltzmann, log_sum_exp
from rdbench.inference.plug_in import blocks, mean_distortion, tilt
from rdbench.inference.product import exact_sums, fault_of_product
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Atoms, Distortion, Gaussians, Product


def atoms(
    marginal: Atoms,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    kernel_evaluations: float,
) -> Evaluation:
    """f(x) = -log sum_j w_j exp(-beta rho(x, y_j)), exactly, on every x.

    Fewer fresh symbols are used where there are many atoms; a finite source is always summed
    over in full.

    Args:
        marginal: the atoms; their weights have to sum to one.
        distortion: rho.
        x: the symbols (n, d).
        probabilities: their exact weights, where the source is finite.
        beta: the slope, nats per unit of distortion.
        kernel_evaluations: the most pairs of a fresh symbol and an atom.
    """
    total = float(torch.logsumexp(marginal.log_weights.double(), 0))
    if not abs(total) <= 1e-6:
        raise ValueError(f"the weights of the atoms sum to exp({total:.6g}), not to one")
    keep = marginal.log_weights > -math.inf
    points = marginal.points[keep].to(x.device).double()
    log_weights = marginal.log_weights[keep].to(x.device).double()
    if probabilities is None:
        x = x[: max(256, int(kernel_evaluations / max(len(points), 1)))]
    potential, distortions = [], []
    for rho in blocks(distortion, x, points):
        log_z, mean = boltzmann(log_weights - tilt(rho, beta), rho)
        potential.append(-log_z)
        distortions.append(mean)
    return Evaluation(
        potential=torch.cat(potential),
        distortion=torch.cat(distortions),
        method="exact sum over atoms",
        side="exact",
    )


def product(
    marginal: Product,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    kernel_evaluations: float,
) -> Evaluation:
    """f(x) = -sum_k log Z_k(x) over the factors of q, exactly, under squared error.

    Everything is summed here, of the points and weights of q. Fewer fresh symbols are used where
    there are many, as for `atoms`.

    Args:
        marginal: q, whose weights have to sum to one and whose axes have to be orthonormal.
        x: the symbols (n, d).
        probabilities: their exact weights, where the source is finite.
        beta: the slope, nats per unit of distortion.
        kernel_evaluations: the most pairs of a fresh symbol and a point of a factor.
    """
    fault = fault_of_product(marginal, x.shape[1])
    if fault:
        raise ValueError(fault)
    if probabilities is None:
        points = sum(len(factor.points) for factor in marginal.factors)
        x = x[: max(256, int(kernel_evaluations / points))]
    log_z, distortion = exact_sums(marginal, x, beta)
    return Evaluation(
        potential=-log_z,
        distortion=distortion,
        method="exact sums over the factors of a product",
        side="exact",
    )


def gaussians(
    marginal: Gaussians,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    kernel_evaluations: float,
) -> Evaluation:
    """f(x) = -log Z(x) of a Gaussian mixture under squared error, in closed form.

    Args:
        marginal: q, by its parameters.
        x: the symbols (n, d).
        probabilities: their exact weights, where the source is finite.
        beta: the slope, nats per unit of distortion.
        kernel_evaluations: the most pairs of a fresh symbol and an entry of a covariance.
    """
    mixture = GaussianMixture(marginal.weights, marginal.means, marginal.covs)
    if probabilities is None:
        x = x[: max(256, int(kernel_evaluations / marginal.covs.numel()))]
    if beta == 0.0:
        spread = float(mixture.weights @ mixture.variances.sum(1))
        apart = torch.cdist(x, mixture.means).square() @ mixture.weights
        distortion = apart + spread
    else:
        distortion = mixture.mean_distortion(x, beta)
    return Evaluation(
        potential=-mixture.log_partition(x, beta),
        distortion=distortion,
        method="closed form of a Gaussian mixture",
        side="exact",
    )


def plug_in(
    draws: Float[Tensor, "m d"],
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    beta: float,
    exact_draws: bool,
    weights: Float[Tensor, " n"] | None = None,
) -> Evaluation:
    """The paper's Appendix A, eq. (5): -log mean_j exp(-beta rho(x, y_j)) with y_j ~ q.

    It lies above f(x) in expectation (Jensen) and never exceeds log m + beta min rho: an upper
    bound where the draws are exact. Its standard error has a part common to all x, from the
    draws: the delta method gives var_j c(y_j) / m with c(y) = mean_x exp(-beta rho(x, y)) / Z(x),
    where ``weights`` are those of the symbols. ``ess`` is the 5% quantile over x of the effective
    number of draws. E[rho | x] is a ratio of means over the draws, whose error and bias follow
    from the same expansion.

    Args:
        draws: of q (m, d).
        distortion: rho.
        x: the symbols (n, d).
        probabilities: their exact weights, where the source is finite.
        beta: the slope, nats per unit of distortion.
        exact_draws: whether the draws are exact, so that an upper bound follows.
        weights: of the symbols, where they were drawn in strata.
    """
    m = len(draws)
    n = len(x)
    if probabilities is not None:
        weights = probabilities
    elif weights is None:
        weights = torch.full((n,), 1.0 / n, dtype=torch.float64, device=x.device)
    else:
        weights = weights[:n] / weights[:n].sum()
    potential, distortions, effective, bias = [], [], [], []
    mean_posterior = torch.zeros(m, dtype=torch.float64, device=x.device)
    moved = torch.zeros(m, dtype=torch.float64, device=x.device)
    row = 0
    for rho in blocks(distortion, x, draws):
        exponent = -tilt(rho, beta)
        log_z = log_sum_exp(exponent, 1)
        posterior = torch.softmax(exponent, 1)
        mean = mean_distortion(posterior, rho)
        # A forbidden letter has no weight, and a distortion that is infinite.
        influence = torch.where(posterior > 0.0, posterior * (rho - mean[:, None]), 0.0)
        potential.append(math.log(m) - log_z)
        distortions.append(mean)
        effective.append(1.0 / posterior.square().sum(1))
        bias.append(-(posterior * influence).sum(1))
        mean_posterior += weights[row : row + len(rho)] @ posterior
        moved += weights[row : row + len(rho)] @ influence
        row += len(rho)
    effective_draws = torch.cat(effective)
    return Evaluation(
        potential=torch.cat(potential),
        distortion=torch.cat(distortions),
        method=f"plug-in with {m} draws",
        side="upper" if exact_draws else "estimate",
        common_se=float((m * mean_posterior).std()) / math.sqrt(m) if m > 1 else math.inf,
        ess=float(effective_draws.quantile(0.05)) / m,
        excess=0.5 * (1.0 / effective_draws - 1.0 / m),
        distortion_se=math.sqrt(m) * float(moved.std()) if m > 1 else math.inf,
        distortion_bias=torch.cat(bias),
    )
