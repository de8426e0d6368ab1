"""The chains of q and of p(y|x), which go on where they stopped."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.li_guyot.settings import Settings
from rdbench.fitting import Task
from rdbench.inference.experts import Experts
from rdbench.inference.langevin import adapted, mala
from rdbench.inference.lemma import SPREAD, Lemma1, Whitening, leap, scaled

TAU = 0.3
"""The first step size."""
_SLOW = 0.05  # weight of the newest spread of the chains
_LEAST = 0.02  # standard deviation of q, of the source's, that steps are still made for


class Chains:
    """For every slope ``batch`` states of q, and ``pool`` times as many pairs (x, y) of p(y|x).

    Both are moved by Metropolis-adjusted Langevin steps, and between modes by leaps and scale
    moves. A small fraction of the pairs whose turn it is gets a new symbol; where one noise is
    narrow beside q the start is as good as p(y|x), and all of them do.
    """

    def __init__(self, config: Settings, task: Task, white: Whitening) -> None:
        self.config, self.task, self.white = config, task, white
        slopes = torch.tensor(task.betas, dtype=torch.float64, device=task.device)
        self.lemma = white.lemma(slopes)
        self.symbols = white.forward(task.warm).float()
        batch, dim, g = len(slopes), task.dim, task.generator
        self.q = torch.randn(batch, config.batch, dim, generator=g, device=task.device)
        self.x = self._drawn(config.pool * config.batch)
        self.y = self.lemma.near(self.x, g)
        self.spread = torch.ones(batch, 1, dim, device=task.device)
        self.tau = torch.full((2, batch), TAU, device=task.device)
        nats = -self.lemma.spread(torch.ones_like(self.lemma.weight)).log().mean((1, 2))
        self.all_new = (nats >= config.fresh_rate)[:, None]

    def _drawn(self, n: int) -> Float[Tensor, "B n d"]:
        batch = len(self.task.betas)
        x = self.white.forward(self.task.draws.sample(batch * n)).float()
        return x.reshape(batch, n, -1)

    @property
    def widths(self) -> Float[Tensor, "B 1 d"]:
        """Standard deviations of q."""
        return self.spread.sqrt().clamp(min=_LEAST)

    def marginal(self, energy: Experts, i: int) -> Float[Tensor, "B n d"]:
        """The states of q after the moves of step i."""
        g, steps, centre = self.task.generator, self.config.langevin_steps, energy.centre.detach()
        q = self.q
        q = scaled(energy, q, centre, g) if i % 2 else leap(energy, q, self.symbols, g)
        factor = torch.diag_embed(self.widths[:, 0])
        q, rate = mala(energy.value_and_grad, q, steps, self.tau[0], factor, g, SPREAD)
        self.tau[0] = adapted(self.tau[0], rate)
        self.q = q
        self.spread = torch.lerp(self.spread, q.var(1, correction=0, keepdim=True), _SLOW)
        return q

    def conditional(
        self, energy: Experts, i: int
    ) -> tuple[Float[Tensor, "B n d"], Float[Tensor, "B n d"]]:
        """The pairs whose turn it is at step i: some get a new symbol, all are moved."""
        g, n, pool = self.task.generator, self.config.batch, self.config.pool
        turn = slice(i % pool * n, (i % pool + 1) * n)
        few = max(1, round(self.config.refresh * n))
        rows = torch.arange(i // pool * few, (i // pool + 1) * few, device=self.x.device) % n
        new = self.all_new.expand(-1, n).clone()
        new[:, rows] = True
        x = torch.where(new[..., None], self._drawn(n), self.x[:, turn])
        y = torch.where(new[..., None], self.lemma.near(x, g), self.y[:, turn])
        y[:, rows] = self.lemma.started(x[:, rows], self.q, g)
        y = moved(energy, self.lemma, self.widths, x, y, self.tau[1], self.config.langevin_steps, g)
        self.x[:, turn], self.y[:, turn] = x, y
        return x, y


def moved(
    energy: Experts,
    lemma: Lemma1,
    widths: Float[Tensor, "B 1 d"],
    x: Float[Tensor, "B n d"],
    y: Float[Tensor, "B n d"],
    tau: Float[Tensor, " B"],
    steps: int,
    generator: Generator,
) -> Float[Tensor, "B n d"]:
    """States of p(y|x) after a scale move and Langevin steps; ``tau`` is adapted in place.

    Args:
        energy: E.
        lemma: beta rho.
        widths: standard deviations of q.
        x: the symbol of every state.
        y: the states.
        tau: step sizes.
        steps: how many.
        generator: of all moves.
    """
    centre = energy.centre.detach()
    y = scaled(lambda at: energy(at) + lemma.rho(at - x), y, centre, generator)
    factor = torch.diag_embed(lemma.spread(widths)[:, 0])
    potential = lemma.potential(energy.value_and_grad, x)
    y, rate = mala(potential, y, steps, tau, factor, generator, SPREAD)
    tau[:] = adapted(tau, rate)
    return y
