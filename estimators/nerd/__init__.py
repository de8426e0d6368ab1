"""NERD: a generator trained on the dual of the rate-distortion problem (Lei et al. 2022).

q is the law of g(z), z ~ prior, and training minimises the Lagrangian itself,

    F(q) = -E_X log E_z exp(-beta rho(X, g(z))).

``objective="plug_in"`` puts the mean over N draws of z that all symbols share for the inner
expectation, as the authors do: its gradient is that of F only while N is large against exp(R), so
it saturates at log N nats. ``"importance"`` (squared error) draws the latents of every symbol
around those that explain it and weights them, so that no rate is out of reach. ``"auto"`` takes
the first where N is large enough, else the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.channel import Finished, channel, finished, lagrangians, rate_of
from rdbench.estimators.nerd.generator import (
    AffineStart,
    ResidualGenerator,
    affine_start,
    moments,
    symmetric_root,
)
from rdbench.estimators.nerd.published import fit_published
from rdbench.estimators.nerd.training import Objective, Schedule, train
from rdbench.inference.em import refined, select_mixture
from rdbench.inference.reproduction import GoOn
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, EstimatorInfo, Monitor, RdbenchError, Refusal, TestChannel, View

_SUPPORTED = ("squared_error", "absolute_error")
_SELECT = 10_000  # draws on which the number of components is chosen
_EM_DRAWS = 20_000
_HELD = 1000  # symbols on which a start and what training made of it are compared
_CLAIM_SYMBOLS = 2000
# Symbols of a claim after a stop: so many that their Jacobians have so many numbers.
_LATE_SYMBOLS, _LEAST_SYMBOLS, _LATE_NUMBERS = 200, 16, 100_000
_MARGIN = 4.0  # nats by which log N has to exceed the rate for the plug-in
_STOPPED = "stopped before the end of training"


@dataclass(frozen=True)
class NERD:
    """Neural estimation of the rate-distortion function; the fields are hyper-parameters."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="generator network trained on the dual",
        citation="Lei, Hassani, Saeedi Bidokhti: Neural Estimation of the Rate-Distortion "
        "Function With Applications to Operational Source Coding",
        presets={
            "paper": {
                "network": "published",
                "objective": "plug_in",
                "draws": 40_000,
                "batch": 100,
                "iterations": 5000,
                "learning_rate": 1e-3,
            }
        },
        preset_notes={
            "paper": "The authors' code for Gaussian sources: latents N(0, I_100), three linear "
            "layers with ReLU, hidden width dim x, N = 40,000, batches of 100, Adam(0.5, 0.999) "
            "at 1e-3, ten epochs of 50,000 symbols at every slope, high rates first, each going "
            "on from the last. Our choice: fresh symbols in place of 50,000 fixed ones, the "
            "same settings for every source and for absolute error, a new optimiser per slope."
        },
        not_invariant=frozenset({"shift:paper", "scale:paper", "rotation:paper"}),
        colour="#009E73",
        marker="^",
    )

    network: Literal["residual", "published"] = "residual"
    """``residual``: an affine map, fitted first, plus a network; ``published``: the authors'."""
    objective: Literal["auto", "plug_in", "importance"] = "auto"
    hidden: int = 64
    """Width of the residual network; that of the published one is dim x."""
    iterations: int = 300
    """Gradient steps per slope."""
    batch: int = 256
    draws: int = 2048
    """N of the plug-in."""
    pairs: int = 4
    """Antithetic pairs of latents per symbol of importance weighting."""
    learning_rate: float = 5e-3
    averaging: float = 0.98
    """Decay of the running mean of the weights that is returned."""
    components: int = 8
    """Largest number of components of the latent law; held-out likelihood chooses."""
    warm_draws: int = 100_000
    """Draws to which the affine map is fitted."""

    def __post_init__(self) -> None:
        counts = ("hidden", "iterations", "batch", "draws", "pairs", "components", "warm_draws")
        for name in counts:
            if getattr(self, name) < 1:
                raise RdbenchError(f"nerd: {name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 < self.learning_rate < math.inf:
            raise RdbenchError(f"nerd: learning_rate must be positive, got {self.learning_rate}")
        if not 0.0 <= self.averaging < 1.0:
            raise RdbenchError(f"nerd: averaging must lie in [0, 1), got {self.averaging}")
        if self.network == "published" and self.objective == "importance":
            raise RdbenchError("nerd: the published network is trained by objective=plug_in")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train the slopes one after the other, each from its neighbour's network."""
        supported = view.distortion.name in _SUPPORTED and view.alphabet is None
        reason = "nerd needs beta > 0, R^d as reproduction space and squared or absolute error"
        if supported and self.objective == "importance":
            supported = view.distortion.name == "squared_error"
            reason = "objective=importance needs squared error and beta > 0"
        positive = sorted({beta for beta in betas if supported and 0.0 < beta < math.inf})
        for beta in betas:
            if beta not in positive:
                yield Refusal(beta, "unsupported", reason)
        schedule = Schedule(
            iterations=max(1, round(self.iterations * monitor.effort)),
            batch=self.batch,
            draws=self.draws,
            pairs=self.pairs,
            learning_rate=self.learning_rate,
            averaging=self.averaging,
        )
        if positive and self.network == "published":
            yield from fit_published(view, positive, schedule, generator, monitor)
        elif positive:
            yield from _fit(self, schedule, view, positive, generator, monitor)


@dataclass(frozen=True, eq=False)
class _Task:
    """What all slopes share, in standard coordinates."""

    config: NERD
    schedule: Schedule
    view: View
    scaling: Scaling
    source: GaussianMixture
    """Fitted to the source."""
    training: Float[Tensor, "n d"]
    held: Float[Tensor, "m d"]
    """Not trained on, unless there are too few points."""

    def draw(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Training symbols: fresh ones, or those of the fixed points that are not held out."""
        if self.view.n_train is None:
            return self.scaling.forward(self.view.sample(n))
        rows = torch.randint(len(self.training), (n,), generator=generator, device=self.view.device)
        return self.training[rows]


def _fit(
    config: NERD,
    schedule: Schedule,
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> Iterator[TestChannel | Refusal]:
    drawn = view.sample(config.warm_draws).double()
    if bool((drawn == drawn[0]).all()):
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    scaling = fit_scaling(drawn, view.distortion)
    training = scaling.forward(drawn)
    if view.n_train is None:
        held = scaling.forward(view.sample(_HELD))
    else:
        # Each fixed point once, so that what is held out was not trained on.
        training = torch.unique(training, dim=0)
        mixed = torch.randperm(len(training), generator=generator, device=view.device)
        count = min(_HELD, len(training) // 5)
        count = count if count > 1 else 0  # the spread of one symbol cannot be told
        held, training = training[mixed].split([count, len(training) - count])
        held = held if count > 0 else training

    def go_on() -> bool:
        return monitor.advance(0.0)

    source = select_mixture(training[:_SELECT], config.components, generator, go_on=go_on)
    source = refined(source, training, go_on=go_on)
    task = _Task(config, schedule, view, scaling, source, training, held)
    net = ResidualGenerator(symmetric_root(moments(source)[1]), config.hidden, generator)
    claimed_on = scaling.forward(view.sample(_CLAIM_SYMBOLS))
    running, fitted = go_on(), 0
    for i, beta in enumerate(betas):
        found, objective, running = _one_slope(
            task, net, beta, (i, len(betas)), running, generator, monitor
        )
        fitted += found.parameters
        monitor.count(parameters=fitted)
        late = not running
        f, spent = lagrangians(
            found,
            _few(claimed_on, found) if late else claimed_on,
            objective,
            generator,
            few=late,
            go_on=partial(monitor.advance, (i + 1) / len(betas)),
        )
        spent_mean = float(spent.mean())
        claim = Claim(
            max(float(f.mean()) - found.slope * spent_mean, 0.0),  # rounding; this order keeps NaN
            scaling.distortion(spent_mean),
            "upper" if view.n_train is None else "estimate",
        )
        yield channel(found, claim, "" if running else _STOPPED)


def _few(x: Float[Tensor, "n d"], found: Finished) -> Float[Tensor, "m d"]:
    """So few of the symbols that slopes without training take next to no time."""
    affordable = _LATE_NUMBERS // (found.prior.size * found.prior.dim**2)
    return x[: min(max(affordable, _LEAST_SYMBOLS), _LATE_SYMBOLS)]


def _start(task: _Task, slope: float, go_on: GoOn) -> AffineStart:
    """The best affine generator for the mixture that was fitted to the source."""
    if task.view.distortion.name == "squared_error":
        return affine_start(task.source, 0.5 / slope, task.training[:_EM_DRAWS], go_on)
    return affine_start(task.source, 0.0)


def _one_slope(
    task: _Task,
    net: ResidualGenerator,
    beta: float,
    place: tuple[int, int],
    running: bool,
    generator: Generator,
    monitor: Monitor,
) -> tuple[Finished, Objective, bool]:
    """Train, and keep the affine start unless held-out symbols say that training lowered F.

    Where the start is optimal already (a Gaussian, a mixture whose components are wider than the
    noise) training can only add the noise of its gradients. Says also whether training may go on.
    """
    done = place[0] / place[1]

    def progress(part: float) -> bool:
        nonlocal done
        done = (place[0] + part) / place[1]
        return monitor.advance(done)

    def go_on() -> bool:
        return running and monitor.advance(done)

    start = _start(task, task.scaling.beta(beta), go_on)
    running = go_on()
    net.restart(start)

    def freeze(current: ResidualGenerator) -> Finished:
        return finished(current, start.prior, task.scaling, task.view.distortion, beta)

    affine = freeze(net.without_network())
    objective = _objective(task, affine, running, generator)
    if not running:
        return affine, objective, False
    held = task.held
    seed = int(torch.randint(2**62, (1,), generator=generator, device=task.view.device))

    def gain(current: ResidualGenerator) -> tuple[float, float]:
        """Mean and standard error of the gain of training, both ends on the same latents."""
        pair = [
            lagrangians(
                each, held, objective,
                Generator(task.view.device).manual_seed(seed), few=True, go_on=go_on,
            )[0]
            for each in (affine, freeze(current))
        ]  # fmt: skip
        n = min(len(each) for each in pair)  # a stop shortens the second
        difference = pair[0][:n] - pair[1][:n]
        return float(difference.mean()), float(difference.std()) / math.sqrt(len(difference))

    def worthwhile(current: ResidualGenerator) -> bool:
        mean, error = gain(current)
        return not mean < error or not go_on()  # a stop is for the training to notice

    def look(current: ResidualGenerator) -> bool:
        nan = Claim(math.nan, math.nan, "estimate")
        return monitor.checkpoint(lambda: [channel(freeze(current), nan)])

    running = train(
        net,
        start.prior,
        lambda n: task.draw(n, generator),
        task.view.distortion,
        affine.slope,
        objective,
        task.schedule,
        generator,
        progress,
        monitor,
        look,
        worthwhile,
    )
    held = task.held if running else _few(task.held, affine)
    mean, error = gain(net)
    if mean > error:
        return freeze(net), objective, running
    net.load_state_dict(net.without_network().state_dict())
    return affine, objective, running


def _objective(task: _Task, affine: Finished, running: bool, generator: Generator) -> Objective:
    if task.config.objective != "auto":
        return task.config.objective
    if not affine.proposes:
        return "plug_in"
    if not running:
        return "importance"  # at any rate it claims well, and there is no time to look
    rate = rate_of(affine, task.held, task.config.draws, generator)
    return "plug_in" if rate < math.log(task.config.draws) - _MARGIN else "importance"


ESTIMATOR = NERD
