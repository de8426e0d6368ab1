"""Minimising F over Gaussian mixtures under squared error: maximum likelihood with a least noise.

For q = sum_k w_k N(m_k, S_k) and v = 1 / (2 beta),

    F(q) = -E log E_q exp(-beta ||X - Y||^2)
         = -E log sum_k w_k N(X; m_k, C_k) - (d/2) log(pi / beta),      C_k = S_k + v I,

so that the best q is the mixture of maximum likelihood under C_k >= v I, less that noise. The
M-step under the constraint is exact: the weighted covariance with its eigenvalues raised to v
(the likelihood of each eigenvalue has one maximum). One component gives reverse water-filling.
Expectation-maximisation never raises F (Dempster, Laird and Rubin 1977).

The mixture of the C_k is called *observed*. It depends on beta through v alone, so that the fit at
one slope is the start for the next, and the fit itself where no eigenvalue has to be raised.
Mixtures of a batch of restarts are updated together by two matrix products with the sufficient
statistics 1, x, x x^T: the log joint density is linear in them, and the M-step needs their means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.sources.mixture import LOG_2PI, GaussianMixture

GoOn = Callable[[], bool]

_BLOCK = 1_000_000  # numbers held at once
_EMPTY = 1e-10  # the least weight of a component: it stays regular and weighs nothing


def always() -> bool:
    """Never stop."""
    return True


@dataclass(frozen=True, eq=False)
class Moments:
    """The number of some draws, their mean and their covariance (divided by n)."""

    count: int
    mean: Float[Tensor, " d"]
    cov: Float[Tensor, "d d"]


def moments(x: Float[Tensor, "n d"]) -> Moments:
    """The moments of draws, block by block: no second copy of them is made."""
    found = None
    for part in x.split(max(1, _BLOCK // x.shape[1])):
        mean = part.mean(0)
        centred = part - mean
        here = Moments(len(part), mean, centred.T @ centred / len(part))
        found = here if found is None else pooled(found, here)
    if found is None:
        raise ValueError("the moments of no draws")
    return found


def pooled(a: Moments, b: Moments) -> Moments:
    """The moments of both sets of draws together."""
    part = b.count / (a.count + b.count)
    apart = b.mean - a.mean
    between = part * (1.0 - part) * torch.outer(apart, apart)
    cov = (1.0 - part) * a.cov + part * b.cov + between
    return Moments(a.count + b.count, a.mean + part * apart, cov)


def gaussian(draws: Moments, least: float) -> GaussianMixture:
    """The observed Gaussian of maximum likelihood with variances of at least ``least``."""
    one = draws.cov.new_ones(1)
    return GaussianMixture(one, draws.mean[None], raised(draws.cov, least)[None])


def fit_observed(
    x: Float[Tensor, "n d"],
    start: GaussianMixture,
    least: float,
    *,
    tied: bool = False,
    iterations: int = 100,
    tolerance: float = 1e-6,
    go_on: GoOn = always,
) -> GaussianMixture:
    """The mixture of maximum likelihood whose covariances are at least ``least`` I.

    Args:
        x: draws of the source, float64.
        start: an observed mixture; covariances below ``least`` are raised.
        least: v, or a little more.
        tied: whether all components share one covariance, which spares most of the parameters.
        iterations: the most EM iterations.
        tolerance: stop when an iteration gains less than this many nats.
        go_on: asked after every block of draws; on False the fit ends with its last full step.
    """
    if start.size == 1:  # the maximum needs no iteration
        return gaussian(moments(x), least)
    batch = Batch(start.weights[None], start.means[None], start.covs[None])
    found, _ = climb(
        x, batch, least, tied=tied, iterations=iterations, tolerance=tolerance, go_on=go_on
    )
    return found[0]


def fit_reproduction(
    x: Float[Tensor, "n d"],
    beta: float,
    start: GaussianMixture,
    *,
    floor: float = 0.0,
    tied: bool = False,
    iterations: int = 100,
    tolerance: float = 1e-6,
    go_on: GoOn = always,
) -> GaussianMixture:
    """The q that minimises F on the draws.

    Args:
        x: draws of the source, (n, d).
        beta: the slope in nats per unit of squared error.
        start: a q.
        floor: the least variance of a component in units of v = 1 / (2 beta); with 0, covariances
            may be singular (atoms). Raising the variance of a direction of component k in which
            the draws have the variance s^2 <= v costs at most floor (1 - s^2 / v) / 2 nats.
        tied: as in `fit_observed`, like the rest.
        iterations: the most EM iterations.
        tolerance: in nats.
        go_on: asked between blocks of draws.
    """
    noise = 0.5 / beta
    eye = torch.eye(x.shape[1], dtype=torch.float64, device=x.device)
    observed = GaussianMixture(start.weights, start.means, start.covs + noise * eye)
    return fit_observed(
        x,
        observed,
        noise * (1.0 + floor),
        tied=tied,
        iterations=iterations,
        tolerance=tolerance,
        go_on=go_on,
    ).deconvolved(noise)


def lagrangian(q: GaussianMixture, x: Float[Tensor, "n d"], beta: float) -> float:
    """F(q) on draws, in nats."""
    return -float(q.log_partition(x, beta).mean())


def parameters(size: int, dim: int, tied: bool) -> int:
    """How many parameters a mixture has: p of them, fitted to n draws, cost about p / 2n nats."""
    covariances = 1 if tied else size
    return size - 1 + size * dim + covariances * dim * (dim + 1) // 2


# --------------------------------------------------------------------------------------------
# expectation-maximisation of a batch


@dataclass(frozen=True, eq=False)
class Batch:
    """B observed mixtures of K components each."""

    weights: Float[Tensor, "B K"]
    means: Float[Tensor, "B K d"]
    covs: Float[Tensor, "B K d d"]

    def __getitem__(self, index: int) -> GaussianMixture:
        return GaussianMixture(self.weights[index], self.means[index], self.covs[index])


def raised(covs: Float[Tensor, "*b d d"], least: float) -> Float[Tensor, "*b d d"]:
    """The covariances with their eigenvalues raised to ``least``."""
    values, vectors = torch.linalg.eigh(covs)
    found: Tensor = (vectors * values.clamp(min=least)[..., None, :]) @ vectors.transpose(-1, -2)
    return found


def climb(
    x: Float[Tensor, "n d"],
    batch: Batch,
    least: float,
    *,
    tied: bool,
    iterations: int,
    tolerance: float,
    go_on: GoOn = always,
) -> tuple[Batch, Float[Tensor, " B"]]:
    """EM from every start of a batch, ended when all gain too little.

    Args:
        x: draws of the source, (n, d).
        batch: the starts.
        least: the least eigenvalue of a covariance.
        tied: whether the components of a mixture share one covariance.
        iterations: the most EM iterations.
        tolerance: stop when no start gains as many nats in an iteration.
        go_on: asked between blocks of draws; on False the last full step is returned.

    Returns:
        The mixtures, and their mean log likelihoods before the last step.
    """
    overall = moments(x)
    covs = batch.covs
    if tied:
        covs = (batch.weights[..., None, None] * covs).sum(1, keepdim=True).expand_as(covs)
    batch = Batch(batch.weights, batch.means, raised(covs, least))
    before = batch.weights.new_full((len(batch.weights),), -math.inf)
    for _ in range(iterations):
        found = _expected(x, overall, batch, tied, go_on)
        if found is None:
            break
        statistics, likelihood = found
        batch = _maximised(statistics, overall, batch, least, tied)
        gain, before = float((likelihood - before).max()), likelihood
        if gain < tolerance:
            break
    return batch, before


def _features(centred: Float[Tensor, "n d"], tied: bool) -> Float[Tensor, "n p"]:
    """1, x and, unless the covariance is shared, the upper triangle of x x^T."""
    parts = [torch.ones_like(centred[:, :1]), centred]
    if not tied:
        parts.extend(centred[:, i : i + 1] * centred[:, i:] for i in range(centred.shape[1]))
    return torch.cat(parts, 1)


def _natural(overall: Moments, batch: Batch, tied: bool) -> Float[Tensor, "B K p"]:
    """The coefficients of the features in log w_k N(x; m_k, C_k).

    With a shared covariance the quadratic term is the same for all k. Its mean over the draws
    stands in for it, which leaves the responsibilities and the mean likelihood as they are.
    """
    dim = batch.means.shape[2]
    means = batch.means - overall.mean
    factor = torch.linalg.cholesky(batch.covs[:, :1] if tied else batch.covs)
    precision = torch.cholesky_inverse(factor)
    linear = (precision @ means[..., None]).squeeze(-1)
    log_det = 2.0 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = batch.weights.log() - 0.5 * ((means * linear).sum(-1) + log_det + dim * LOG_2PI)
    if tied:
        constant = constant - 0.5 * (precision * overall.cov).sum((-2, -1))
        return torch.cat([constant[..., None], linear], -1)
    row, column = torch.triu_indices(dim, dim, device=means.device)
    # An entry off the diagonal stands for two terms of x^T P x.
    quadratic = precision[..., row, column] * torch.where(row == column, -0.5, -1.0)
    return torch.cat([constant[..., None], linear, quadratic], -1)


def _expected(
    x: Float[Tensor, "n d"], overall: Moments, batch: Batch, tied: bool, go_on: GoOn
) -> tuple[Float[Tensor, "B K p"], Float[Tensor, " B"]] | None:
    """Means over the draws: the features times the responsibilities, and the log likelihood."""
    natural = _natural(overall, batch, tied)
    count, size, p = natural.shape
    columns = natural.reshape(-1, p).T
    statistics, likelihood = torch.zeros_like(natural), natural.new_zeros(count)
    for part in x.split(max(64, _BLOCK // (p + 3 * count * size))):
        seen = _features(part - overall.mean, tied)
        joint = (seen @ columns).reshape(len(part), count, size)
        total = log_sum_exp(joint, -1)
        responsibilities = torch.softmax(joint, -1).reshape(len(part), -1)
        statistics += (responsibilities.T @ seen).reshape_as(natural)
        likelihood += total.sum(0)
        if not go_on():
            return None
    return statistics / len(x), likelihood / len(x)


def _maximised(
    statistics: Float[Tensor, "B K p"], overall: Moments, batch: Batch, least: float, tied: bool
) -> Batch:
    """The M-step: weights, means, and covariances with their eigenvalues raised."""
    dim = batch.means.shape[2]
    mass = statistics[..., 0].clamp(min=_EMPTY)
    weights = mass / mass.sum(-1, keepdim=True)
    means = statistics[..., 1 : dim + 1] / mass[..., None]
    if tied:
        between = torch.einsum("bk,bki,bkj->bij", weights, means, means)
        covs = raised(overall.cov - between, least)[:, None].expand_as(batch.covs)
        return Batch(weights, means + overall.mean, covs)
    row, column = torch.triu_indices(dim, dim, device=means.device)
    second = torch.empty_like(batch.covs)
    second[..., row, column] = statistics[..., dim + 1 :] / mass[..., None]
    second[..., column, row] = second[..., row, column]
    covs = raised(second - means[..., :, None] * means[..., None, :], least)
    return Batch(weights, means + overall.mean, covs)
