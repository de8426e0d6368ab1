"""Energies with a sampler inside: E(y) = -log p_ref(y) + MLP(y), one per slope, as one batch.

p_ref is a Gaussian mixture whose parameters are learned together with the network. It can be
drawn exactly, and so can p_ref(y|x), proportional to p_ref(y) exp(-beta ||x - y||^2): chains
start close to their target and jump between modes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.networks import BatchedMLP, single
from rdbench.sources.mixture import LOG_2PI, GaussianMixture


class ReferencedEnergy(torch.nn.Module):
    """B energies on R^d with K reference components each.

    Component k of slope b has mean m + A0^-T shift and precision A A^T, A = A0 T with T lower
    triangular and exp on its diagonal; at T = I, shift = 0 it is the mixture it was built from.
    The network sees y whitened by that mixture's overall mean and covariance.
    """

    means0: Tensor
    log_weights0: Tensor
    factor0: Tensor
    unfactor0: Tensor
    centre: Tensor
    whiten: Tensor
    network: BatchedMLP

    def __init__(self, mixtures: Sequence[GaussianMixture], hidden: int, generator: Generator):
        super().__init__()
        batch, size, dim = len(mixtures), mixtures[0].size, mixtures[0].dim
        dev = generator.device
        means = torch.stack([m.means for m in mixtures]).to(dev)
        covs = torch.stack([m.covs for m in mixtures]).to(dev)
        log_weights = torch.stack([m.weights for m in mixtures]).log().to(dev)
        factor = torch.linalg.cholesky(torch.linalg.inv(covs))
        centre, overall = _overall(log_weights.exp(), means, covs)
        for name, value in {
            "means0": means,
            "log_weights0": log_weights,
            "factor0": factor,
            "unfactor0": torch.linalg.inv(factor),
            "centre": centre[:, None, :],
            "whiten": torch.linalg.cholesky(torch.linalg.inv(overall)),
        }.items():
            self.register_buffer(name, value.float())
        self.triangle = torch.nn.Parameter(torch.zeros(batch, size, dim, dim, device=dev))
        self.shift = torch.nn.Parameter(torch.zeros(batch, size, dim, device=dev))
        self.tilt = torch.nn.Parameter(torch.zeros(batch, size, device=dev))
        self.network = BatchedMLP(batch, dim, hidden, generator)

    @property
    def reference_parameters(self) -> list[torch.nn.Parameter]:
        """The parameters of p_ref."""
        return [self.triangle, self.shift, self.tilt]

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """A (B, K, d, d), the means (B, K, d), and log w_k + log det A (B, K)."""
        diagonal = self.triangle.diagonal(dim1=-2, dim2=-1)
        lower = self.triangle.tril(-1) + torch.diag_embed(diagonal.exp())
        factor = self.factor0 @ lower
        means = self.means0 + (self.shift[..., None, :] @ self.unfactor0).squeeze(-2)
        log_weights = torch.log_softmax(self.log_weights0 + self.tilt, -1)
        return factor, means, log_weights + factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def forward(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """E(y), differentiable in the parameters."""
        factor, means, heights = self._parts()
        z = (y[:, None] - means[:, :, None]) @ factor
        joint = heights[..., None] - 0.5 * z.square().sum(-1)
        reference = 0.5 * y.shape[-1] * LOG_2PI - torch.logsumexp(joint, 1)
        return reference + self.correction(y)

    def correction(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """The network's part of E."""
        out: Tensor = self.network((y - self.centre) @ self.whiten)
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """E(y) and its gradient in y."""
        factor, means, heights = self._parts()
        z = (y[:, None] - means[:, :, None]) @ factor
        joint = heights[..., None] - 0.5 * z.square().sum(-1)
        log_p = torch.logsumexp(joint, 1)
        share = (joint - log_p[:, None]).exp()[..., None]
        grad = (share * (z @ factor.transpose(-1, -2))).sum(1)
        value, network_grad = self.network.value_and_grad((y - self.centre) @ self.whiten)
        value = value + 0.5 * y.shape[-1] * LOG_2PI - log_p
        return value, grad + network_grad @ self.whiten.transpose(-1, -2)

    @torch.no_grad()
    def mixtures(self) -> list[GaussianMixture]:
        """p_ref of every slope, in float64."""
        factor, means, _ = self._parts()
        weights = torch.softmax((self.log_weights0 + self.tilt).double(), -1)
        covs = torch.linalg.inv(factor.double() @ factor.double().transpose(-1, -2))
        return [
            GaussianMixture(w, m, 0.5 * (c + c.transpose(-1, -2)))
            for w, m, c in zip(weights, means.double(), covs, strict=True)
        ]

    def single(self, index: int) -> ReferencedEnergy:
        """The energy of one slope, frozen, in float64."""
        return single(self, index).double()


