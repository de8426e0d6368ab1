"""Proposals for the latents that explain x, and estimates of Z(x) that use them.

For q the law of g(z), z ~ p, Z(x) = E_p exp(-beta |x - g(z)|^2) is estimated without bias from
draws of e(z|x) and of p with the balance heuristic, so that -log of it lies above f(x) in
expectation at any rate (Burda, Grosse, Salakhutdinov 2015). With g linearised at the best latents,
p(z|x) is a Gaussian mixture where p is one; e(z|x) is that mixture, a little wider.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.generator import ResidualGenerator
from rdbench.sources.mixture import LOG_2PI, GaussianMixture

_WIDTH = 1.1  # variance of the proposals over that of the linearised posterior
_PRIOR_SHARE = 4  # one draw in four is the prior's: it bounds the weights
_BLOCK = 100_000  # latents decoded at once
_JACOBIANS = 500_000  # numbers in the Jacobians held at once
_ENOUGH = 1e-3  # nats that a Gauss-Newton step has to gain somewhere


@dataclass(frozen=True, eq=False)
class LatentPosterior:
    """For every symbol a mixture: log weights, means, and upper U with U^T U the precisions."""

    log_weights: Float[Tensor, "n k"]
    means: Float[Tensor, "n k d"]
    upper: Float[Tensor, "n k d d"]

    def sample(self, m: int, generator: Generator, mirrored: bool = False) -> Tensor:
        """Draws (n, m, d); mirrored: m / 2 pairs mean +- delta.

        To first order the scores of a pair cancel what the draw adds to them.
        """
        n, size, dim = self.means.shape
        count = m // 2 if mirrored else m
        shape = (n, size, dim, count)
        dev = self.means.device
        noise = torch.randn(shape, generator=generator, device=dev, dtype=torch.float64)
        delta = torch.linalg.solve_triangular(self.upper, noise, upper=True).transpose(2, 3)
        means = self.means[:, :, None].expand_as(delta)
        if mirrored:
            delta, means = torch.cat([delta, -delta], 2), torch.cat([means, means], 2)
        z: Tensor = means + delta
        if size == 1:
            return z[:, 0]
        picked = torch.multinomial(
            self.log_weights.exp(), count, replacement=True, generator=generator
        )
        picked = torch.cat([picked, picked], 1) if mirrored else picked
        chosen = picked[:, None, :, None].expand(n, 1, z.shape[2], dim)
        out: Tensor = z.gather(1, chosen)[:, 0]
        return out

    def log_prob(self, z: Float[Tensor, "n m l"]) -> Float[Tensor, "n m"]:
        """Log density."""
        white = (z[:, None] - self.means[:, :, None]) @ self.upper.transpose(2, 3)
        heights = self.log_weights + self.upper.diagonal(dim1=2, dim2=3).log().sum(2)
        each = heights[..., None] - 0.5 * (white.square().sum(3) + z.shape[2] * LOG_2PI)
        return torch.logsumexp(each, 1)


@torch.no_grad()
def latent_posterior(
    net: ResidualGenerator,
    prior: GaussianMixture,
    x: Float[Tensor, "n d"],
    beta: float,
    steps: int,
) -> LatentPosterior:
    """p(z|x) with g linearised where damped Gauss-Newton steps on -log p(z, x) lead.

    They start at the mean under the affine part, in the component that explains x best, and stay
    with that component's prior (Levenberg 1944; Marquardt 1963).

    Args:
        net: the generator.
        prior: the law of its latents.
        x: symbols, (n, d).
        beta: the slope in nats per unit of squared error.
        steps: the most Gauss-Newton steps.
    """
    precision = torch.linalg.inv(prior.covs)
    affine = net.linear.T.expand(len(x), -1, -1)
    wide = _linearised(prior, precision, x - net.centre, affine, beta)
    best = wide.log_weights.argmax(1)
    rows = torch.arange(len(x), device=x.device)
    z, m, inverse = wide.means[rows, best], prior.means[best], precision[best]

    z, y, jacobian, _ = damped_newton(net.value_and_jacobian, z, x, beta, steps, m, inverse)
    return _linearised(prior, precision, x - y + (z[:, None] @ jacobian)[:, 0], jacobian, beta)


def damped_newton(
    linearise: Callable[[Tensor], tuple[Tensor, Tensor]],
    z: Float[Tensor, "n l"],
    x: Float[Tensor, "n d"],
    beta: float,
    steps: int,
    mean: Float[Tensor, "n l"],
    precision: Float[Tensor, "n l l"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gauss-Newton steps on -log N(z; m, P^-1) + beta |x - g(z)|^2, damped.

    Args:
        linearise: g(z) and its Jacobian, transposed.
        z: where they begin.
        x: symbols.
        beta: the slope in nats per unit of squared error.
        steps: the most steps.
        mean: m.
        precision: P.

    Returns:
        z, g(z), the Jacobian there, transposed, and the value.
    """

    def objective(z: Tensor, y: Tensor) -> Tensor:
        c = z - mean
        quadratic: Tensor = ((c[:, None] @ precision)[:, 0] * c).sum(1)
        return 0.5 * quadratic + beta * (x - y).square().sum(1)

    y, jacobian = linearise(z)
    value = objective(z, y)
    damping = torch.full_like(value, 1e-3)
    for _ in range(steps):
        hessian = precision + 2.0 * beta * jacobian @ jacobian.transpose(1, 2)
        gradient = (precision @ (z - mean)[..., None] - 2.0 * beta * jacobian @ (x - y)[..., None])[
            ..., 0
        ]
        damped = hessian + torch.diag_embed(damping[:, None] * hessian.diagonal(dim1=1, dim2=2))
        proposed = z - torch.linalg.solve(damped, gradient)
        new_y, new_jacobian = linearise(proposed)
        new_value = objective(proposed, new_y)
        better = new_value < value
        gained = float((value - new_value).max())
        damping = torch.where(better, 0.2 * damping, 10.0 * damping).clamp(1e-9, 1e9)
        z = torch.where(better[:, None], proposed, z)
        y = torch.where(better[:, None], new_y, y)
        jacobian = torch.where(better[:, None, None], new_jacobian, jacobian)
        value = torch.where(better, new_value, value)
        if gained < _ENOUGH:
            break
    return z, y, jacobian, value


