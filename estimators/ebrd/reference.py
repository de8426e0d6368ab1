"""EBRD under squared error: a Gaussian mixture fitted for every slope, and a network over it.

E(y) = -log p_ref(y) + a f(y). For a Gaussian mixture p_ref eq. (4) vanishes at a maximum of a
likelihood, which expectation-maximisation climbs without sampling
(`rdbench.inference.reproduction`): the fit at one slope is the start for the next lower one. The
network f then learns by eq. (4) what the mixture lacks, first at the highest slope, where the
gradient is strongest, and from there at all of them. Held-out F decides the share a of it, per
slope. Where it is zero q is the mixture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Generator

from rdbench.estimators.ebrd.channel import Claimed, Tilted, channel
from rdbench.estimators.ebrd.correction import Schedule, chosen_share, train
from rdbench.estimators.ebrd.draws import SELECT, Draws, split_draws
from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.components import choose_observed
from rdbench.inference.energies import Correction, ReferenceSampler
from rdbench.inference.reproduction import (
    fit_reproduction,
    gaussian,
    lagrangian,
    moments,
    parameters,
)
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Monitor, Refusal, TestChannel, View

_CHOOSE = 20_000  # draws on which the number of components is chosen
_MARGIN = 5e-4  # nats that more components have to gain
_FEW = 3  # held-out points: fewer have no standard error to choose by
_SPENT = "q is the mixture: the budget was spent before the network was trained"
_UNJUDGED = "q is the mixture: too few training points to judge a network"
_NO_GAIN = "q is the mixture: the network gained nothing on held-out draws"
_WARM, _PILOT, _TRUNK, _TRAINED = 0.4, 0.45, 0.65, 0.95  # of the fit, at which its parts end


def fit_reference(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """The default under squared error."""
    data = split_draws(config, view, generator, monitor.effort)
    if data is None:
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    fit = _Fit(config, data, list(betas), generator, monitor)
    fit.warm()
    fit.count()
    fit.correct()
    fit.count()
    yield from fit.channels(claim=True)


class _Fit:
    """The state of one fit: what it would answer now is always there to be yielded."""

    def __init__(
        self,
        config: Settings,
        data: Draws,
        betas: list[float],
        generator: Generator,
        monitor: Monitor,
    ) -> None:
        self.config, self.data, self.betas = config, data, betas
        self.generator, self.monitor = generator, monitor
        self.slopes = [data.scaling.beta(b) for b in betas]
        # A floor that costs at most .001 nats: an energy needs a density.
        self.floor = 2e-3 / data.fit.shape[1]
        self.overall = moments(data.fit)
        # One component is a closed form (reverse water-filling) to start with.
        self.references = [self._single(s) for s in self.slopes]
        self.tied = False
        self.networks: dict[int, tuple[Correction, int, float]] = {}
        """Of slopes with a network: a batch of them, which one it is, and its share."""
        self.without = _SPENT
        """Why the other slopes have none."""
        self.going = True
        self.done = 0.0

    def _single(self, slope: float) -> GaussianMixture:
        noise = 0.5 / slope
        return gaussian(self.overall, noise * (1.0 + self.floor)).deconvolved(noise)

    def _go_on(self, done: float | None = None) -> bool:
        self.done = self.done if done is None else done
        self.going = self.going and self.monitor.advance(self.done)
        self.going = self.going and self.monitor.checkpoint(lambda: list(self.channels()))
        return self.going

    def warm(self) -> None:
        """Fit the references, from the highest slope down."""
        data, order = self.data, sorted(range(len(self.slopes)), key=lambda i: -self.slopes[i])
        if len(data.held) < _FEW:
            return
        top = self.slopes[order[0]]
        noise = 0.5 / top
        observed = choose_observed(
            data.fit[:_CHOOSE],
            data.held,
            noise * (1.0 + self.floor),
            self.config.components * (4 if data.fit.shape[1] <= 2 else 1),
            self.generator,
            margin=_MARGIN,
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
                data.fit,
                slope,
                current,
                floor=self.floor,
                tied=observed.tied,
                iterations=max(2, round(self.config.polish * min(1.0, self.monitor.effort))),
                tolerance=1e-5,
                go_on=self._go_on,
            )
            one = self.references[i]
            if lagrangian(current, data.held, slope) < lagrangian(one, data.held, slope):
                self.references[i] = current

    def correct(self) -> None:
        """Train the network at the highest slope, then from there at all of them; select."""
        if not self.data.judged:
            self.without = _UNJUDGED
            return
        if not self._go_on(_WARM):
            return
        top = max(range(len(self.slopes)), key=lambda i: self.slopes[i])
        every = list(range(len(self.slopes)))
        trunk = Correction(
            1,
            self.overall.mean,
            self.overall.cov,
            max(1, self.config.hidden // 2),
            self.generator,
        )
        for iterations, until in ((1.5, _PILOT), (4.5, _TRUNK)):
            trunk = self._trained(trunk, [top], iterations, (2, 1e-2), until)
            going = self._go_on(until)
            self.networks = {}  # what looks in passing were shown
            if not going:
                return
            # What a network does not find here it finds nowhere: there is nothing to find.
            if self._share(trunk, top) == 0.0:
                self.without = f"{_NO_GAIN} at the highest slope"
                return
        start = trunk.repeated(len(every))
        trained = self._trained(start, every, 1.0, (4, 3e-3), _TRAINED)
        self.without = _NO_GAIN
        shares = [self._share(trained.single(i), i) for i in every]
        self.networks = {i: (trained, i, a) for i, a in enumerate(shares) if a > 0.0}

    def _share(self, network: Correction, index: int) -> float:
        return chosen_share(
            network.single(0),
            self.references[index],
            self.data.held[:SELECT],
            self.slopes[index],
            self.generator,
        )

    def _trained(
        self,
        correction: Correction,
        rows: list[int],
        longer: float,
        draws_and_rate: tuple[int, float],
        until: float,
    ) -> Correction:
        config, start, (draws, rate) = self.config, self.done, draws_and_rate
        size = max(r.size for r in self.references)
        slopes = torch.tensor(
            [self.slopes[i] for i in rows], dtype=torch.float64, device=self.data.fit.device
        )
        sampler = ReferenceSampler([_padded(self.references[i], size) for i in rows], slopes)
        schedule = Schedule(
            iterations=max(1, round(longer * config.iterations * self.monitor.effort)),
            symbols=config.batch * (2 if len(rows) == 1 else 1),
            draws=draws,
            rate=config.learning_rate or rate,
        )

        def report(done: float, mean: Correction) -> bool:
            self.monitor.count(gradient_steps=1)
            if until > _PILOT:  # before, nothing says that it is of use
                self.networks = {i: (mean, row, 1.0) for row, i in enumerate(rows)}
            return self._go_on(start + (until - start) * done)

        return train(correction, sampler, self.data.draw, schedule, config, self.generator, report)

    def count(self) -> None:
        """Tell the monitor how many parameters the channels have, of all slopes together."""
        sizes = [parameters(q.size, q.dim, self.tied) for q in self.references]
        for batch, row, _ in self.networks.values():
            sizes.append(sum(p.numel() for p in batch.single(row).parameters()))
        self.monitor.count(parameters=sum(sizes))

    def channels(self, claim: bool = False) -> Iterator[TestChannel]:
        """What is known now."""
        data = self.data
        claimed = Claimed(data.claim, data.side, self.generator, self._go_on) if claim else None
        for i, (beta, slope) in enumerate(zip(self.betas, self.slopes, strict=True)):
            network, share = None, 0.0
            if i in self.networks:
                batch, row, share = self.networks[i]
                network = batch.single(row)
            tilted = Tilted(self.references[i], network, share, slope)
            made = channel(beta, data.scaling, tilted, claimed)
            yield made if network is not None or not claim else replace(made, reason=self.without)


def _padded(mixture: GaussianMixture, size: int) -> GaussianMixture:
    """The mixture with components of no weight, up to ``size``."""
    lacking = size - mixture.size
    if lacking == 0:
        return mixture
    return GaussianMixture(
        torch.cat([mixture.weights, mixture.weights.new_zeros(lacking)]),
        torch.cat([mixture.means, mixture.means[:1].expand(lacking, -1)]),
        torch.cat([mixture.covs, mixture.covs[:1].expand(lacking, -1, -1)]),
        mixture.name,
    )