class ReferenceSampler:
    """Exact draws of p_ref and of p_ref(y|x) under squared error, batched over slopes.

    Holds the factors of one state of the reference, float32, for many draws.
    """

    def __init__(self, mixtures: Sequence[GaussianMixture], betas: Float[Tensor, " B"]) -> None:
        covs = torch.stack([m.covs for m in mixtures])
        self.weights = torch.stack([m.weights for m in mixtures]).float()
        self.means = torch.stack([m.means for m in mixtures]).float()
        eye = torch.eye(covs.shape[-1], dtype=torch.float64, device=covs.device)
        noisy = covs + eye / (2.0 * betas.double())[:, None, None, None]
        gain = covs @ torch.linalg.inv(noisy)
        posterior = gain / (2.0 * betas.double())[:, None, None, None]
        self.root = _root(covs).float()
        self.gain = gain.float()
        self.posterior_root = _root(0.5 * (posterior + posterior.transpose(-1, -2))).float()
        self.noisy_inverse_root = torch.linalg.inv(torch.linalg.cholesky(noisy)).float()
        self.noisy_log_det = torch.linalg.slogdet(noisy).logabsdet.float()
        pooled = (self.weights.double()[..., None, None] * covs).sum(1)
        precision = torch.linalg.inv(pooled) + 2.0 * betas.double()[:, None, None] * eye
        self.factor = _root(pooled).float()
        """Preconditioner of marginal chains (B, d, d)."""
        self.conditional_factor = _root(torch.linalg.inv(precision)).float()
        """Preconditioner of conditional chains (B, d, d)."""

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "B n d"]:
        """n draws of every p_ref."""
        batch, dim = self.means.shape[0], self.means.shape[2]
        labels = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        rows = torch.arange(batch, device=labels.device)[:, None]
        z = torch.randn(batch, n, dim, generator=generator, device=labels.device)
        return self.means[rows, labels] + _apply(self.root, labels, z)

    def sample_conditional(
        self, x: Float[Tensor, "B n d"], generator: Generator
    ) -> Float[Tensor, "B n d"]:
        """One draw of p_ref(y|x) per row of x."""
        centred = x[:, None] - self.means[:, :, None]
        z = centred @ self.noisy_inverse_root.transpose(-1, -2)
        joint = self.weights.log()[..., None] - 0.5 * z.square().sum(-1)
        joint = joint - 0.5 * self.noisy_log_det[..., None]
        u = torch.rand(joint.shape, generator=generator, device=x.device)
        labels = (joint - torch.log(-torch.log(u.clamp(1e-20, 1.0 - 1e-7)))).argmax(1)
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        means = self.means[rows, labels]
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        return (
            means
            + _apply(self.gain, labels, x - means)
            + _apply(self.posterior_root, labels, noise)
        )


def _apply(
    matrices: Float[Tensor, "B K d d"], labels: Tensor, z: Float[Tensor, "B n d"]
) -> Float[Tensor, "B n d"]:
    """matrices[b, labels[b, i]] z[b, i], without gathering n matrices when K is small."""
    out = torch.zeros_like(z)
    for k in range(matrices.shape[1]):
        product = z @ matrices[:, k].transpose(-1, -2)
        out = torch.where((labels == k)[..., None], product, out)
    return out


