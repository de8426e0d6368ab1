"""EBRD under squared error: a Gaussian mixture fitted for every slope, and a network over it.

E(y) = -log p_ref(y) + a f(y). For a Gaussian mixture p_ref eq. (4) vanishes at a maximum of a
likelihood, which expectation-maximisation climbs without sampling
(`rdbench.inference.reproduction`): the fit at one slope is the start for the next lower one. The
network f then learns by eq. (4) what the mixture lacks, first at the highest slope, where the
gradient is strongest, and from there at all of them. Held-out F decides the share a of it, per
slope. Where it is zero q is the mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators._ebrd_channel import Tilted, channel
from rdbench.estimators._ebrd_correction import Schedule, chosen_share, train
from rdbench.estimators._ebrd_settings import Settings
from rdbench.inference.components import choose_observed
from rdbench.inference.energies import Correction, ReferenceSampler
from rdbench.inference.reproduction import fit_reproduction, gaussian, lagrangian, moments
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Monitor, Refusal, TestChannel, View

_HELD = 20_000  # draws that choose the number of components
_SELECT = 4000  # of them that decide about the network; and as many that are claimed on
_CHOOSE = 20_000  # draws on which the number of components is chosen
_MARGIN = 5e-4  # nats that more components have to gain
_FEW = 10  # distinct training points of which none are held out
_WARM, _PILOT, _TRUNK, _TRAINED = 0.4, 0.45, 0.65, 0.95  # of the fit, at which its parts end


@dataclass(frozen=True, eq=False)
class _Data:
    """Draws in standard coordinates: to fit, to select, to claim on; and how to draw more."""

    scaling: Scaling
    fit: Float[Tensor, "n d"]
    held: Float[Tensor, "m d"]
    claim: Float[Tensor, "l d"]
    draw: Callable[[int], Tensor]


def fit_reference(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """The default under squared error."""
    data = _data(config, view, generator, monitor.effort)
    if data is None:
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    fit = _Fit(config, data, list(betas), generator, monitor)
    fit.warm()
    fit.correct()
    yield from fit.channels(claim=True)


def _data(config: Settings, view: View, generator: Generator, effort: float) -> _Data | None:
    """Draws for everything; ``None`` of a constant source."""
    parameters = view.dim * (view.dim + 3) // 2
    # p fitted parameters cost p / 2n nats.
    wanted = max(config.draws, min(150_000, 100 * parameters))
    count = max(1000, round(wanted * min(1.0, effort)))
    raw = view.sample(count).double()
    if bool((raw == raw[0]).all()):
        return None
    scaling = fit_scaling(raw, view.distortion)
    z = scaling.forward(raw)
    if view.n_train is None:
        held, claim = (scaling.forward(view.sample(n)) for n in (_HELD, _SELECT))
        return _Data(scaling, z, held, claim, lambda n: scaling.forward(view.sample(n)))
    # Whole points are held out, not draws of them: the same point must not fit and select.
    _, point = torch.unique(raw, dim=0, return_inverse=True)
    distinct = int(point.max()) + 1
    if distinct < _FEW:
        parts = [z, z[:_HELD], z[:_SELECT]]
    else:
        rank = torch.randperm(distinct, generator=generator, device=z.device)[point] / distinct
        parts = [z[rank >= 0.2], z[rank < 0.1][:_HELD], z[(rank >= 0.1) & (rank < 0.2)][:_SELECT]]
    fitted = parts[0]

    def draw(n: int) -> Tensor:
        rows = torch.randint(len(fitted), (n,), generator=generator, device=fitted.device)
        return fitted[rows]

    return _Data(scaling, fitted, parts[1], parts[2], draw)


class _Fit:
    """The state of one fit: what it would answer now is always there to be yielded."""

    def __init__(
        self,
        config: Settings,
        data: _Data,
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
        self.correction: Correction | None = None
        self.shares = [0.0] * len(betas)
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
        current = observed.mixture.deconvolved(noise)
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
        top = max(range(len(self.slopes)), key=lambda i: self.slopes[i])
        every = list(range(len(self.slopes)))
        if not self._go_on(_WARM):
            return
        trunk = Correction(
            1,
            self.overall.mean,
            self.overall.cov,
            max(1, self.config.hidden // 2),
            self.generator,
        )
        for iterations, until in ((1.5, _PILOT), (4.5, _TRUNK)):
            trunk = self._trained(trunk, [top], iterations, (2, 1e-2), until)
            # What a network does not find here it finds nowhere: there is nothing to find.
            if self._share(trunk, top) == 0.0 or not self._go_on(until):
                return
        start = trunk.repeated(len(every))
        trained = self._trained(start, every, 1.0, (4, 3e-3), _TRAINED)
        self.shares = [self._share(trained.single(i), i) for i in every]
        self.correction = trained

    def _share(self, network: Correction, index: int) -> float:
        return chosen_share(
            network.single(0),
            self.references[index],
            self.data.held[:_SELECT],
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
        self.monitor.count(parameters=sum(p.numel() for p in correction.parameters()))

        def report(done: float) -> bool:
            self.monitor.count(gradient_steps=1)
            return self._go_on(start + (until - start) * done)

        return train(correction, sampler, self.data.draw, schedule, config, self.generator, report)

    def channels(self, claim: bool = False) -> Iterator[TestChannel]:
        """What is known now."""
        for i, (beta, slope) in enumerate(zip(self.betas, self.slopes, strict=True)):
            network = self.correction if self.shares[i] > 0.0 else None
            tilted = Tilted(
                self.references[i],
                network.single(i) if network is not None else None,
                self.shares[i],
                slope,
            )
            yield channel(
                beta,
                self.data.scaling,
                tilted,
                (self.data.claim, self.generator) if claim else None,
            )


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
