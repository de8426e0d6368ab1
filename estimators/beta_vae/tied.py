"""A beta-VAE with a tied encoder: independent coordinates after a learned rotation, no networks.

The prior is a product of mixtures, p(z) = prod_i sum_k w_ik N(z_i; m_ik, s_ik^2), the decoder an
orthogonal map y = c + O z. The encoder has one component for every component of the prior, with the
conjugate shares and means; under squared error that is p(z|x) itself, and the bound is

    F = -sum_i log sum_k w_ik N(t_i; m_ik, s_ik^2 + v) - (d/2) log(2 pi v),   t = O^T (x - c),

v = 1 / (2 beta), without noise. All of it is trained by gradients, O = O0 exp(S - S^T) from S = 0.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.product import Coordinates
from rdbench.sources.mixture import LOG_2PI
from rdbench.types import Density, Encoder

_REACH, _WIDTH = 2.0, 0.5  # of the start, in standard deviations of each coordinate
_LEAST = 1e-5  # variance of a component in units of v: costs half of it per coordinate, in nats


class TiedVAE(torch.nn.Module):
    """One such model."""

    centre: Tensor
    axes0: Tensor
    unit: Tensor

    def __init__(
        self, start: Coordinates, x: Float[Tensor, "n d"], size: int, generator: Generator
    ) -> None:
        """Equal weights, means from -2 to 2 and deviations of .5, in units of each coordinate's.

        Args:
            start: c and O0.
            x: draws of the source, for the units alone.
            size: components of each coordinate.
            generator: moves the means a little, so that no two coordinates are alike.
        """
        super().__init__()
        unit = start.forward(x).std(0)
        self.register_buffer("centre", start.centre.clone())
        self.register_buffer("axes0", start.basis.clone())
        self.register_buffer("unit", unit.clamp(min=1e-12 * float(unit.max()))[:, None])
        shape, dim = (len(unit), size), len(unit)
        e = torch.randn(shape, generator=generator, device=unit.device, dtype=torch.float64)
        reach = _REACH if size > 1 else 0.0
        grid = torch.linspace(-reach, reach, size, dtype=torch.float64, device=unit.device)
        width = _WIDTH if size > 1 else 1.0
        self.skew = torch.nn.Parameter(torch.zeros_like(start.basis))
        self.means = torch.nn.Parameter(grid + 0.02 * e)
        self.log_widths = torch.nn.Parameter(e.new_full(shape, math.log(width)))
        self.logits = torch.nn.Parameter(e.new_zeros(dim, size))

    def rates(self, rate: float) -> list[tuple[list[torch.nn.Parameter], float]]:
        """Parameters with their learning rates: the rotation is a tenth as fast."""
        return [([self.means, self.log_widths, self.logits], rate), ([self.skew], 0.1 * rate)]

    def loss(self, x: Float[Tensor, "n d"], beta: float) -> Tensor:
        """The mean of ``potential``."""
        return self.potential(x, beta).mean()

    def axes(self) -> Float[Tensor, "d d"]:
        """O."""
        turned: Tensor = self.axes0 @ torch.linalg.matrix_exp(self.skew - self.skew.T)
        return turned

    def _terms(self, beta: float) -> tuple[Tensor, Tensor, Tensor]:
        """log w, m and s^2, (d, K)."""
        variances = (self.unit * self.log_widths.clamp(-30.0, 30.0).exp()).square()
        log_weights = torch.log_softmax(self.logits, 1)
        return log_weights, self.unit * self.means, variances + _LEAST * 0.5 / beta

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """-log E_q exp(-beta ||x - Y||^2)."""
        t = (x - self.centre) @ self.axes()
        log_weights, means, variances = self._terms(beta)
        total = variances + 0.5 / beta
        joint = log_weights - 0.5 * (2.0 * beta * total).log()
        exponent = joint - 0.5 * (t[..., None] - means).square() / total
        return -torch.logsumexp(exponent, -1).sum(-1)

    @torch.no_grad()
    def law(self, beta: float) -> _Law:
        """q, frozen."""
        return _Law(self.centre, self.axes(), *self._terms(beta), beta)


class _Law:
    """q = law of c + O z and p(y|x), in closed form."""

    def __init__(
        self,
        centre: Tensor,
        axes: Tensor,
        log_weights: Tensor,
        means: Tensor,
        variances: Tensor,
        beta: float,
    ) -> None:
        self._centre, self._axes, self._beta = centre, axes, beta
        self._log_weights, self._means, self._variances = log_weights, means, variances
        self._gain = variances / (variances + 0.5 / beta)  # the posterior variance is v gain

    def density(self) -> Density:
        """q with p(y|x) as its proposal."""
        return Density(self.sample, self.log_prob, Encoder(self.conditional, self.log_conditional))

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """n draws of q."""
        labels = torch.multinomial(
            self._log_weights.exp(), n, replacement=True, generator=generator
        )
        rows = torch.arange(len(labels), device=labels.device)[:, None]
        means, variances = self._means[rows, labels].T, self._variances[rows, labels].T
        return self._placed(means, variances, generator)

    def log_prob(self, y: Float[Tensor, "*b d"]) -> Float[Tensor, "*b"]:
        """log q(y) in nats."""
        z = ((y.double() - self._centre) @ self._axes)[..., None]
        exponent = (z - self._means).square() / self._variances + self._variances.log() + LOG_2PI
        return torch.logsumexp(self._log_weights - 0.5 * exponent, -1).sum(-1)

    def _posterior(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
        """log shares of the components and their means given x (n, d, K), log Z(x) (n,)."""
        t = ((x.double() - self._centre) @ self._axes)[..., None]
        total = self._variances + 0.5 / self._beta
        joint = self._log_weights - 0.5 * (2.0 * self._beta * total).log()
        joint = joint - 0.5 * (t - self._means).square() / total
        log_z = torch.logsumexp(joint, -1)
        means = self._means + self._gain * (t - self._means)
        return joint - log_z[..., None], means, log_z.sum(-1)

    def conditional(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k exact draws of p(y|x) for every row of x."""
        log_shares, means, _ = self._posterior(x)
        n, dim, size = means.shape
        labels = torch.multinomial(
            log_shares.exp().reshape(-1, size), k, replacement=True, generator=generator
        )
        labels = labels.reshape(n, dim, k).transpose(1, 2)  # (n, k, d)
        picked = means.transpose(1, 2).gather(1, labels)
        variances = (0.5 / self._beta) * self._gain.T.expand(n, size, dim).gather(1, labels)
        return self._placed(picked, variances, generator)

    def log_conditional(
        self, y: Float[Tensor, "n k d"], x: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n k"]:
        """log q(y) - beta ||x - y||^2 - log Z(x)."""
        rho = (y.double() - x.double()[:, None]).square().sum(-1)
        return self.log_prob(y) - self._beta * rho - self._posterior(x)[2][:, None]

    def point(self, x: Float[Tensor, "n d"]) -> tuple[float, float]:
        """R and D of p(y|x) on the symbols x."""
        log_shares, means, log_z = self._posterior(x)
        t = ((x.double() - self._centre) @ self._axes)[..., None]
        within = (t - means).square() + (0.5 / self._beta) * self._gain
        distortion = float((log_shares.exp() * within).sum((1, 2)).mean())
        # Rounding alone can make a rate negative; in this order max keeps NaN.
        return max(-float(log_z.mean()) - self._beta * distortion, 0.0), distortion

    def _placed(self, means: Tensor, variances: Tensor, generator: Generator) -> Tensor:
        device = means.device
        e = torch.randn(means.shape, generator=generator, device=device, dtype=torch.float64)
        return (means + variances.sqrt() * e) @ self._axes.T + self._centre
