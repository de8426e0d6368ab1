"""One slope, frozen: the energy, its samplers and its channel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.li_guyot.chains import TAU, moved
from rdbench.inference.experts import Experts
from rdbench.inference.langevin import adapted, mala
from rdbench.inference.lemma import SPREAD, Lemma1, Whitening, leap, scaled
from rdbench.types import Claim, Energy, Gaussians, Start, TestChannel

_ROUNDS, _STEPS = 15, 4


@dataclass(frozen=True, eq=False)
class Frozen:
    """q ~ exp(-E) and p_b(y|x) ~ q exp(-b rho) of one energy, at any slope b."""

    energy: Experts
    """Of one slope, in float64."""
    white: Whitening
    kept: Float[Tensor, "1 n d"]
    """States of q, whitened."""
    widths: Float[Tensor, "1 1 d"]
    symbols: Float[Tensor, "m d"]
    """Draws of the source, whitened, for leaps."""

    @torch.no_grad()
    def sample(self, n: int, g: Generator) -> Float[Tensor, "n d"]:
        """Draws of q by chains."""
        rows = torch.randint(self.kept.shape[1], (n,), generator=g, device=g.device)
        y, tau = self.kept[:, rows], self.kept.new_full((1,), TAU)
        factor = torch.diag_embed(self.widths[:, 0])
        for _ in range(_ROUNDS):
            y = scaled(self.energy, y, self.energy.centre, g)
            y = leap(self.energy, y, self.symbols, g)
            y, rate = mala(self.energy.value_and_grad, y, _STEPS, tau, factor, g, SPREAD)
            tau = adapted(tau, rate)
        return self.white.backward(y[0])

    @torch.no_grad()
    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, slope: float, g: Generator, rounds: int = _ROUNDS
    ) -> Float[Tensor, "n k d"]:
        """Draws of p_b(y|x) at slope b by chains of so many rounds."""
        lemma = self.lemma(slope)
        wide = self.white.forward(x).repeat_interleave(k, 0)[None]
        y, tau = lemma.started(wide, self.kept, g), self.kept.new_full((1,), TAU)
        for _ in range(rounds):
            y = moved(self.energy, lemma, self.widths, wide, y, tau, _STEPS, g)
        return self.white.backward(y[0]).reshape(len(x), k, -1)

    def lemma(self, slope: float) -> Lemma1:
        """b rho in float64."""
        weight = slope * self.white.scale.double() ** self.white.power
        return Lemma1(weight[None, None], self.white.power)

    def channel(self, slope: float, claim: Claim, reason: str) -> TestChannel:
        """The channel at a slope, in the coordinates that were whitened."""
        energy, white = self.energy, self.white

        @torch.no_grad()
        def value(y: Tensor) -> Tensor:
            found: Tensor = energy(white.forward(y)[None])[0]
            return found

        def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
            found, grad = energy.value_and_grad(white.forward(y)[None])
            return found[0], grad[0] @ white.forward_map.T

        def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
            return self.sample_conditional(x, k, slope, g)

        return TestChannel(
            beta=slope,
            marginal=Energy(self.sample, value_and_grad, value),
            claim=claim,
            sample_conditional=sample_conditional,
            reason=reason,
            q_is="energy network",
            start=Start(self._normal(), "N(m, C), mean and shape of the source"),
        )

    def _normal(self) -> Gaussians:
        """q before the first step, as good as: it has a thousand degrees of freedom."""
        white = self.white
        covariance = white.backward_map.T @ white.backward_map
        return Gaussians(white.mean.new_ones(1), white.mean[None], covariance[None])
