"""The two trainings: the energies by their chains, then the statistics networks on their pairs."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.li_guyot.chains import Chains
from rdbench.estimators.li_guyot.frozen import Frozen
from rdbench.estimators.li_guyot.mine import Critic, Values, best_scale, bound, trained, values
from rdbench.estimators.li_guyot.settings import Settings
from rdbench.fitting import NO_CLAIM, RunningMean, Task, cosine, iterate, stopped
from rdbench.inference.experts import Experts
from rdbench.inference.lemma import Whitening
from rdbench.types import Claim, TestChannel

_NORMAL = 1000.0  # degrees of freedom at the start: q is normal
_LINEAR = 5.0  # times the learning rate: of the coefficients
_PARTS = 2


def channels(config: Settings, task: Task) -> Iterator[TestChannel]:
    """The channels of a problem in standard coordinates."""
    fit = Fit(config, task)
    done = fit.train_energies() and fit.train_critics()
    held_out = task.draws.held_out(max(1, config.claim_pairs // 2))
    x = task.draws.claim(config.claim_pairs)
    for i, slope in enumerate(task.betas):
        frozen = fit.frozen(i)
        claim = fit.claim(i, frozen, x, held_out)
        made = frozen.channel(slope, claim, _reason(claim, len(x)))
        if not done:
            yield stopped(made)
        elif fit.critic_steps < config.critic_steps:
            # Fewer steps leave a bound that is nats too low where the rate is some nats.
            why = f"{fit.critic_steps} of {config.critic_steps} steps of the statistics network"
            yield replace(made, status="not_converged", reason=f"{why}; {made.reason}")
        else:
            yield made


def _reason(claim: Claim, pairs: int) -> str:
    limit = math.log(max(pairs, 1))
    near = "; it is near that limit" if claim.rate > limit - 1.0 else ""
    return (
        "the claimed rate is that of MINE: a lower bound of I(X; Y), no bound of R(D), and at most "
        f"about log N = {limit:.2g} nats on {pairs} pairs{near}"
    )


class Fit:
    """Energies, statistics networks and chains of all slopes."""

    def __init__(self, config: Settings, task: Task) -> None:
        self.config, self.task = config, task
        white = Whitening.of(task.warm, task.distortion.name == "squared_error")
        self.chains = Chains(config, task, white)
        g, batch = task.generator, len(task.betas)
        self.energy = Experts(batch, task.dim, config.hidden, g, axes=white.power == 1)
        with torch.no_grad():
            self.energy.log_degrees.fill_(math.log(_NORMAL))
        self.average = RunningMean(self.energy, config.averaging)
        self.critic = self._critic()
        self.mean_critic = RunningMean(self.critic, config.averaging)
        parts = (self.energy, self.critic)
        task.monitor.count(parameters=sum(p.numel() for m in parts for p in m.parameters()))

    def _critic(self) -> Critic:
        known = self.chains.lemma if self.config.critic == "lemma" else None
        batch, dim = len(self.task.betas), self.task.dim
        return Critic(batch, dim, self.config.critic_hidden, self.task.generator, known)

    def with_critic(self, config: Settings) -> Fit:
        """The same energies and chains, with untrained statistics networks of other settings."""
        other = copy.copy(self)
        other.config = config
        other.critic = other._critic()
        other.mean_critic = RunningMean(other.critic, config.averaging)
        return other

    def train_energies(self) -> bool:
        """Positive less negative phase, all slopes at once; False where the budget ends."""
        config, energy = self.config, self.energy
        linear = list(energy.coefficients())
        known = {id(p) for p in linear}
        others = [p for p in energy.parameters() if id(p) not in known]
        rate = config.learning_rate
        optimiser = torch.optim.Adam(
            [{"params": others, "lr": rate}, {"params": linear, "lr": _LINEAR * rate}],
            betas=(0.5, 0.99),
        )
        steps = max(1, round(config.iterations * self.task.monitor.effort))
        decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / steps, 0.1))

        def step(i: int) -> bool:
            _, positive = self.chains.conditional(energy, i)
            negative = self.chains.marginal(energy, i)
            optimiser.zero_grad()
            (energy(positive).mean(1) - energy(negative).mean(1)).sum().backward()
            optimiser.step()
            decay.step()
            self.average.update()
            return True

        def looks() -> list[TestChannel]:
            return [
                self.frozen(i).channel(slope, NO_CLAIM, "")
                for i, slope in enumerate(self.task.betas)
            ]

        return iterate(self.task.monitor, steps, step, looks, part=(0, _PARTS))

    @property
    def critic_steps(self) -> int:
        """How many the effort allows."""
        return max(1, round(self.config.critic_steps * self.task.monitor.effort))

    def train_critics(self) -> bool:
        """MINE on the conditional chains of the energies as they are now."""
        monitor, energy = self.task.monitor, self.average.mean
        steps = self.critic_steps

        def pairs(i: int) -> tuple[Tensor, Tensor]:
            if i % self.config.pool == 0:
                self.chains.marginal(energy, i)  # starts of new pairs
            return self.chains.conditional(energy, i)

        def go_on(done: float) -> bool:
            monitor.count(gradient_steps=1)
            return monitor.advance((1.0 + done) / _PARTS)

        critic, mean = self.critic, self.mean_critic
        return trained(self.config, critic, mean, pairs, steps, go_on, self.task.generator)

    def frozen(self, index: int) -> Frozen:
        """One slope as it is now."""
        chains, energy = self.chains, self.average.mean.single(index)
        rows = slice(index, index + 1)
        return Frozen(
            energy,
            chains.white,
            chains.q[rows].double(),
            chains.widths[rows].double(),
            chains.symbols.double(),
        )

    def claim(
        self, index: int, frozen: Frozen, x: Float[Tensor, "n d"], held_out: Float[Tensor, "m d"]
    ) -> Claim:
        """R by MINE, of a network scaled on held-out pairs, and D, both on fresh pairs.

        R is a lower bound of I(X; Y), which is at most the E KL(p(y|x) || q) of the audit.
        """
        slope, g = self.task.betas[index], self.task.generator
        critic, white = self.mean_critic.mean.single(index), frozen.white

        def found(x: Tensor, y: Tensor) -> Values:
            return values(critic, white.forward(x), white.forward(y), self.config.shuffles, g)

        def drawn(x: Tensor) -> Tensor:
            return frozen.sample_conditional(x, 1, slope, g)[:, 0]

        scale = best_scale(found(held_out, drawn(held_out)))
        y = drawn(x)
        rho, _ = self.task.distortion.value_and_grad(x, y)
        return Claim(max(bound(found(x, y), scale), 0.0), float(rho.mean()), "lower")
