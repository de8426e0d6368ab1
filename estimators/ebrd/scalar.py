"""Scalar energies under absolute error, frozen, and their product as a channel on R^d."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.strata import Candidates, Proposal, candidates
from rdbench.inference.energies import ReferencedEnergy
from rdbench.inference.scaling import Scaling
from rdbench.types import Claim, Energy, TestChannel

_DRAWS = (2048, 32)  # strata, and points near every symbol, of which p(y|x) is drawn
_CLAIM_DRAWS = (512, 32)
_FEWEST = 8  # strata per draw of q, where those are more
_ROWS = 500


class ScalarChannel:
    """One coordinate at one slope, in float64: q and p(y|x) as weights on strata."""

    def __init__(
        self, energy: ReferencedEnergy, scaling: Scaling, slope: Float[Tensor, " 1"]
    ) -> None:
        self._energy, self._scaling, self._slope = energy, scaling, slope
        self._proposal = Proposal(energy.mixtures())

    def value_and_grad(
        self, y: Float[Tensor, "n 1"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 1"]]:
        """E and its derivative, in source coordinates."""
        value, grad = self._energy.value_and_grad(self._scaling.forward(y)[None])
        return value[0], grad[0] / self._scaling.scale

    def _at(self, y: Float[Tensor, "1 m"]) -> Float[Tensor, "1 m"]:
        return self._energy.value_and_grad(y[..., None])[0]

    def sample(self, n: int, g: Generator) -> Float[Tensor, "n 1"]:
        """Strata of the proposal, resampled by their weights."""
        y = self._proposal.sample(max(_FEWEST * n, _DRAWS[0]), g)
        weights = torch.softmax(-self._at(y) - self._proposal.log_prob(y), 1)
        picked = torch.multinomial(weights[0], n, replacement=True, generator=g)
        return self._scaling.backward(y[0, picked, None])

    def _posterior(
        self, x: Float[Tensor, "1 n"], sizes: tuple[int, int], g: Generator
    ) -> tuple[Candidates, Float[Tensor, "n l"]]:
        """Points for p(y|x) and their log weights, strata first."""
        points = candidates(self._proposal, x, self._slope, sizes, g)
        near = self._at(points.near.flatten(1)).reshape(points.near.shape)
        log_w = points.log_weights(self._at(points.common), near, x, self._slope)
        return points, torch.cat(log_w, 2)[0]

    def sample_conditional(
        self, x: Float[Tensor, "n 1"], k: int, g: Generator
    ) -> Float[Tensor, "n k 1"]:
        """k draws of p(y|x) per row."""
        out = []
        for rows in self._scaling.forward(x).split(_ROWS):
            points, log_w = self._posterior(rows.T, _DRAWS, g)
            picked = torch.multinomial(torch.softmax(log_w, 1), k, replacement=True, generator=g)
            out.append(_points(points).gather(1, picked))
        return self._scaling.backward(torch.cat(out)[..., None])

    def claim(self, held: Float[Tensor, " n"], g: Generator) -> tuple[float, float]:
        """(R, D) on draws in standard coordinates, by sums over strata.

        log Z and log Z(x) are both low in expectation, so that F has no side.
        """
        y = self._proposal.sample(_FEWEST * _DRAWS[0], g)
        log_z = torch.logsumexp(-self._at(y) - self._proposal.log_prob(y), 1) - math.log(y.shape[1])
        log_zx = spent = 0.0
        for rows in held.split(_ROWS):
            points, log_w = self._posterior(rows[None], _CLAIM_DRAWS, g)
            rho = (_points(points) - rows[:, None]).abs()
            log_zx += float(torch.logsumexp(log_w, 1).sum()) / len(held)
            spent += float((torch.softmax(log_w, 1) * rho).sum()) / len(held)
        rate = float(log_z) - log_zx - float(self._slope) * spent
        return rate, self._scaling.distortion(spent)


def _points(points: Candidates) -> Float[Tensor, "n l"]:
    """The candidates of every symbol, strata first."""
    near = points.near[0]
    return torch.cat([points.common.expand(len(near), -1), near], 1)


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
    )
