"""The preset ``mixture`` under squared error: a mixture fitted for every slope, a network over it.

E(y) = -log p_ref(y) + a f(y). For a Gaussian mixture p_ref eq. (4) vanishes at a maximum of a
likelihood, which expectation-maximisation climbs without sampling
(`rdbench.inference.reproduction`): the fit at one slope is the start for the next lower one. The
network f then learns by eq. (4) what the mixture lacks, first at the highest slope, where the
gradient is strongest, and from there at all of them. Held-out F decides the strength a of it, per
slope. Where that is zero q is the mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Generator

from rdbench.estimators.ebrd.channel import Claimed, Tilted, bracket, channel
from rdbench.estimators.ebrd.correction import (
    ReferenceSampler,
    Schedule,
    chosen_strength,
    train,
)
from rdbench.estimators.ebrd.network import Network
from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import Task, standardised
from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import (
    fit_reproduction,
    gaussian,
    lagrangian,
    moments,
    parameters,
)
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Monitor, Refusal, TestChannel, View

_CHOOSE = 20_000  # draws to which the mixtures are fitted whose sizes are compared
_JUDGES = 200  # held-out points that can judge a network
_BUDGET = "q is the mixture: the budget ended before the network was trained"
_UNJUDGED = "q is the mixture: too few training points to judge a network"
_UNSAFE = "q is the mixture: log Z of the network's part could not be bracketed"
_NO_GAIN = "q is the mixture: the network gained nothing on held-out draws"
_WARM, _PILOT, _TRUNK, _TRAINED = 0.4, 0.45, 0.65, 0.95  # of the fit, at which its parts end


def fit_reference(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """The preset ``mixture`` under squared error.

    Args:
        config: the hyper-parameters.
        view: the problem, under squared error.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """
    # p fitted parameters cost p / 2n nats.
    wanted = max(config.draws, min(150_000, 100 * (view.dim * (view.dim + 3) // 2)))
    count = max(1000, round(wanted * min(1.0, monitor.effort)))

    def method(task: Task) -> Iterator[TestChannel]:
        fit = _Fit(config, task)
        fit.warm()
        fit.count()
        fit.correct()
        fit.count()
        return fit.channels(claim=True)

    return standardised(method, view, betas, generator, monitor, warm=count)


class _Fit:
    """The state of one fit: what it would answer now is always there to be yielded."""

    def __init__(self, config: Settings, task: Task) -> None:
        self.config, self.task, self.slopes = config, task, task.betas
        self.held_out = task.draws.held_out(config.held_out_draws)
        self.claimed_on = task.draws.claim(config.claim_draws or 4000)
        self.floor = config.floor / task.dim
        self.overall = moments(task.warm)
        # One component is a closed form (reverse water-filling) to start with.
        self.references = [self._single(s) for s in self.slopes]
        self.tied = False
        self.networks: dict[int, tuple[Network, int, float]] = {}
        """Slope -> its network (a batch and the place in it) and strength, where it has one."""
        self.without = _BUDGET
        """Why the other slopes have none."""
        self.unsafe: set[int] = set()
        """Slopes whose network claimed a gain that could not be bracketed."""
        self.going = True
        self.done = 0.0

    def _single(self, slope: float) -> GaussianMixture:
        noise = 0.5 / slope
        return gaussian(self.overall, noise * (1.0 + self.floor)).deconvolved(noise)

    def _go_on(self, done: float | None = None) -> bool:
        monitor = self.task.monitor
        self.done = self.done if done is None else done
        self.going = self.going and monitor.advance(self.done)
        self.going = self.going and monitor.checkpoint(lambda: list(self.channels()))
        return self.going

    def warm(self) -> None:
        """Fit the references, from the highest slope down."""
        config, x = self.config, self.task.warm
        order = sorted(range(len(self.slopes)), key=lambda i: -self.slopes[i])
        noise = 0.5 / self.slopes[order[0]]
        observed = choose_observed(
            x[:_CHOOSE],
            self.held_out,
            noise * (1.0 + self.floor),
            config.components * (4 if x.shape[1] <= 2 and config.components > 1 else 1),
            self.task.generator,
            margin=config.component_gain,
            go_on=self._go_on,
        )
        if observed.mixture.size == 1:
            return
        current, self.tied = observed.mixture.deconvolved(noise), observed.tied
        for done, i in enumerate(order):
            slope = self.slopes[i]
            if not self._go_on(_WARM * (1.0 + done) / (1.0 + len(order))):
                break
            current = fit_reproduction(
                x,
                slope,
                current,
                floor=self.floor,
                tied=self.tied,
                iterations=max(2, round(config.polish * min(1.0, self.task.monitor.effort))),
                tolerance=1e-5,
                go_on=self._go_on,
            )
            before, after = (
                lagrangian(q, self.held_out, slope) for q in (self.references[i], current)
            )
            if after < before:
                self.references[i] = current

    def correct(self) -> None:
        """Train the network at the highest slope, then from there at all of them; select."""
        if self.task.draws.fixed is not None and len(self.held_out) < _JUDGES:
            self.without = _UNJUDGED
            return
        if not self._go_on(_WARM):
            return
        top = max(range(len(self.slopes)), key=lambda i: self.slopes[i])
        every = list(range(len(self.slopes)))
        trunk = self._untrained()
        for iterations, until in ((1.5, _PILOT), (4.5, _TRUNK)):
            trunk = self._trained(trunk, [top], iterations, 2, 1e-2, until)
            going = self._go_on(until)
            self.networks = {}  # those that checkpoints were shown
            if not going:
                return
            # Where a network finds nothing here it finds nothing anywhere.
            if self._strength(trunk, top) == 0.0:
                reason = _UNSAFE if self.unsafe else _NO_GAIN
                self.without = f"{reason} at the highest slope"
                return
        trained = self._trained(trunk.repeated(len(every)), every, 1.0, 4, 3e-3, _TRAINED)
        self.without = _NO_GAIN
        strengths = [self._strength(trained.single(i), i) for i in every]
        self.networks = {i: (trained, i, a) for i, a in enumerate(strengths) if a > 0.0}

    def _untrained(self) -> Network:
        """One network that sees y whitened by the source's covariance.

        All slopes see it in the same coordinates, so that one can start another.
        """
        cov = self.overall.cov
        # A source may be degenerate: no direction is blown up by more than a hundred.
        eye = torch.eye(len(cov), dtype=cov.dtype, device=cov.device)
        root = torch.linalg.cholesky(cov + 1e-4 * cov.diagonal().mean() * eye)
        hidden = max(1, self.config.hidden // 2)
        return Network(root[None], hidden, self.task.generator, centre=self.overall.mean)

    def _strength(self, network: Network, index: int) -> float:
        """How much of the network is kept: none where its gain is small, or not to be trusted."""
        config, slope, one = self.config, self.slopes[index], network.single(0)
        reference, x = self.references[index], self.held_out[: config.judging_draws]
        found = chosen_strength(one, reference, x, slope, config, self.task.generator)
        if found and bracket(Tilted(reference, one, found, slope), x) > config.bracket:
            self.unsafe.add(index)
            return 0.0
        self.unsafe.discard(index)
        return found

    def _trained(
        self,
        network: Network,
        rows: list[int],
        longer: float,
        draws: int,
        rate: float,
        until: float,
    ) -> Network:
        """The networks of some slopes after training.

        Args:
            network: where they start, a batch of as many as ``rows``.
            rows: which slopes.
            longer: iterations, relative to ``config.iterations``.
            draws: of p_ref(y|x), per symbol.
            rate: of learning, where the settings give none.
            until: the fraction of the fit at which this ends.
        """
        config, task, start = self.config, self.task, self.done
        sampler = ReferenceSampler(
            [self.references[i] for i in rows], [self.slopes[i] for i in rows]
        )
        schedule = Schedule(
            iterations=max(1, round(longer * config.iterations * task.monitor.effort)),
            symbols=config.batch * (2 if len(rows) == 1 else 1),
            draws=draws,
            rate=config.learning_rate or rate,
        )

        def report(done: float, mean: Network) -> bool:
            task.monitor.count(gradient_steps=1)
            if until > _PILOT:  # before, nothing says that it is of use
                self.networks = {i: (mean, row, 1.0) for row, i in enumerate(rows)}
            return self._go_on(start + (until - start) * done)

        return train(
            network,
            sampler,
            task.draws.sample,
            schedule,
            config.averaging,
            task.generator,
            report,
        )

    def count(self) -> None:
        """Tell the monitor how many parameters the channels have, of all slopes together."""
        sizes = [parameters(q.size, q.dim, self.tied) for q in self.references]
        for batch, row, _ in self.networks.values():
            sizes.append(sum(p.numel() for p in batch.single(row).parameters()))
        self.task.monitor.count(parameters=sum(sizes))

    def channels(self, claim: bool = False) -> Iterator[TestChannel]:
        """The channels of the fit so far."""
        claimed = None
        if claim:
            side = self.task.draws.side
            claimed = Claimed(self.claimed_on, side, self.task.generator, self._go_on)
        for i, slope in enumerate(self.slopes):
            network, strength = None, 0.0
            if i in self.networks:
                batch, row, strength = self.networks[i]
                network = batch.single(row)
            made = channel(Tilted(self.references[i], network, strength, slope), claimed)
            reason = _UNSAFE if i in self.unsafe else self.without
            yield made if network is not None or not claim else replace(made, reason=reason)
