"""The symbols that atoms are fitted to, and the sums over them that the method is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import log_sum_exp

_BINS, _LEAST_BINS, _RESOLUTION = 3000, 600, 4.0
_FLOOR = -700.0


@dataclass(frozen=True, eq=False)
class Atoms:
    """Points and log weights that sum to one, in standard coordinates."""

    y: Float[Tensor, "m d"]
    log_w: Float[Tensor, " m"]


@dataclass(frozen=True, eq=False)
class Step:
    """One fixed-point step (`Symbols.step`)."""

    ahead: Atoms
    free_energy: float
    """F of the atoms before the step, in nats."""


@dataclass(frozen=True, eq=False)
class Symbols:
    """Symbols x_i with weights p_i that sum to one, under squared error."""

    x: Float[Tensor, "n d"]
    p: Float[Tensor, " n"]

    @classmethod
    def of(cls, draws: Float[Tensor, "n d"], beta: float) -> Symbols:
        """Draws; on a line those of a bin, a quarter of 1 / sqrt(2 beta) wide, as their mean.

        Args:
            draws: of the source.
            beta: the largest slope that they are for.
        """
        n, d = draws.shape
        if d > 1:
            return cls(draws, draws.new_full((n,), 1.0 / n))
        values = draws[:, 0]
        lo, hi = float(values.min()), float(values.max())
        wanted = (hi - lo) * math.sqrt(2.0 * beta) * _RESOLUTION
        bins = int(min(max(wanted, _LEAST_BINS), _BINS))
        place = ((values - lo) * (bins / max(hi - lo, 1e-300))).long().clamp(max=bins - 1)
        count = torch.zeros(bins, dtype=values.dtype, device=values.device)
        total = torch.zeros_like(count)
        count.index_add_(0, place, torch.ones_like(values))
        total.index_add_(0, place, values)
        kept = count > 0
        return cls((total[kept] / count[kept])[:, None], count[kept] / n)

    def posterior(
        self, atoms: Atoms, beta: float
    ) -> tuple[Float[Tensor, "n m"], Float[Tensor, " n"]]:
        """p(j|i) = w_j exp(-beta |x_i - y_j|^2) / Z_i, and log Z_i."""
        logits = self.tilted(atoms.y, beta).add_(atoms.log_w)
        top = logits.amax(1, keepdim=True)
        terms = logits.sub_(top).clamp_(min=_FLOOR).exp_()
        z = terms.sum(1, keepdim=True)
        return terms.div_(z), (z.log() + top)[:, 0]

    def step(self, atoms: Atoms, beta: float, weights: bool = True) -> Step:
        """y_j <- sum_i p_i p(j|i) x_i / sum_i p_i p(j|i), w_j <- sum_i p_i p(j|i); F never rises.

        Args:
            atoms: before it.
            beta: the slope.
            weights: False leaves them as they are.
        """
        posterior, log_z = self.posterior(atoms, beta)
        joint = posterior.mul_(self.p[:, None])
        mass = joint.sum(0).clamp(min=1e-300)
        y = (joint.T @ self.x) / mass[:, None]
        log_w = (mass / mass.sum()).log() if weights else atoms.log_w
        return Step(Atoms(y, log_w), -float(self.p @ log_z))

    def spread(
        self, atoms: Atoms, beta: float, rounds: int
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, "m d"]]:
        """The largest eigenvalue of Cov(X | y_j) for every atom, and its unit vector.

        Power iteration from the principal axis of the source; exact on a line.
        """
        posterior, _ = self.posterior(atoms, beta)
        joint = posterior.mul_(self.p[:, None])
        mass = joint.sum(0).clamp(min=1e-300)
        mean = (joint.T @ self.x) / mass[:, None]
        centred = self.x - self.p @ self.x
        axis = torch.linalg.eigh(centred.T @ (self.p[:, None] * centred)).eigenvectors[:, -1]
        v = axis.expand_as(mean)
        value = mass
        for _ in range(rounds if self.x.shape[1] > 1 else 1):
            along = self.x @ v.T - (mean * v).sum(1)
            moved = (joint * along).T @ self.x / mass[:, None]
            moved = moved - ((joint * along).sum(0) / mass)[:, None] * mean
            value = moved.norm(dim=1)
            v = torch.where(value[:, None] > 0.0, moved / value.clamp(min=1e-300)[:, None], v)
        return value, v

    def log_c(self, atoms: Atoms, beta: float, y: Float[Tensor, "k d"]) -> Float[Tensor, " k"]:
        """log c(y) = log sum_i p_i exp(-beta |x_i - y|^2) / Z_i: above 0, an atom at y lowers F."""
        _, log_z = self.posterior(atoms, beta)
        return log_sum_exp(self.tilted(y, beta).add_((self.p.log() - log_z)[:, None]), 0)

    def tilted(self, y: Float[Tensor, "m d"], beta: float) -> Float[Tensor, "n m"]:
        """-beta |x_i - y_j|^2; centred and of unit scale, an expanded square loses nothing."""
        if self.x.shape[1] == 1:
            return (self.x - y.T).square_().mul_(-beta)
        out = torch.addmm(y.square().sum(1), self.x, y.T, beta=-beta, alpha=2.0 * beta)
        return out.sub_(beta * self.x.square().sum(1, keepdim=True))
