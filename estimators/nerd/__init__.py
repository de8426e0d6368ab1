"""NERD: a generator trained on the dual of the rate-distortion problem (Lei et al. 2022).

q is the law of g(z), z ~ prior, and training minimises the Lagrangian itself,

    F(q) = -E_X log E_z exp(-beta rho(X, g(z))).

The default starts from N(m, C), or from Gaussians at random (`rdbench.estimators.nerd.neutral`);
the preset ``mixture`` from a Gaussian mixture that is fitted to the source.

``objective="plug_in"`` puts the mean over N draws of z that all symbols share for the inner
expectation, as the authors do: its gradient is that of F only while N is large against exp(R), so
it saturates at log N nats. ``"importance"`` (squared error) draws the latents of every symbol
around those that explain it and weights them, so that no rate is out of reach. ``"auto"`` takes
the first where N is large enough, else the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.channel import Finished, channel, finished, lagrangians, rate_of
from rdbench.estimators.nerd.generator import (
    ResidualGenerator,
    affine_start,
    symmetric_root,
)
from rdbench.estimators.nerd.neutral import fit_neutral
from rdbench.estimators.nerd.product import fit_product
from rdbench.estimators.nerd.published import fit_published
from rdbench.estimators.nerd.settings import Settings
from rdbench.estimators.nerd.training import Objective, train
from rdbench.fitting import NO_CLAIM, Progress, Task, standardised, stopped
from rdbench.inference.components import FEWEST_HELD_OUT
from rdbench.inference.em import mixture_moments, refined, select_mixture
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, EstimatorInfo, Monitor, Refusal, Start, TestChannel, View

# Symbols of a claim after a stop: so many that their Jacobians have so many numbers.
_LATE_SYMBOLS, _LEAST_SYMBOLS, _LATE_NUMBERS = 200, 16, 100_000


@dataclass(frozen=True)
class NERD(Settings):
    """Neural estimation of the rate-distortion function; the fields are hyper-parameters."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="generator network trained on the dual",
        citation="Lei, Hassani, Saeedi Bidokhti: Neural Estimation of the Rate-Distortion "
        "Function With Applications to Operational Source Coding",
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
        variants={
            "objective=importance": {"distortions": ("squared_error",)},
            "network=product": {"distortions": ("squared_error",)},
        },
        presets={
            "mixture": {
                "network": "residual",
                "hidden": 64,
                "iterations": 300,
                "batch": 256,
                "learning_rate": 5e-3,
                "components": 8,
            },
            "product": {
                "network": "product",
                "draws": 256,
                "batch": 128,
                "learning_rate": 0.03,
                "iterations": 400,
                "first_iterations": 400,
            },
            "paper": {
                "network": "published",
                "objective": "plug_in",
                "draws": 40_000,
                "batch": 100,
                "iterations": 5000,
                "learning_rate": 1e-3,
            },
        },
        preset_notes={
            "mixture": "A Gaussian mixture fitted to the source is the start, adapted to the slope "
            "by expectation-maximisation; a network is added where held-out symbols say so.",
            "product": "Generators of independent coordinates, found by independent component "
            "analysis and trained on a product of plug-ins: N = 256 draws on every axis.",
            "paper": "The authors' code for Gaussian sources: latents N(0, I_100), three linear "
            "layers with ReLU, hidden width dim x, N = 40,000, batches of 100, Adam(0.5, 0.999) "
            "at 1e-3, ten epochs of 50,000 symbols at every slope, high rates first, each going "
            "on from the last with a new optimiser. They published Gaussians in d = 20 and 40; in "
            "other dimensions a note of the point says so, and in d = 1 and 2 layers have one or "
            "two units. Our choice: fresh symbols in place of 50,000 fixed ones, the same "
            "settings for every source and for absolute error.",
        },
        not_invariant=frozenset({"shift:paper", "scale:paper", "rotation:paper"}),
        colour="#009E73",
        marker="^",
    )

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train the slopes one after the other, each from its neighbour's weights."""
        if self.network == "published":
            return fit_published(self, view, betas, generator, monitor)
        warm = self.warm_draws
        if self.network == "residual":
            ladder, method = sorted(betas), self._fit
        else:
            fit = fit_product if self.network == "product" else fit_neutral
            ladder, method = sorted(betas, reverse=True), partial(fit, self)
        return standardised(method, view, ladder, generator, monitor, warm=warm)

    def _fit(self, task: Task) -> Iterator[TestChannel]:
        held_out, go_on = task.draws.held_out(self.held_out_draws), Progress(task.monitor)
        choose_on = task.warm[: self.selection_draws]
        source = select_mixture(choose_on, self.components, task.generator, go_on=go_on)
        source = refined(source, task.warm, go_on=go_on)
        net = ResidualGenerator(
            symmetric_root(mixture_moments(source)[1]), self.hidden, task.generator
        )
        claimed_on = task.draws.claim(self.claim_draws)
        fit, fitted = _Fit(self, task, source, net, held_out, go_on), 0
        go_on()
        for i, beta in enumerate(task.betas):
            found, affine, objective = fit.one_slope(beta, i)
            fitted += found.parameters
            task.monitor.count(parameters=fitted)
            late = go_on.stopped
            f, distortion = lagrangians(
                found,
                _few(claimed_on, found) if late else claimed_on,
                objective,
                task.generator,
                few=late,
                go_on=partial(task.monitor.advance, (i + 1) / len(task.betas)),
            )
            mean = float(distortion.mean())
            rate = max(float(f.mean()) - beta * mean, 0.0)  # rounding; this order keeps NaN
            answer = channel(found, Claim(rate, mean, task.draws.side))
            kept = found is affine
            start = Start(answer.marginal if kept else affine.marginal(), "fitted mixture")
            q_is = "affine generator" if kept else "generator network"
            answer = replace(answer, start=start, q_is=q_is)
            yield stopped(answer) if late else answer


