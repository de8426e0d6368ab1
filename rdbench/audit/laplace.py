"""Gaussians around latent points that explain x well, as a proposal of importance sampling.

For q the law of g(z), z ~ p, under squared error, p(z|x) is proportional to
p(z) exp(-beta ||x - g(z)||^2). With p replaced by a Gaussian of the same mean m and covariance S
(for N(0, I) that is p itself), damped Gauss-Newton steps (Levenberg 1944; Marquardt 1963) minimise

    (z - m)^T S^-1 (z - m) / 2 + beta ||x - g(z)||^2,

and the proposal is the equal mixture of N(z*, 1.1 H^-1), H = S^-1 + 2 beta J^T J with J the
Jacobian of g at z*, over the end points z* from three starts: draws of the prior, taken without
replacement by their share of p(z|x). For a linear g all three are p(z|x), a tenth wider.
Whatever the proposal is, the weights correct for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import Distortion, Pushforward

_PRIOR_DRAWS = 2000
_STARTS = 3
_ITERATIONS = 8
_ENOUGH = 1e-2  # nats: the largest gain of a last step, in all but 1% of the symbols
_WIDTH = 1.1
_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True, eq=False)
class GaussianProposal:
    """For every symbol i the equal mixture over s of N(mean_is, R_is R_is^T), R^-1 = ``whiten``."""

    mean: Float[Tensor, "n s l"]
    root: Float[Tensor, "n s l l"]
    whiten: Float[Tensor, "n s l l"]

    @property
    def components(self) -> int:
        """s: the number of draws has to be a multiple of it."""
        return self.mean.shape[1]

    def sample(self, k: int, generator: Generator) -> Float[Tensor, "n k l"]:
        """k draws per symbol, as many of each component."""
        n, s, dim = self.mean.shape
        shape = (n, s, k // s, dim)
        e = torch.randn(shape, generator=generator, device=self.mean.device, dtype=torch.float64)
        return (self.mean[:, :, None] + e @ self.root.transpose(2, 3)).reshape(n, -1, dim)

    def log_prob(self, z: Float[Tensor, "n k l"]) -> Float[Tensor, "n k"]:
        """Log density."""
        e = (z[:, None] - self.mean[:, :, None]) @ self.whiten.transpose(2, 3)
        log_det = self.whiten.diagonal(dim1=2, dim2=3).log().sum(2)
        each = log_det[..., None] - 0.5 * (e.square().sum(3) + z.shape[2] * _LOG_2PI)
        return torch.logsumexp(each, 1) - math.log(self.components)


def laplace(
    marginal: Pushforward,
    distortion: Distortion,
    x: Float[Tensor, "n d"],
    beta: float,
    generator: Generator,
) -> GaussianProposal | None:
    """The proposal for every x, or None where ``decode`` has no gradient or no finite one.

    Args:
        marginal: the decoder and the prior.
        distortion: squared error.
        x: the symbols (n, d).
        beta: the slope, nats per unit of distortion.
        generator: of all draws.
    """
    prior = marginal.sample_latent(_PRIOR_DRAWS, generator).double()
    if marginal.prior is None:
        mean = prior.new_zeros(marginal.latent_dim)
        precision = torch.eye(marginal.latent_dim, dtype=torch.float64, device=prior.device)
    else:
        mean, precision = _moments(prior)
    try:
        starts = _starts(marginal, distortion, x, beta, prior, generator)
        repeated = x.repeat_interleave(starts.shape[1], 0)
        z, hessian = _gauss_newton(marginal, repeated, beta, starts.flatten(0, 1), mean, precision)
    except RuntimeError:  # decode leaves the graph, or has no derivative there
        return None
    upper, failed = torch.linalg.cholesky_ex(hessian, upper=True)
    if bool(failed.any()) or not bool(torch.isfinite(z).all()):
        return None
    # H = U^T U: the covariance c H^-1 has the root sqrt(c) U^-1, which is upper triangular too.
    whiten = upper / math.sqrt(_WIDTH)
    eye = torch.eye(z.shape[1], dtype=torch.float64, device=z.device).expand_as(upper)
    root = torch.linalg.solve_triangular(whiten, eye, upper=True)
    n, s, dim = starts.shape
    return GaussianProposal(
        z.reshape(n, s, dim), root.reshape(n, s, dim, dim), whiten.reshape(n, s, dim, dim)
    )


def _moments(z: Tensor) -> tuple[Tensor, Tensor]:
    centred = z - z.mean(0)
    cov = centred.T @ centred / len(z)
    ridge = 1e-6 * cov.diagonal().mean() + 1e-300
    return z.mean(0), torch.linalg.inv(cov + ridge * torch.eye(len(cov)).to(cov))


def _gauss_newton(
    marginal: Pushforward, x: Tensor, beta: float, z: Tensor, mean: Tensor, precision: Tensor
) -> tuple[Tensor, Tensor]:
    """z* and H there, from the start z of every row."""

    def objective(z: Tensor, y: Tensor) -> Tensor:
        centred = z - mean
        quadratic = ((centred @ precision) * centred).sum(1)
        return 0.5 * quadratic + beta * (x - y).square().sum(1)

    y, jacobian = _jacobian(marginal.decode, z)
    value = objective(z, y)
    damping = torch.full_like(value, 1e-3)
    for _ in range(_ITERATIONS):
        hessian = precision + 2.0 * beta * jacobian.transpose(1, 2) @ jacobian
        gradient = (z - mean) @ precision
        gradient = gradient - 2.0 * beta * torch.einsum("nd,ndl->nl", x - y, jacobian)
        damped = hessian + torch.diag_embed(damping[:, None] * hessian.diagonal(dim1=1, dim2=2))
        proposed = z - torch.linalg.solve(damped, gradient)
        new_value = objective(proposed, _decoded(marginal, proposed))
        gain = value - new_value
        better = gain > 0.0
        damping = torch.where(better, 0.2 * damping, 10.0 * damping).clamp(1e-9, 1e9)
        z = torch.where(better[:, None], proposed, z)
        value = torch.where(better, new_value, value)
        # The Jacobian, d backward passes, is most of the cost: none for a step that hardly moved.
        if float(gain.clamp(min=0.0).quantile(0.99)) < _ENOUGH and bool(better.any()):
            break
        y, jacobian = _jacobian(marginal.decode, z)
    return z, precision + 2.0 * beta * jacobian.transpose(1, 2) @ jacobian


def _starts(
    marginal: Pushforward,
    distortion: Distortion,
    x: Tensor,
    beta: float,
    prior: Tensor,
    generator: Generator,
) -> Float[Tensor, "n s l"]:
    """For every x some draws of the prior, without replacement, by their share of p(z|x)."""
    decoded = _decoded(marginal, prior)
    picks = []
    for part in x.split(1000):
        score = -beta * distortion.pairwise(part, decoded)
        u = torch.rand(score.shape, generator=generator, device=x.device, dtype=torch.float64)
        # The largest of log p + Gumbel noise are draws without replacement (Yellott 1977).
        gumbel = -torch.log(-torch.log(u.clamp(1e-300, 1.0 - 1e-16)))
        picks.append((score + gumbel).topk(_STARTS, 1).indices)
    return prior[torch.cat(picks)]


def _decoded(marginal: Pushforward, z: Tensor) -> Tensor:
    with torch.no_grad():  # Jacobians apart, no graph is wanted
        return marginal.decode(z).double()


def _jacobian(
    decode: Callable[[Tensor], Tensor], z: Float[Tensor, "n l"]
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d l"]]:
    """g(z) and its Jacobian, row by row, by one backward pass per output."""
    with torch.enable_grad():
        z = z.detach().requires_grad_(True)
        y = decode(z).double()
        columns = [
            torch.autograd.grad(y[:, i].sum(), z, retain_graph=i + 1 < y.shape[1])[0]
            for i in range(y.shape[1])
        ]
    return y.detach(), torch.stack(columns, 1)
