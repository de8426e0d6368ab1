"""Annealed chains between a Gaussian mixture g and q = exp(-E) / Z, and log Z by them.

Along (1 - t) E_g + t E, with beta rho(x, .) added throughout where a symbol is given, forward
chains start from exact draws at t = 0 and give a constant low in expectation, reverse chains start
at t = 1 and give it high (Neal 2001; Grosse, Ghahramani, Adams 2015). Transitions are
Metropolis-adjusted Langevin steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import log_mean_exp
from rdbench.inference.langevin import adapted, mala, transition
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Energy

INFLATION = 1.05  # forward proposals a little wider than the fit
_NARROWING = 0.9  # reverse chains need a proposal narrower than the target
_BURN_IN = 60


@dataclass(frozen=True)
class Partition:
    """log Z: forward low, reverse high, and the halves of the reverse apart.

    The forward value is the estimate: its bias is half the variance of the weights over their
    number, while the reverse inherits the error of the chains.
    """

    forward: float
    reverse: float
    from_marginal: float
    from_conditional: float
    se: float
    ess: float
    steps: int

    @property
    def values(self) -> tuple[float, float, float, float]:
        """All that log Z may be, by one half of the reverse chains or the other."""
        return self.forward, self.reverse, self.from_marginal, self.from_conditional

    def passes(self, width: float, effective: float) -> bool:
        """Whether all differences are at most ``width`` and the weights are even enough."""
        return (
            abs(self.reverse - self.forward) <= width
            and abs(self.from_marginal - self.from_conditional) <= width
            and self.ess >= effective
        )


def settled(
    energy: Energy, g: GaussianMixture, starts: Float[Tensor, "n d"], generator: Generator
) -> Float[Tensor, "n d"]:
    """Starts of reverse chains after a burn-in.

    Draws of p(y|x) follow q only at the optimum; this settles them inside their modes.
    """
    factor = _factor(scaled(g, _NARROWING), 0.0)
    for scale in (1e-3, 1e-2, 1e-1):
        tau = torch.full((), scale, dtype=torch.float64, device=starts.device)
        starts, _ = mala(energy.value_and_grad, starts, _BURN_IN // 3, tau, factor, generator)
    return starts


def partition(
    energy: Energy,
    g: GaussianMixture,
    steps: int,
    chains: int,
    begun: tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]],
    generator: Generator,
    least: int = 0,
) -> Partition:
    """log Z of exp(-E) from chains in both directions.

    Args:
        energy: E.
        g: a mixture fitted to draws of q.
        steps: of the annealing; 1 is plain importance sampling.
        chains: forward chains, fewer where they are long.
        begun: the starts of the reverse chains, settled: draws of q, and of p(y|x) for fresh x.
        generator: of all randomness.
        least: forward chains even where they are long.
    """
    wide, narrow = scaled(g, INFLATION), scaled(g, _NARROWING)
    # Annealed weights are more even: fewer chains do, and each costs its steps.
    fewer = 1 if steps == 1 else 2 * max(1, steps // 20)
    count = max(chains // fewer, min(chains, 1000), least)
    forward, _ = anneal(energy, wide, None, wide.sample(count, generator), steps, generator)
    halves = []
    for starts in begun:
        # Annealed chains are fewer in either direction.
        starts = starts[: max(count // 4, 500)]
        log_w, _ = anneal(energy, narrow, None, starts, steps, generator, reverse=True)
        halves.append(log_w)
    reverse = torch.cat(halves)
    weights, n = torch.softmax(forward, 0), len(forward)
    return Partition(
        forward=float(log_mean_exp(forward, 0)),
        reverse=-float(log_mean_exp(-reverse, 0)),
        from_marginal=-float(log_mean_exp(-halves[0], 0)),
        from_conditional=-float(log_mean_exp(-halves[1], 0)),
        se=float((weights * n).std()) / math.sqrt(n),
        ess=float(1.0 / (weights.square().sum() * n)),
        steps=steps,
    )


def anneal(
    energy: Energy,
    g: GaussianMixture,
    condition: tuple[Tensor, float] | None,
    y: Tensor,
    steps: int,
    generator: Generator,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Log weights (in the forward sense) and the last states of chains between g and q.

    One step is plain importance sampling: no transition is needed.

    Args:
        energy: E of q.
        g: the mixture at the other end.
        condition: symbols (n, d) and the slope; None without.
        y: the first states (n, d).
        steps: of the annealing.
        generator: of all draws.
        reverse: start at q.
    """
    if steps == 1:
        return -energy.at(y) - g.log_prob(y), y
    beta = 0.0 if condition is None else condition[1]
    factor = _factor(g, beta)
    tau = torch.full((), 0.3, dtype=torch.float64, device=y.device)
    log_w = torch.zeros(len(y), dtype=torch.float64, device=y.device)
    ends = _Ends.at(energy, g, y)
    grid = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64).tolist()
    for k in range(steps, 0, -1) if reverse else range(1, steps + 1):
        step = grid[k] - grid[k - 1]
        if not reverse:
            log_w = log_w - step * (ends.e - ends.r)
        y, ends, acceptance = _moved(energy, g, condition, grid[k], y, ends, tau, factor, generator)
        tau = adapted(tau, acceptance)
        if reverse:
            log_w = log_w - step * (ends.e - ends.r)
    return log_w, y


