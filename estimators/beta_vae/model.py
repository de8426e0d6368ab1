"""The latent-variable model of `beta_vae`: B independent ones, one per slope, as one batch.

The prior is p(z) = sum_k w_k p_k(z), p_k(z) = N(h(z); m_k, A_k A_k^T) |det h'(z)|, a mixture of
Gaussians with full covariances seen through a flow h; the reproduction is y = g(z) = z + a network;
the encoder is e(z|x) = sum_k r_k(x) e_k(z|x) with e_k Gaussian.

With z = m_k + A_k u, the posterior of u for h = g = identity under Gaussian noise of variance v
(2 beta v = 1 under squared error) is N(M^-1 A^T (x - m) / v, M^-1), M = I + A^T A / v = L L^T.
e_k has the mean and the root of the covariance

    M^-1 A^T (x - m) / v + L^-T a(x),    L^-T diag(exp(b(x))),

in u, with a, b from a network. h starts at the identity and the networks at zero: under squared
error the start is the exact posterior of a mixture of linear-Gaussian models. All in standard
coordinates and float64. ``B`` counts slopes, ``K`` components, ``n`` symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.estimators.beta_vae.flow import Flow
from rdbench.inference.em import matrix_root, mixture_moments
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density, Distortion

_WHITENED = 1e-4  # of the largest eigenvalue, added before networks see whitened inputs
_LOG_WIDTH = 4.0  # bound on |b(x)|


class Residual(torch.nn.Module):
    """B perceptrons R^i -> R^o with two SiLU layers of width ``hidden``, zero at the start."""

    def __init__(
        self, batch: int, inputs: int, hidden: int, outputs: int, generator: Generator
    ) -> None:
        super().__init__()

        def start(rows: int, columns: int, std: float) -> torch.nn.Parameter:
            w = torch.randn(
                1, rows, columns, generator=generator, device=generator.device, dtype=torch.float64
            )
            return torch.nn.Parameter((std * w).repeat(batch, 1, 1))

        self.w1 = start(inputs, hidden, 1.0 / math.sqrt(inputs))
        self.b1 = start(1, hidden, 1.0)
        self.w2 = start(hidden, hidden, 1.0 / math.sqrt(hidden))
        self.b2 = start(1, hidden, 0.1)
        self.w3 = start(hidden, outputs, 0.0)
        self.b3 = start(1, outputs, 0.0)

    def forward(self, x: Float[Tensor, "B n i"]) -> Float[Tensor, "B n o"]:
        """f_b(x)."""
        h = torch.nn.functional.silu(torch.baddbmm(self.b1, x, self.w1))
        h = torch.nn.functional.silu(torch.baddbmm(self.b2, h, self.w2))
        return torch.baddbmm(self.b3, h, self.w3)


@dataclass(frozen=True, eq=False)
class Linear:
    """The terms that do not depend on x, for one state of the prior's parameters."""

    factor: Float[Tensor, "B K d d"]
    """A."""
    unfactor: Float[Tensor, "B K d d"]
    """A^-1."""
    means: Float[Tensor, "B K d"]
    """m."""
    log_weights: Float[Tensor, "B K"]
    gain: Float[Tensor, "B K d d"]
    """M^-1 A^T / v: from x - m to the posterior mean of u."""
    root: Float[Tensor, "B K d d"]
    """L^-T, a root of M^-1."""
    log_det: Float[Tensor, "B K"]
    """log det L."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """e(z|x) of n symbols: N(mean, root diag(width)^2 root^T) in u, per component."""

    mean: Float[Tensor, "B K n d"]
    log_width: Float[Tensor, "B K n d"]
    divergence: Float[Tensor, "B K n"]
    """KL(e_k(.|x), p_k) in nats, for h = identity."""
    distortion: Float[Tensor, "B K n"]
    """E rho(x, z) under e_k, z itself being the reproduction."""
    log_responsibilities: Float[Tensor, "B K n"]
    """log r_k(x)."""


class MixtureVAE(torch.nn.Module):
    """B variational autoencoders with K prior components each."""

    means0: Tensor
    log_weights0: Tensor
    factor0: Tensor
    unit: Tensor
    noise: Tensor
    slopes: Tensor
    centre: Tensor
    whiten_x: Tensor
    whiten_z: Tensor
    spread: Tensor

    def __init__(
        self,
        fitted: GaussianMixture,
        priors: Sequence[GaussianMixture],
        slopes: Float[Tensor, " B"],
        noise: Float[Tensor, " B"],
        hidden: int,
        layers: int,
        bins: int,
        generator: Generator,
    ) -> None:
        """Start at ``priors``, one per slope, with networks that are zero.

        Args:
            fitted: a mixture with as many components that resembles the source; it sets the units.
            priors: p(z) at the start; covariances must be regular.
            slopes: beta.
            noise: v, the variance of the Gaussian noise that the linear posteriors assume.
            hidden: width of both networks.
            layers: of the flow.
            bins: of each of its splines.
            generator: draws the networks' first layers.
        """
        super().__init__()
        batch, size, dim = len(priors), fitted.size, fitted.dim
        device = generator.device
        centre, overall = mixture_moments(fitted)
        prior_overall = torch.stack([mixture_moments(p)[1] for p in priors])
        values = {
            "means0": torch.stack([p.means for p in priors]),
            "log_weights0": torch.stack([p.weights for p in priors]).log(),
            "factor0": torch.stack([matrix_root(p.covs) for p in priors]),
            "unit": matrix_root(fitted.covs).expand(batch, size, dim, dim),
            "noise": noise.double(),
            "slopes": slopes.double(),
            "centre": centre.expand(batch, 1, dim),
            "whiten_x": _whitening(overall).expand(batch, dim, dim),
            "whiten_z": _whitening(prior_overall),
            "spread": matrix_root(overall).expand(batch, dim, dim),
        }
        for name, value in values.items():
            self.register_buffer(name, value.to(device).clone())

        def zeros(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64, device=device))

        self.triangle = zeros(batch, size, dim, dim)
        self.shift = zeros(batch, size, dim)
        self.tilt = zeros(batch, size)
        self.encoder = Residual(batch, dim, hidden, size * (2 * dim + 1), generator)
        self.decoder = Residual(batch, dim, hidden, dim, generator)
        self.flow = Flow(self.whiten_z, self.centre, layers, bins, generator)

    @property
    def prior_parameters(self) -> list[torch.nn.Parameter]:
        """The parameters of the mixture."""
        return [self.triangle, self.shift, self.tilt]

    @property
    def network_parameters(self) -> list[torch.nn.Parameter]:
        """The parameters of encoder, decoder and flow."""
        return [*self.encoder.parameters(), *self.decoder.parameters(), *self.flow.parameters()]

    def _prior(self) -> tuple[Tensor, Tensor, Tensor]:
        """A = A0 T with T lower triangular and exp on its diagonal, m and log w."""
        diagonal = self.triangle.diagonal(dim1=-2, dim2=-1).clamp(-12.0, 12.0)
        lower = self.triangle.tril(-1) + torch.diag_embed(diagonal.exp())
        means = self.means0 + (self.unit @ self.shift[..., None]).squeeze(-1)
        return self.factor0 @ lower, means, torch.log_softmax(self.log_weights0 + self.tilt, -1)

    def linear(self) -> Linear:
        """What follows from the prior's parameters."""
        factor, means, log_weights = self._prior()
        eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        scaled = factor.transpose(-1, -2) / self.noise[:, None, None, None]
        chol = torch.linalg.cholesky(eye + scaled @ factor)
        root = torch.linalg.solve_triangular(chol, eye.expand_as(chol), upper=False)
        root = root.transpose(-1, -2)
        return Linear(
            factor=factor,
            unfactor=torch.linalg.inv(factor),
            means=means,
            log_weights=log_weights,
            gain=root @ root.transpose(-1, -2) @ scaled,
            root=root,
            log_det=chol.diagonal(dim1=-2, dim2=-1).log().sum(-1),
        )

    def potential(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "B n"]:
        """-log E_p exp(-beta ||x - Z||^2), h and g being the identity: what ``bound`` is then.

        With v = 1 / (2 beta) it is -log sum_k w_k N(x; m_k, A_k A_k^T + v I) - (d/2) log(2 pi v),
        at a fraction of the price of ``bound``.
        """
        factor, means, log_weights = self._prior()
        eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        noise = self.noise[:, None, None, None]
        chol = torch.linalg.cholesky(factor @ factor.transpose(-1, -2) + noise * eye)
        white = torch.linalg.solve_triangular(chol, eye.expand_as(chol), upper=False)
        u = x @ white.transpose(-1, -2) - (white @ means[..., None]).transpose(-1, -2)
        log_det = (chol.diagonal(dim1=-2, dim2=-1).log() - 0.5 * noise[..., 0].log()).sum(-1)
        joint = (log_weights - log_det)[..., None] - 0.5 * u.square().sum(-1)
        return -torch.logsumexp(joint, 1)

    def posterior(
        self, x: Float[Tensor, "n d"], linear: Linear, distortion: Distortion
    ) -> Posterior:
        """e(z|x), its divergence from p(z) and its responsibilities, in closed form.

        The responsibilities are the optimal ones for g = identity, times exp of the network's.
        """
        (batch, size, dim), n = linear.means.shape, len(x)
        seen = (x - self.centre) @ self.whiten_x.transpose(-1, -2)
        out = self.encoder(seen).reshape(batch, n, size, 2 * dim + 1).transpose(1, 2)
        move, log_width, tilt = out.split([dim, dim, 1], -1)
        log_width = _LOG_WIDTH * torch.tanh(log_width / _LOG_WIDTH)
        centred = x - linear.means[:, :, None]
        root_t = linear.root.transpose(-1, -2)
        mean = centred @ linear.gain.transpose(-1, -2) + move @ root_t
        variance = (2.0 * log_width).exp()
        # row i of root^T is column i of the root: |root e_i|^2
        trace = (variance * root_t.square().sum(-1)[:, :, None]).sum(-1)
        divergence = 0.5 * (mean.square().sum(-1) + trace - dim) - log_width.sum(-1)
        divergence = divergence + linear.log_det[..., None]
        residual = mean @ linear.factor.transpose(-1, -2) - centred
        loading = linear.factor @ linear.root
        if distortion.name == "squared_error":
            energy = loading.square().sum(-2)[:, :, None]
            rho = residual.square().sum(-1) + (variance * energy).sum(-1)
        else:
            std = (variance @ loading.square().transpose(-1, -2)).clamp(min=1e-300).sqrt()
            rho = _mean_absolute(residual, std).sum(-1)
        log_responsibilities = (
            linear.log_weights[..., None]
            - divergence
            - self.slopes[:, None, None] * rho
            + tilt.squeeze(-1)
        )
        return Posterior(
            mean, log_width, divergence, rho, torch.log_softmax(log_responsibilities, 1)
        )

    def latent(
        self, posterior: Posterior, linear: Linear, labels: Int[Tensor, "B n"], generator: Generator
    ) -> Float[Tensor, "B n d"]:
        """One draw of e_k(z|x) for every symbol, k its label.

        Args:
            posterior: of n symbols.
            linear: of the same parameters.
            labels: k, (B, n).
            generator: the source of randomness.
        """
        (batch, size, n, dim), device = posterior.mean.shape, labels.device
        e = torch.randn(batch, n, dim, generator=generator, device=device, dtype=torch.float64)
        pick = labels[:, None, :, None].expand(batch, 1, n, dim)
        mean = posterior.mean.gather(1, pick)[:, 0]
        width = posterior.log_width.gather(1, pick)[:, 0].exp()
        means = linear.means.gather(1, labels[..., None].expand(batch, n, dim))
        scaled = width * e
        z = torch.zeros_like(mean)
        for k in range(size):  # cheaper than to gather a matrix for every symbol
            u = mean + scaled @ linear.root[:, k].transpose(-1, -2)
            y = u @ linear.factor[:, k].transpose(-1, -2)
            z = torch.where((labels == k)[..., None], y, z)
        return means + z

    def correction(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        """g(z) - z."""
        seen = (z - self.centre) @ self.whiten_z.transpose(-1, -2)
        out: Tensor = self.decoder(seen) @ self.spread.transpose(-1, -2)
        return out

    def bound(
        self, x: Float[Tensor, "n d"], distortion: Distortion, generator: Generator
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n"]]:
        """The rate and the distortion of every symbol, in expectation an upper bound on F.

        The rate is KL of r(x) from w and of e_k(.|x) from p_k, which is at least the divergence of
        e(z|x) from p(z). Both parts are in closed form for h = g = identity; one draw z of e_k(z|x)
        adds what h and g change. The factor ``one`` of that draw is one: it carries the gradient
        of r_k(x), by whose value k was drawn.
        """
        linear = self.linear()
        posterior = self.posterior(x, linear, distortion)
        responsibilities = posterior.log_responsibilities.exp()
        batch, size, n = responsibilities.shape
        flat = responsibilities.detach().transpose(1, 2).reshape(batch * n, size)
        labels = torch.multinomial(flat, 1, generator=generator).reshape(batch, n)
        z = self.latent(posterior, linear, labels, generator)
        wide = x.expand_as(z)
        change = _rho(distortion, wide, z + self.correction(z)) - _rho(distortion, wide, z)
        drawn = posterior.log_responsibilities.gather(1, labels[:, None])[:, 0]
        one = (drawn - drawn.detach()).exp()
        rho = (responsibilities * posterior.distortion).sum(1) + one * change
        rate = posterior.log_responsibilities - linear.log_weights[..., None] + posterior.divergence
        return (responsibilities * rate).sum(1) - one * self._gain(z, labels, linear), rho

    def _gain(
        self, z: Float[Tensor, "B n d"], labels: Int[Tensor, "B n"], linear: Linear
    ) -> Float[Tensor, "B n"]:
        """By how much the flow raises log p_k(z)."""
        h: Tensor
        gain: Tensor
        h, gain = self.flow(z)
        for k in range(linear.means.shape[1]):
            mean, unfactor = linear.means[:, k, None], linear.unfactor[:, k].transpose(-1, -2)
            before, after = (((t - mean) @ unfactor).square().sum(-1) for t in (z, h))
            gain = gain + torch.where(labels == k, 0.5 * (before - after), 0.0)
        return gain

    @torch.no_grad()
    def mixture(self) -> GaussianMixture:
        """sum_k w_k N(m_k, A_k A_k^T) of the only slope: p(z) without the flow."""
        factor, means, log_weights = (part[0] for part in self._prior())
        covs = factor @ factor.transpose(-1, -2)
        return GaussianMixture(log_weights.exp(), means, 0.5 * (covs + covs.transpose(-1, -2)))

    def density(self) -> Density:
        """p(z) of the only slope."""
        mixture = self.mixture()

        @torch.no_grad()
        def sample(n: int, generator: Generator) -> Tensor:
            z = mixture.sample(n, generator)
            return self.flow.inverse(z[None])[0]

        @torch.no_grad()
        def log_prob(z: Tensor) -> Tensor:
            h, log_det = self.flow(z.double()[None])
            out: Tensor = mixture.log_prob(h[0]) + log_det[0]
            return out

        return Density(sample, log_prob)


def _rho(distortion: Distortion, x: Tensor, y: Tensor) -> Tensor:
    """rho(x, y), differentiable in y (the protocol's gradient is written out, without a graph)."""
    if distortion.name == "squared_error":
        return (x - y).square().sum(-1)
    return (x - y).abs().sum(-1)


def _mean_absolute(mean: Tensor, std: Tensor) -> Tensor:
    """E|Z| for Z ~ N(mean, std^2)."""
    ratio = mean / std
    density = (-0.5 * ratio.square()).exp() * math.sqrt(2.0 / math.pi)
    return std * density + mean * torch.erf(ratio / math.sqrt(2.0))


def _whitening(cov: Tensor) -> Tensor:
    """W with W cov W^T near I, flat in directions of next to no variance."""
    values, vectors = torch.linalg.eigh(cov)
    raised = values.clamp(min=0.0) + _WHITENED * values[..., -1:].clamp(min=1e-300)
    white: Tensor = raised.rsqrt()[..., :, None] * vectors.transpose(-1, -2)
    return white