def _linearised(
    prior: GaussianMixture,
    precision: Float[Tensor, "k d d"],
    residual: Float[Tensor, "n d"],
    jacobian: Float[Tensor, "n d d"],
    beta: float,
) -> LatentPosterior:
    """p(z) exp(-beta |residual - J z|^2), normalised; ``jacobian`` is J transposed."""
    seen = 2.0 * beta * jacobian @ jacobian.transpose(1, 2)
    hessian = precision + seen[:, None]
    upper = torch.linalg.cholesky(0.5 * (hessian + hessian.transpose(2, 3)), upper=True)
    pulled = (precision @ prior.means[..., None])[..., 0]
    right = pulled + 2.0 * beta * (jacobian @ residual[..., None])[:, None, :, 0]
    means = torch.cholesky_solve(right[..., None], upper, upper=True)[..., 0]
    off = means - prior.means
    quadratic = ((off[..., None, :] @ precision)[..., 0, :] * off).sum(2)
    missed = residual[:, None] - (means[..., None, :] @ jacobian[:, None])[..., 0, :]
    log_det = upper.diagonal(dim1=2, dim2=3).log().sum(2) - 0.5 * torch.logdet(precision)
    joint = prior.weights.log() - 0.5 * quadratic - beta * missed.square().sum(2) - log_det
    return LatentPosterior(torch.log_softmax(joint, 1), means, upper / math.sqrt(_WIDTH))


class LatentEncoder:
    """e(z|x) for a frozen generator at one slope."""

    def __init__(
        self,
        net: torch.nn.Module,
        prior: GaussianMixture,
        beta: float,
        posterior: Callable[[Tensor], LatentPosterior],
    ) -> None:
        """``posterior(x)`` is e(.|x)."""
        self._net, self._prior, self._beta, self._find = net, prior, beta, posterior
        self._known: tuple[Tensor, LatentPosterior] | None = None

    def _posterior(self, x: Float[Tensor, "n d"]) -> LatentPosterior:
        """The posterior at x; sampling and density, asked for in turn, share it."""
        if self._known is None or not torch.equal(self._known[0], x):
            self._known = (x.clone(), self._find(x))
        return self._known[1]

    def sample(self, x: Float[Tensor, "n d"], m: int, generator: Generator) -> Tensor:
        """Draw (n, m, d)."""
        return self._posterior(x.double()).sample(m, generator)

    def log_prob(self, z: Float[Tensor, "n m l"], x: Float[Tensor, "n d"]) -> Tensor:
        """Log density (n, m)."""
        return self._posterior(x.double()).log_prob(z.double())

    @torch.no_grad()
    def weighted_draws(
        self, x: Float[Tensor, "n d"], m: int, generator: Generator
    ) -> tuple[Float[Tensor, "n m l"], Float[Tensor, "n m"], Float[Tensor, "n m"]]:
        """y = g(z), log weights whose sum has the mean Z(x), and rho, for m latents per symbol.

        One latent in four is drawn from the prior, the others from e(z|x).
        """
        n, dim = len(x), self._prior.dim
        from_prior = max(1, m // _PRIOR_SHARE)
        z = self._prior.sample(n * from_prior, generator).reshape(n, from_prior, dim)
        z = torch.cat([z, self.sample(x, m - from_prior, generator)], 1)
        log_p = self._prior.log_prob(z.reshape(-1, dim)).reshape(n, m)
        log_e = self.log_prob(z, x)
        mixed = torch.logaddexp(math.log(from_prior) + log_p, math.log(m - from_prior) + log_e)
        y = self._net(z.reshape(n * m, dim)).reshape(n, m, -1)
        rho = (x[:, None] - y).square().sum(2)
        return y, log_p - mixed - self._beta * rho, rho


def blocks(x: Float[Tensor, "n d"], m: int) -> tuple[Tensor, ...]:
    """Rows of x, so many at once that m latents for each stay affordable."""
    rows = max(1, min(_BLOCK // m, _JACOBIANS // x.shape[1] ** 2))
    parts: tuple[Tensor, ...] = x.split(rows)
    return parts
