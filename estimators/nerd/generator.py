"""The generator of NERD: an affine map plus a small network, and where its latents come from.

    g(z) = c + T z + L net(z),    z ~ prior.

With one component the prior is N(0, I), c + T z is the Gaussian that is optimal for a Gaussian
source (reverse water-filling), and T may be singular. Several modes need as many in the latent
law: a smooth map of one Gaussian spreads mass between them. There the prior is the mixture that
is optimal among mixtures, in coordinates in which the source has covariance I.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.em import mixture_moments
from rdbench.inference.reproduction import GoOn, always
from rdbench.sources.mixture import GaussianMixture

# Smallest variance of a component of several, over the noise 1 / (2 beta): each direction that
# ought to be inactive costs half of it in nats.
_FLOOR = 1e-3
_EM_STEPS = 15


@dataclass(frozen=True, eq=False)
class AffineStart:
    """q = law of centre + linear z with z ~ prior."""

    prior: GaussianMixture
    centre: Float[Tensor, " d"]
    linear: Float[Tensor, "d d"]


def affine_start(
    source: GaussianMixture,
    noise: float,
    x: Float[Tensor, "n d"] | None = None,
    go_on: GoOn = always,
) -> AffineStart:
    """The start for a source that is fitted by a mixture, where p(x|y) has covariance noise I.

    One component gives up ``noise`` in every direction; several do, and then take steps of
    expectation-maximisation of F(q) on ``x``, which lower it (Dempster, Laird, Rubin 1977).

    Args:
        source: the mixture that was fitted to the source.
        noise: 1 / (2 beta), a variance.
        x: draws of the source, (n, d); None takes no steps.
        go_on: asked between parts of a step; on False there are no more.
    """
    q = source.deconvolved(noise)
    eye = torch.eye(source.dim, dtype=torch.float64, device=source.means.device)
    if source.size == 1:
        prior = GaussianMixture(q.weights, torch.zeros_like(q.means), eye[None])
        return AffineStart(prior, q.means[0], symmetric_root(q.covs[0]))
    if noise > float(source.variances.min()) and x is not None:
        for _ in range(_EM_STEPS):
            improved = _improved(q, x, noise, go_on)
            if improved is None:
                break
            q = improved
    values, vectors = torch.linalg.eigh(q.covs)
    floored = values.clamp(min=_FLOOR * noise)
    covs = (vectors * floored[:, None]) @ vectors.transpose(1, 2)
    centre, overall = mixture_moments(source)
    linear = symmetric_root(overall)
    inverse = torch.linalg.inv(linear)
    white = inverse @ covs @ inverse.T
    prior = GaussianMixture(
        q.weights, (q.means - centre) @ inverse.T, 0.5 * (white + white.transpose(1, 2))
    )
    return AffineStart(prior, centre, linear)


def symmetric_root(cov: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric root: rotating the source rotates it, and with it the whole generator."""
    values, vectors = torch.linalg.eigh(cov)
    root: Tensor = (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T
    return root


def _improved(
    q: GaussianMixture, x: Float[Tensor, "n d"], noise: float, go_on: GoOn = always
) -> GaussianMixture | None:
    """One step of expectation-maximisation for X = Y + N(0, noise I), Y ~ q.

    None where ``go_on`` said no.
    """
    if not go_on():
        return None
    responsibilities = torch.softmax(q.log_joint(x, noise=noise), 1)
    counts = responsibilities.sum(0).clamp(min=1e-8)
    eye = torch.eye(q.dim, dtype=x.dtype, device=x.device)
    means, covs = [], []
    for k in range(q.size):
        if not go_on():
            return None
        gain = torch.linalg.solve(q.covs[k] + noise * eye, q.covs[k]).T
        y = q.means[k] + (x - q.means[k]) @ gain.T
        mean = responsibilities[:, k] @ y / counts[k]
        centred = y - mean
        within = noise * 0.5 * (gain + gain.T)
        means.append(mean)
        covs.append((centred * responsibilities[:, k, None]).T @ centred / counts[k] + within)
    return GaussianMixture(counts / counts.sum(), torch.stack(means), torch.stack(covs))


class ResidualGenerator(torch.nn.Module):
    """g with its affine part in float64 and the network in float32, until ``double()``."""

    centre: Tensor
    linear: Tensor
    output: Tensor

    def __init__(self, output: Float[Tensor, "d d"], hidden: int, generator: Generator):
        """A network that is zero; its outputs are mapped by ``output``, L."""
        super().__init__()
        dim = len(output)
        self.register_buffer("output", output)
        self.register_buffer("linear", torch.eye(dim).to(output))
        self.register_buffer("centre", output.new_zeros(dim))

        def normal(rows: int, columns: int, std: float) -> torch.nn.Parameter:
            w = torch.randn(rows, columns, generator=generator, device=generator.device)
            return torch.nn.Parameter(std * w)

        self.w1 = normal(dim, hidden, 1.5 / math.sqrt(dim))
        self.b1 = normal(1, hidden, 1.0)
        self.w2 = normal(hidden, hidden, 1.0 / math.sqrt(hidden))
        self.b2 = normal(1, hidden, 0.1)
        self.w3 = torch.nn.Parameter(torch.zeros(hidden, dim, device=generator.device))

    def restart(self, start: AffineStart) -> None:
        """Take over an affine part; the network stays."""
        self.centre.copy_(start.centre)
        self.linear.copy_(start.linear)

    def without_network(self) -> ResidualGenerator:
        """A copy whose network is zero again."""
        other = copy.deepcopy(self)
        torch.nn.init.zeros_(other.w3)
        return other

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """g(z) in float64."""
        h = torch.nn.functional.silu(z.to(self.w1.dtype) @ self.w1 + self.b1)
        h = torch.nn.functional.silu(h @ self.w2 + self.b2)
        correction: Tensor = (h @ self.w3).double() @ self.output.T
        return self.centre + z.double() @ self.linear.T + correction

    @torch.no_grad()
    def value_and_jacobian(
        self, z: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """g(z) and its Jacobian, transposed: rows are latents, columns outputs."""
        a = z.to(self.w1.dtype) @ self.w1 + self.b1
        slope1 = torch.sigmoid(a)
        h = a * slope1
        slope1 = slope1 + h * (1.0 - slope1)  # the derivative of SiLU
        a = h @ self.w2 + self.b2
        slope2 = torch.sigmoid(a)
        h = a * slope2
        slope2 = slope2 + h * (1.0 - slope2)
        last = self.w3.double() @ self.output.T
        chain = ((self.w1 * slope1[:, None]) @ self.w2) * slope2[:, None]
        y = self.centre + z @ self.linear.T + h.double() @ last
        return y, self.linear.T + (chain @ last.to(chain.dtype)).double()