ESTIMATOR = NERD


def _few(x: Float[Tensor, "n d"], found: Finished) -> Float[Tensor, "m d"]:
    """So few of the symbols that slopes without training take next to no time."""
    affordable = _LATE_NUMBERS // (found.prior.size * found.prior.dim**2)
    return x[: min(max(affordable, _LEAST_SYMBOLS), _LATE_SYMBOLS)]


@dataclass(frozen=True, eq=False)
class _Fit:
    """All that the slopes share."""

    config: NERD
    task: Task
    source: GaussianMixture
    """Fitted to the source."""
    net: ResidualGenerator
    held_out: Float[Tensor, "m d"]
    go_on: Progress

    def one_slope(self, beta: float, index: int) -> tuple[Finished, Finished, Objective]:
        """Train, and keep the affine start unless held-out symbols say that training lowered F.

        Returns what was found, the start, which it may be, and how Z(x) is estimated.

        Where the start is optimal already (a Gaussian, a mixture whose components are wider than
        the noise) training can only add the noise of its gradients.
        """
        task, net, go_on = self.task, self.net, self.go_on
        go_on.done = index / len(task.betas)
        if task.distortion.name == "squared_error":
            em_draws = task.warm[: self.config.em_draws]
            start = affine_start(self.source, 0.5 / beta, em_draws, go_on)
        else:
            start = affine_start(self.source, 0.0)
        running = go_on()
        net.restart(start)

        def freeze(current: ResidualGenerator) -> Finished:
            return finished(current, start.prior, task.distortion, beta)

        affine = freeze(net.without_network())
        objective = self.objective(affine, running)
        if not running or len(self.held_out) < FEWEST_HELD_OUT:
            return affine, affine, objective
        seed = int(torch.randint(2**62, (1,), generator=task.generator, device=task.device))

        def gain(current: ResidualGenerator, x: Tensor) -> tuple[float, float]:
            """Mean and standard error of the gain of training, from the same draws of latents."""
            before, after = (
                lagrangians(
                    each, x, objective,
                    Generator(task.device).manual_seed(seed), few=True, go_on=go_on,
                )[0]
                for each in (affine, freeze(current))
            )  # fmt: skip
            n = min(len(before), len(after))  # a stop shortens the second
            difference = before[:n] - after[:n]
            return float(difference.mean()), float(difference.std()) / math.sqrt(n)

        def worthwhile(current: ResidualGenerator) -> bool:
            go_on.done = (index + 0.25) / len(task.betas)
            mean, error = gain(current, self.held_out)
            return not mean < error or not go_on()  # a stop is for the training to notice

        def offer(current: ResidualGenerator) -> list[TestChannel]:
            return [channel(freeze(current), NO_CLAIM)]

        running = train(
            net, start.prior, task, beta, objective, self.config, index, offer, worthwhile
        )
        go_on.done, go_on.stopped = (index + 1) / len(task.betas), not running
        mean, error = gain(net, self.held_out if running else _few(self.held_out, affine))
        if mean > error:
            return freeze(net), affine, objective
        net.load_state_dict(net.without_network().state_dict())
        return affine, affine, objective

    def objective(self, affine: Finished, running: bool) -> Objective:
        """How the inner expectation is taken at one slope."""
        if self.config.objective != "auto":
            return self.config.objective
        if not affine.proposes:
            return "plug_in"
        if not running:
            return "importance"  # at any rate it claims well, and there is no time to look
        rate = rate_of(affine, self.held_out, self.config.draws, self.task.generator)
        enough = rate < math.log(self.config.draws) - self.config.margin
        return "plug_in" if enough else "importance"
