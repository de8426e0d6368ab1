"""Scalar energies under absolute error, and their product as a test channel on R^d."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.strata import Proposal, candidates
from rdbench.inference.networks import BatchedMLP, single
from rdbench.inference.scaling import Scaling
from rdbench.sources.mixture import LOG_2PI, GaussianMixture
from rdbench.types import Claim, Energy, TestChannel

_DRAWS = (2048, 32)  # strata, and points near every symbol, of which p(y|x) is drawn
_CLAIM_DRAWS = (512, 32)
_FEWEST = 8  # strata per draw of q, where those are more
_ROWS = 500


class ScalarEnergies(torch.nn.Module):
    """B energies E(y) = -log p_ref(y) + MLP(y) on the line, with K components of p_ref each.

    The mixture is learned with the network: component k has the mean m + a0^-1 shift and the
    standard deviation exp(-stretch) / a0, where m and 1 / a0 are those it was built with. The
    network sees y less the mixture's overall mean, over its overall standard deviation.
    """

    means0: Tensor
    log_weights0: Tensor
    factor0: Tensor
    unfactor0: Tensor
    centre: Tensor
    whiten: Tensor

    def __init__(
        self, mixtures: Sequence[GaussianMixture], hidden: int, generator: Generator
    ) -> None:
        super().__init__()
        weights = torch.stack([m.weights for m in mixtures])
        means = torch.stack([m.means[:, 0] for m in mixtures])
        variances = torch.stack([m.covs[:, 0, 0] for m in mixtures])
        factor = (1.0 / variances).sqrt()
        centre = (weights * means).sum(1, keepdim=True)
        overall = (weights * (variances + (means - centre).square())).sum(1, keepdim=True)
        for name, value in {
            "means0": means,
            "log_weights0": weights.log(),
            "factor0": factor,
            "unfactor0": 1.0 / factor,
            "centre": centre,
            "whiten": (1.0 / overall).sqrt(),
        }.items():
            self.register_buffer(name, value.float())
        self.stretch, self.shift, self.tilt = (
            torch.nn.Parameter(torch.zeros_like(self.means0)) for _ in range(3)
        )
        self.network = BatchedMLP(len(mixtures), 1, hidden, generator)

    @property
    def reference_parameters(self) -> list[torch.nn.Parameter]:
        """The parameters of p_ref."""
        return [self.stretch, self.shift, self.tilt]

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """1 / std, the means, and log w_k + log(1 / std), all (B, K)."""
        factor = self.factor0 * self.stretch.exp()
        means = self.means0 + self.shift * self.unfactor0
        log_weights = torch.log_softmax(self.log_weights0 + self.tilt, -1)
        return factor, means, log_weights + factor.log()

    def _joint(self, y: Float[Tensor, "B n"]) -> tuple[Tensor, Tensor, Tensor]:
        """log w_k N(y; k) but for its constant (B, K, n), the residuals, and 1 / std."""
        factor, means, heights = self._parts()
        # As a product of matrices: the gradient in 1 / std, a sum over all y, is one then too.
        z = ((y[:, None] - means[..., None])[..., None] @ factor[..., None, None])[..., 0]
        return heights[..., None] - 0.5 * z.square(), z, factor

    def _seen(self, y: Float[Tensor, "B n"]) -> Float[Tensor, "B n 1"]:
        """y as the network sees it."""
        return ((y - self.centre) * self.whiten)[..., None]

    def forward(self, y: Float[Tensor, "B n"]) -> Float[Tensor, "B n"]:
        """E(y), differentiable in the parameters."""
        reference = 0.5 * LOG_2PI - torch.logsumexp(self._joint(y)[0], 1)
        out: Tensor = reference + self.network(self._seen(y))
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n"]]:
        """E(y) and its derivative."""
        joint, z, factor = self._joint(y)
        log_p = torch.logsumexp(joint, 1)
        responsibilities = (joint - log_p[:, None]).exp()
        grad = (responsibilities * (z * factor[..., None])).sum(1)
        value, network_grad = self.network.value_and_grad(self._seen(y))
        value = value + 0.5 * LOG_2PI - log_p
        return value, grad + network_grad[..., 0] * self.whiten

    @torch.no_grad()
    def mixtures(self) -> list[GaussianMixture]:
        """p_ref of every energy, in float64."""
        factor, means, _ = self._parts()
        weights = torch.softmax((self.log_weights0 + self.tilt).double(), -1)
        variances = 1.0 / (factor.double() * factor.double())
        return [
            GaussianMixture(w, m[:, None], v[:, None, None])
            for w, m, v in zip(weights, means.double(), variances, strict=True)
        ]

    def single(self, index: int) -> ScalarEnergies:
        """One energy, frozen, in float64."""
        return single(self, index).double()


class ScalarChannel:
    """One coordinate at one slope, in float64: q and p(y|x) as weights on strata."""

    def __init__(
        self, energy: ScalarEnergies, scaling: Scaling, slope: Float[Tensor, " 1"]
    ) -> None:
        self._energy, self._scaling, self._slope = energy, scaling, slope
        self._proposal = Proposal(energy.mixtures())

    def value_and_grad(
        self, y: Float[Tensor, "n 1"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 1"]]:
        """E and its derivative, in the coordinates before ``scaling``."""
        value, grad = self._energy.value_and_grad(self._scaling.forward(y).T)
        return value[0], grad.T / self._scaling.scale

    def _at(self, y: Float[Tensor, "1 m"]) -> Float[Tensor, "1 m"]:
        return self._energy.value_and_grad(y)[0]

    def sample(self, n: int, g: Generator) -> Float[Tensor, "n 1"]:
        """Strata of the proposal, resampled by their weights."""
        y = self._proposal.sample(max(_FEWEST * n, _DRAWS[0]), g)
        weights = torch.softmax(-self._at(y) - self._proposal.log_prob(y), 1)
        picked = torch.multinomial(weights[0], n, replacement=True, generator=g)
        return self._scaling.backward(y[0, picked, None])

    def _posterior(
        self, x: Float[Tensor, "1 n"], sizes: tuple[int, int], g: Generator
    ) -> tuple[Float[Tensor, "n l"], Float[Tensor, "n l"]]:
        """Points for p(y|x) and their log weights, strata first."""
        points = candidates(self._proposal, x, self._slope, sizes, g)
        near = self._at(points.near.flatten(1)).reshape(points.near.shape)
        log_w = points.log_weights(self._at(points.common), near, x, self._slope)
        near = points.near[0]
        return torch.cat([points.common.expand(len(near), -1), near], 1), torch.cat(log_w, 2)[0]

    def sample_conditional(
        self, x: Float[Tensor, "n 1"], k: int, g: Generator
    ) -> Float[Tensor, "n k 1"]:
        """k draws of p(y|x) per row."""
        out = []
        for rows in self._scaling.forward(x).split(_ROWS):
            points, log_w = self._posterior(rows.T, _DRAWS, g)
            picked = torch.multinomial(torch.softmax(log_w, 1), k, replacement=True, generator=g)
            out.append(points.gather(1, picked))
        return self._scaling.backward(torch.cat(out)[..., None])

    def claim(self, x: Float[Tensor, " n"], g: Generator) -> tuple[float, float]:
        """(R, D) on symbols in standard coordinates, by sums over strata.

        log Z and log Z(x) are both low in expectation, so that F has no side.
        """
        y = self._proposal.sample(_FEWEST * _DRAWS[0], g)
        log_z = torch.logsumexp(-self._at(y) - self._proposal.log_prob(y), 1) - math.log(y.shape[1])
        log_zx = distortion = 0.0
        for rows in x.split(_ROWS):
            points, log_w = self._posterior(rows[None], _CLAIM_DRAWS, g)
            rho = (points - rows[:, None]).abs()
            log_zx += float(torch.logsumexp(log_w, 1).sum()) / len(x)
            distortion += float((torch.softmax(log_w, 1) * rho).sum()) / len(x)
        rate = float(log_z) - log_zx - float(self._slope) * distortion
        return rate, self._scaling.distortion(distortion)


def product(beta: float, parts: Sequence[ScalarChannel], claim: Claim) -> TestChannel:
    """E(y) = sum_i E_i(y_i): q and p(y|x) are products over the coordinates."""

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        found = [part.value_and_grad(z) for part, z in zip(parts, y.split(1, dim=1), strict=True)]
        return torch.stack([v for v, _ in found]).sum(0), torch.cat([g for _, g in found], 1)

    def sample(n: int, g: Generator) -> Tensor:
        return torch.cat([part.sample(n, g) for part in parts], 1)

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        each = zip(parts, x.split(1, dim=1), strict=True)
        return torch.cat([part.sample_conditional(z, k, g) for part, z in each], 2)

    return TestChannel(
        beta=beta,
        marginal=Energy(sample=sample, value_and_grad=value_and_grad),
        claim=claim,
        sample_conditional=sample_conditional,
        q_is="energy network on a mixture",
    )