def _root(covs: Tensor) -> Tensor:
    """A square root V diag(sqrt(values)) that also exists for singular covariances."""
    values, vectors = torch.linalg.eigh(covs)
    root: Tensor = vectors * values.clamp(min=0.0).sqrt()[..., None, :]
    return root


def _overall(weights: Tensor, means: Tensor, covs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, d) and covariance (B, d, d) of each mixture."""
    centre = (weights[..., None] * means).sum(1)
    spread = means - centre[:, None]
    outer = spread[..., :, None] * spread[..., None, :]
    return centre, (weights[..., None, None] * (covs + outer)).sum(1)


class Correction(torch.nn.Module):
    """B networks f_b: R^d -> R that tilt a reference: q is proportional to p_ref exp(-f).

    All see y in the same coordinates, whitened by the covariance of the source, so that what one
    slope has learned can start another.
    """

    centre: Tensor
    whiten: Tensor

    def __init__(
        self,
        batch: int,
        mean: Float[Tensor, " d"],
        cov: Float[Tensor, "d d"],
        hidden: int,
        generator: Generator,
    ) -> None:
        super().__init__()
        eye = torch.eye(len(mean), dtype=cov.dtype, device=cov.device)
        # A source may be degenerate: no direction is blown up by more than a hundred.
        regular = cov + 1e-4 * cov.diagonal().mean() * eye
        whiten = torch.linalg.inv(torch.linalg.cholesky(regular)).T
        self.register_buffer("centre", mean.expand(batch, 1, -1).float())
        self.register_buffer("whiten", whiten.expand(batch, -1, -1).float())
        self.network = BatchedMLP(batch, len(mean), hidden, generator)

    def forward(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """f_b(y)."""
        out: Tensor = self.network((y - self.centre) @ self.whiten)
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """f_b(y) and its gradient in y."""
        value, grad = self.network.value_and_grad((y - self.centre) @ self.whiten)
        return value, grad @ self.whiten.transpose(-1, -2)

    def single(self, index: int) -> Correction:
        """The network of one slope, frozen, in float64."""
        return single(self, index).double()

    def repeated(self, batch: int) -> Correction:
        """The first network as the start of ``batch`` of them."""
        copies = single(self, 0)
        for part in copies.modules():
            for name, weight in list(part.named_parameters(recurse=False)):
                shape = (batch, *weight.shape[1:])
                setattr(part, name, torch.nn.Parameter(weight.detach().expand(shape).clone()))
            for name, value in list(part.named_buffers(recurse=False)):
                setattr(part, name, value.expand(batch, *value.shape[1:]).clone())
        return copies


def widened(mixture: GaussianMixture) -> GaussianMixture:
    """The mixture with copies of its overall covariance added, from wide to nearly an atom.

    A start for a reference that must cover heavier tails than the fit and the atom near the
    median that absolute error tends to at low rates.
    """
    centre, overall = _overall(mixture.weights[None], mixture.means[None], mixture.covs[None])
    added = mixture.weights.new_tensor([0.1, 0.2, 0.1, 0.1])
    scales = mixture.weights.new_tensor([6.0, 0.1, 0.01, 1e-4])
    return GaussianMixture(
        torch.cat([mixture.weights * (1.0 - added.sum()), added]),
        torch.cat([mixture.means, centre.expand(len(scales), -1)]),
        torch.cat([mixture.covs, scales[:, None, None] * overall]),
        mixture.name,
    )


def cosine(done: float, hold: float = 0.35) -> float:
    """Learning-rate factor: 1 until ``hold``, then a half cosine down to 0.01."""
    if done < hold:
        return 1.0
    return max(0.01, 0.5 * (1.0 + math.cos(math.pi * (done - hold) / (1.0 - hold))))
