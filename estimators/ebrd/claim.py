"""What the default claims: F by importance sampling, or Appendix A where too few draws count.

F = log Z - E log Z_x, each from a Student t: one fitted to the chains of q, and for every symbol
that of p(y|x) were q the normal law with their moments. It suits smooth q, and any q at high rates.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.experts import Experts
from rdbench.inference.lemma import Lemma1

_DEGREES = 5.0
_WIDER = 1.1  # than the normal law, besides the tail
_MARGINAL, _SYMBOLS, _CONDITIONAL = 4000, 500, 32  # draws of q, symbols, draws for each of them
_EFFECTIVE = 0.05, 0.2  # the least fraction of them, for log Z and for log Z_x


def student(n: int, dim: int, degrees: float, generator: Generator) -> Float[Tensor, "n d"]:
    """Draws of the Student t of unit scale, in float64."""
    dev = generator.device
    z = torch.randn(n, dim, generator=generator, device=dev, dtype=torch.float64)
    half = torch.full((n, 1), 0.5 * degrees, device=dev, dtype=torch.float64)
    return z * (0.5 * degrees / torch._standard_gamma(half, generator=generator)).sqrt()


def log_student(r2: Tensor, dim: int, degrees: float) -> Tensor:
    """log density at the squared radius ``r2``."""
    constant = math.lgamma(0.5 * (degrees + dim)) - math.lgamma(0.5 * degrees)
    constant -= 0.5 * dim * math.log(math.pi * degrees)
    return constant - 0.5 * (degrees + dim) * torch.log1p(r2 / degrees)


@torch.no_grad()
def importance(
    energy: Experts,
    lemma: Lemma1,
    chains: Float[Tensor, "n d"],
    x: Float[Tensor, "m d"],
    generator: Generator,
) -> tuple[float, float] | None:
    """(F, beta D) under squared error; None where too few draws are effective.

    Args:
        energy: one, in float64.
        lemma: beta rho, squared.
        chains: draws of q, whitened.
        x: symbols, whitened.
        generator: of all draws.
    """
    x, dim = x[:_SYMBOLS], x.shape[1]
    mean, eye = chains.mean(0), torch.eye(dim, dtype=x.dtype, device=x.device)
    covariance = torch.cov(chains.T).reshape(dim, dim)  # singular where chains are few
    covariance = covariance + 1e-3 * covariance.diagonal().mean() * eye

    def inverse(matrix: Tensor) -> Tensor:
        return torch.cholesky_inverse(torch.linalg.cholesky(matrix))

    precision = inverse(covariance)
    posterior = inverse(precision + 2.0 * torch.diag(lemma.weight[0, 0]))
    near = (2.0 * lemma.weight[0, 0] * x + precision @ mean) @ posterior

    def log_weights(centre: Tensor, shape: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Draws (n, m, d) about m centres, and -E less their log density."""
        root = _WIDER * torch.linalg.cholesky(shape)
        u = student(n * len(centre), dim, _DEGREES, generator).reshape(n, -1, dim)
        y = centre + u @ root.T
        log_g = log_student(u.square().sum(-1), dim, _DEGREES) - root.diagonal().log().sum()
        return y, -energy.value_and_grad(y.reshape(1, -1, dim))[0].reshape(n, -1) - log_g

    _, log_w = log_weights(mean[None], covariance, _MARGINAL)
    y, log_wx = log_weights(near, posterior, _CONDITIONAL)
    rho = lemma.rho(y - x)
    log_wx = log_wx - rho
    share = torch.softmax(log_wx, 0)
    effective = [
        float((1.0 / p.square().sum(0)).mean()) / len(p) for p in (torch.softmax(log_w, 0), share)
    ]
    if not all(found >= least for found, least in zip(effective, _EFFECTIVE, strict=True)):
        return None
    log_z = float(torch.logsumexp(log_w, 0)[0]) - math.log(_MARGINAL)
    log_zx = float(torch.logsumexp(log_wx, 0).mean()) - math.log(_CONDITIONAL)
    return log_z - log_zx, float((share * rho).sum(0).mean())
