"""The default of EBRD: one energy per slope from a neutral start, trained by eq. (4).

All slopes are trained as one batch, in whitened coordinates, from the same Student t of the
source's mean and covariance. Descent is along eq. (4) with chains that persist (Tieleman 2008):

- of q, whose states follow the energy as it changes;
- of p(y|x), as a pool of pairs (x, y) of which a small fraction gets a new symbol every step. A
  pair that is renewed too soon never reaches p(y|x), and wide and narrow starts then settle at
  different q. Where one noise is narrow beside all structure of q the start is as good as p(y|x),
  and all are renewed.

The weights that are returned are a running mean under a learning rate that decays to nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import chi2
from torch import Generator, Tensor

from rdbench.estimators.ebrd.claim import importance, student
from rdbench.estimators.ebrd.descent import Weighted, descend
from rdbench.estimators.ebrd.grid import MOST_DIM, Strata
from rdbench.estimators.ebrd.product import fit_product
from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import NO_CLAIM, RunningMean, Task, standardised, stopped
from rdbench.inference.experts import DEGREES, Experts
from rdbench.inference.langevin import adapted, mala
from rdbench.inference.lemma import SPREAD, Lemma1, Whitening, leap, scaled
from rdbench.inference.networks import single
from rdbench.inference.plug_in import appendix_a
from rdbench.types import (
    Claim,
    Energy,
    Gaussians,
    Monitor,
    Refusal,
    Start,
    TestChannel,
    View,
)

Kind = Literal["weights", "pairs", "fresh"]
"""p(y|x) by weights on strata alone; by persistent pairs, and weights for the symbols to which
enough points of q are near; or by chains that start near new symbols."""
_KINDS = typing.get_args(Kind)
_TAU = 0.3  # first step size of all chains
_EVEN = 0.25  # strata count for more draws than independent ones
_EVERY = 10  # steps from one resampling of the strata to the next
_NORMALS = 16  # that stand for the start
_START = f"Student t(3) as {_NORMALS} normals, mean and shape of the source"
_FINE = 1e8  # weight of Lemma 1 from which float32 is too coarse for p(y|x)
_SLOW = 0.05  # weight of the newest spread of the chains


def fit_energy(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """The default, under squared or absolute error.

    Args:
        config: the hyper-parameters.
        view: the problem.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """

    def method(task: Task) -> Iterator[TestChannel]:
        return energy_channels(config, task)

    return standardised(method, view, betas, generator, monitor, warm=config.warm_draws)


def fit_additive(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """The preset ``product``, with the arguments of `fit_energy`."""

    def method(task: Task) -> Iterator[TestChannel]:
        return fit_product(config, task)

    return standardised(method, view, betas, generator, monitor, warm=config.warm_draws)


def energy_channels(config: Settings, task: Task) -> Iterator[TestChannel]:
    """The channels of a problem in standard coordinates, those trained by weights first."""
    white = Whitening.of(task.warm, task.distortion.name == "squared_error")
    symbols = white.forward(task.warm).float()
    slopes = torch.tensor(task.betas, dtype=torch.float64, device=task.device)
    strata = Strata(symbols) if task.dim <= MOST_DIM else None
    kinds = _kinds(config, white.lemma(slopes), symbols, strata)
    groups = [[i for i, k in enumerate(kinds) if k == kind] for kind in _KINDS if kind in kinds]
    x = task.draws.claim(config.claim_draws or 2000)
    for index, rows in enumerate(groups):
        fit = _Fit(
            config,
            replace(task, betas=tuple(task.betas[i] for i in rows)),
            white,
            symbols,
            strata,
            kinds[rows[0]],
        )
        done = fit.train((index, len(groups)))
        for i in range(len(rows)):
            made = fit.channel(i, x)
            yield made if done else stopped(made)


def _kinds(
    config: Settings, lemma: Lemma1, symbols: Float[Tensor, "n d"], strata: Strata | None
) -> list[Kind]:
    """How p(y|x) is drawn at every slope; for q and what is effective the source stands in."""
    batch, effective = len(lemma.weight), torch.zeros(len(lemma.weight))
    if strata is not None:
        x = symbols[:256].expand(batch, -1, -1)
        y, sizes = strata.points(Generator(x.device).manual_seed(0))
        y, sizes = y.float().expand(batch, -1, -1), sizes.float().expand(batch, -1)
        effective = (1.0 / lemma.posterior(x, y, sizes).square().sum(2)).mean(1)
    per_coordinate = -lemma.spread(torch.ones_like(lemma.weight)).log().mean((1, 2))
    return [
        "weights"
        if e >= _EVEN * config.effective_draws
        else "pairs"
        if r < config.fresh_rate
        else "fresh"
        for e, r in zip(effective.tolist(), per_coordinate.tolist(), strict=True)
    ]


class _Fit:
    """The state of the fit of some slopes: energies, chains, step sizes."""

    def __init__(
        self,
        config: Settings,
        task: Task,
        whitening: Whitening,
        symbols: Float[Tensor, "n d"],
        strata: Strata | None,
        kind: Kind,
    ) -> None:
        self.config, self.task, self.generator = config, task, task.generator
        self.whitening, self.symbols, self.strata = whitening, symbols, strata
        self.kind, self.pool = kind, config.pool if kind == "pairs" else 1
        slopes = torch.tensor(task.betas, dtype=torch.float64, device=task.device)
        self.lemma = whitening.lemma(slopes)
        batch, dim, g = len(slopes), task.dim, self.generator
        self.energy = Experts(batch, dim, config.hidden, g, axes=whitening.power == 1)
        self.average = RunningMean(self.energy, config.averaging)
        task.monitor.count(parameters=sum(p.numel() for p in self.energy.parameters()))
        self._enough = config.effective_draws * (1.0 if strata is None else _EVEN)
        n = config.batch
        self.marginal = student(batch * n, dim, DEGREES, g).float().reshape(batch, n, dim)
        self.x = self._drawn(self.pool * config.batch)
        self.y = self.lemma.near(self.x, g)
        self.spread = torch.ones(batch, 1, dim, device=task.device)
        self.tau = torch.full((2, batch), _TAU, device=task.device)

    def _drawn(self, n: int) -> Float[Tensor, "B n d"]:
        """n symbols for every slope."""
        batch = len(self.task.betas)
        x = self.whitening.forward(self.task.draws.sample(batch * n)).float()
        return x.reshape(batch, n, -1)

    def train(self, part: tuple[int, int]) -> bool:
        """Descend eq. (4); False where the budget ended it."""

        def channels() -> list[TestChannel]:
            return [self.channel(i) for i in range(len(self.task.betas))]

        monitor = self.task.monitor
        return descend(self.config, monitor, self.energy, self.average, self._moved, channels, part)

    def _moved(self, i: int) -> Weighted:
        """The points and weights of a step."""
        q, log_weight = self._marginal(i)
        under_q = torch.softmax(log_weight, 1)
        if self.kind == "weights":
            x = self.whitening.forward(self.task.draws.sample(self.config.batch)).float()
            posterior = self.lemma.posterior(x.expand(len(q), -1, -1), q, log_weight)
            return q, posterior.mean(1) - under_q
        y = self._conditional(i)
        alone = torch.full(y.shape[:2], 1.0 / y.shape[1], device=y.device)
        if self.kind == "pairs":
            posterior = self.lemma.posterior(self.x[:, self._block(i)], q, log_weight)
            weighed = 1.0 / posterior.square().sum(2) >= self._enough
            under_q = under_q - (posterior * (weighed * alone)[..., None]).sum(1)
            alone = alone * ~weighed
        return torch.cat([y, q], 1), torch.cat([alone, -under_q], 1)

    def _marginal(self, i: int) -> tuple[Float[Tensor, "B m d"], Float[Tensor, "B m"]]:
        """Points and log weights that stand for q: strata, or the chains after their moves."""
        g, energy = self.generator, self.energy
        if self.strata is not None:
            y, sizes = self.strata.points(g)
            q = y.float().expand(len(self.task.betas), -1, -1)
            with torch.no_grad():
                log_weight = sizes.float() - energy(q)
            mass = torch.softmax(log_weight, 1)
            if i % _EVERY == 0:
                rows = torch.multinomial(mass, self.marginal.shape[1], True, generator=g)
                self.marginal = q.gather(1, rows[..., None].expand(-1, -1, q.shape[2]))
            centred = q - (mass[..., None] * q).sum(1, keepdim=True)
            self.spread = (mass[..., None] * centred.square()).sum(1, keepdim=True)
            return q, log_weight
        spread, centre = self.spread.sqrt().clamp(min=0.02), energy.centre.detach()
        q = self.marginal
        q = scaled(energy, q, centre, g) if i % 2 else leap(energy, q, self.symbols, g)
        factor, steps = torch.diag_embed(spread[:, 0]), self.config.marginal_steps
        q, rate = mala(energy.value_and_grad, q, steps, self.tau[0], factor, g, SPREAD)
        self.tau[0] = adapted(self.tau[0], rate)
        self.marginal = q
        self.spread = torch.lerp(self.spread, q.var(1, correction=0, keepdim=True), _SLOW)
        return q, torch.zeros_like(q[..., 0])

    def _block(self, i: int) -> slice:
        """The pairs whose turn it is."""
        n = self.config.batch
        return slice(i % self.pool * n, (i % self.pool + 1) * n)

    def _conditional(self, i: int) -> Float[Tensor, "B n d"]:
        """States of p(y|x): some get a new symbol, all are moved."""
        config, g, energy = self.config, self.generator, self.energy
        spread, centre = self.spread.sqrt().clamp(min=0.02), energy.centre.detach()
        n = config.batch
        turn, block = i // self.pool, self._block(i)
        x, y = self.x[:, block], self.y[:, block]
        if self.kind == "fresh":
            x[:] = self._drawn(n)
            y = self.lemma.near(x, g)
        else:
            k = max(1, round(config.refresh * n))
            rows = torch.arange(turn * k, (turn + 1) * k, device=x.device) % n
            x[:, rows] = self._drawn(k)
            y[:, rows] = self.lemma.started(x[:, rows], self.marginal, g)
            if i % 2:
                y = scaled(lambda at: energy(at) + self.lemma.rho(at - x), y, centre, g)
        target = self.lemma.potential(energy.value_and_grad, x)
        factor = torch.diag_embed(self.lemma.spread(spread)[:, 0])
        y, rate = mala(target, y, config.conditional_steps, self.tau[1], factor, g, SPREAD)
        self.tau[1] = adapted(self.tau[1], rate)
        self.y[:, block] = y
        return y

    def channel(self, index: int, x: Float[Tensor, "n d"] | None = None) -> TestChannel:
        """Freeze one slope: its energy in float64, its samplers, and its claim on ``x``."""
        energy, white = self.average.mean.single(index), self.whitening
        dim, slope = self.task.dim, self.task.betas[index]
        weight = self.lemma.weight[index : index + 1]
        # Chains need no more digits than p(y|x) has width, and cost half in float32.
        fine = float(weight.max()) > _FINE
        moved = energy if fine else single(self.average.mean, index)
        lemma = Lemma1(weight.double() if fine else weight, self.lemma.power)
        kept = self.marginal[index : index + 1].clone().to(lemma.weight)
        spread = self.spread[index : index + 1].to(kept).sqrt().clamp(min=0.02)
        symbols, factor = self.symbols.to(kept), torch.diag_embed(spread[:, 0])
        narrow = torch.diag_embed(lemma.spread(spread)[:, 0])

        def draws(n: int, g: Generator, rounds: int = 15) -> Tensor:
            y = kept[:, torch.randint(kept.shape[1], (n,), generator=g, device=kept.device)]
            tau = kept.new_full((1,), _TAU)
            for _ in range(rounds):
                y = leap(moved, scaled(moved, y, moved.centre, g), symbols, g)
                y, rate = mala(moved.value_and_grad, y, 4, tau, factor, g, SPREAD)
                tau = adapted(tau, rate)
            return y

        def sample(n: int, g: Generator) -> Tensor:
            return white.backward(draws(n, g)[0])

        def claim(x: Tensor, g: Generator) -> Claim:
            if white.power == 2:
                exact = Lemma1(weight.double(), self.lemma.power)
                found = importance(energy, exact, kept[0].double(), white.forward(x), g)
                if found is not None:
                    return Claim(found[0] - found[1], found[1] / slope, "estimate")
            y = white.backward(draws(len(x), g, rounds=5)[0])
            rate, distortion = appendix_a(self.task.distortion, x, y, slope)
            return Claim(rate, distortion, "estimate")

        def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
            wide = white.forward(x).to(kept).repeat_interleave(k, 0)[None]
            y = lemma.started(wide, kept, g)
            target = lemma.potential(moved.value_and_grad, wide)
            tau = kept.new_full((1,), _TAU)
            for _ in range(15):
                y = scaled(lambda at: moved(at) + lemma.rho(at - wide), y, moved.centre, g)
                y, rate = mala(target, y, 4, tau, narrow, g, SPREAD)
                tau = adapted(tau, rate)
            return white.backward(y[0]).reshape(len(x), k, dim)

        @torch.no_grad()
        def value(y: Tensor) -> Tensor:
            found: Tensor = energy(white.forward(y)[None])[0]
            return found

        def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
            value, grad = energy.value_and_grad(white.forward(y)[None])
            return value[0], grad[0] @ white.forward_map.T

        return TestChannel(
            beta=slope,
            marginal=Energy(sample, value_and_grad, value),
            claim=NO_CLAIM if x is None else claim(x, self.generator),
            sample_conditional=sample_conditional,
            q_is="energy network",
            start=Start(self._student(), _START),
        )

    def _student(self) -> Gaussians:
        """q before the first step, a Student t (the curvature of 1e-4 left out), as normal laws.

        Their variances are a over the quantiles of chi squared with a degrees of freedom: F of
        them is a closed form, and within .015 nats of F of the Student t in d = 20.
        """
        white, a = self.whitening, DEGREES
        levels = (np.arange(_NORMALS) + 0.5) / _NORMALS
        wide = torch.from_numpy(a / chi2.ppf(levels, a)).to(white.mean)
        covariance = white.backward_map.T @ white.backward_map
        return Gaussians(
            torch.full_like(wide, 1.0 / _NORMALS),
            white.mean.expand(_NORMALS, -1),
            wide[:, None, None] * covariance,
        )