class _Ends(NamedTuple):
    """E and E_g at some states, with their gradients: all potentials between are made of these."""

    e: Float[Tensor, " n"]
    de: Float[Tensor, "n d"]
    r: Float[Tensor, " n"]
    dr: Float[Tensor, "n d"]

    @classmethod
    def at(cls, energy: Energy, g: GaussianMixture, y: Float[Tensor, "n d"]) -> _Ends:
        """Both at y."""
        return cls(*energy.value_and_grad(y), *g.energy_and_grad(y))

    def between(
        self, t: float, y: Float[Tensor, "n d"], condition: tuple[Tensor, float] | None
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """(1 - t) E_g + t E, with beta rho(x, .) where a symbol is given, and its gradient."""
        value, grad = torch.lerp(self.r, self.e, t), torch.lerp(self.dr, self.de, t)
        if condition is not None:
            x, beta = condition
            value = value + beta * (y - x).square().sum(1)
            grad = grad + 2.0 * beta * (y - x)
        return value, grad


def _moved(
    energy: Energy,
    g: GaussianMixture,
    condition: tuple[Tensor, float] | None,
    t: float,
    y: Tensor,
    ends: _Ends,
    tau: Tensor,
    factor: Tensor,
    generator: Generator,
) -> tuple[Tensor, _Ends, Tensor]:
    """The states after one Langevin step at t, what is known at them, and the acceptance."""
    met: list[_Ends] = []

    def potential(y: Tensor) -> tuple[Tensor, Tensor]:
        met.append(_Ends.at(energy, g, y))
        return met[-1].between(t, y, condition)

    value, grad = ends.between(t, y, condition)
    proposal, _, _, accept = transition(
        potential, y, value, grad @ factor, tau[None], factor, generator
    )

    def kept(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(accept[:, None] if old.ndim == 2 else accept, new, old)

    moved = _Ends(*(kept(*pair) for pair in zip(ends, met[-1], strict=True)))
    return kept(y, proposal), moved, accept.to(y.dtype).mean()


def _factor(g: GaussianMixture, beta: float) -> Tensor:
    """A square root of the pooled covariance within components, given x where beta > 0."""
    pooled = (g.weights[:, None, None] * g.covs).sum(0)
    values, vectors = torch.linalg.eigh(pooled)
    values = values.clamp(min=1e-300)
    root: Tensor = vectors * (values / (1.0 + 2.0 * beta * values)).sqrt()
    return root


def scaled(g: GaussianMixture, scale: float) -> GaussianMixture:
    """The mixture with its covariances scaled."""
    return GaussianMixture(g.weights, g.means, g.covs * scale)
