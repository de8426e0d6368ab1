"""WGD: particles that descend the rate functional by its Wasserstein gradient.

Y. Yang, S. Eckstein, M. Nutz, S. Mandt, "Estimating the rate-distortion function by Wasserstein
gradient descent", NeurIPS 2023; the authors' code is github.com/yiboyang/wgd.

q is n atoms, and F(q) = -E log sum_j w_j exp(-beta rho(X, y_j)) is an exact sum over them, so that
on fresh symbols the claim is an upper bound in expectation. n atoms cannot give more than about
log n nats; the gap reaches .05 nats where R is some 0.6 log n in ten dimensions and 0.75 log n in
the plane.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators._wgd_flow import Flow, PrintedFlow, working_type
from rdbench.inference.particles import conditional, exact_point, starting_points
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.types import (
    Atoms,
    Claim,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)

_WARM_DRAWS = 20_000
_CLAIM_SYMBOLS = 2000
_LOOK_EVERY = 10
_NO_CLAIM = Claim(math.nan, math.nan, "estimate")
_SHORT_RATE = 0.6  # of log n, from where the gap may pass .05 nats

Algorithm = Literal["averaged", "printed"]
Weights = Literal["updated", "fixed"]


@dataclass(frozen=True)
class WGD:
    """Particles under squared or absolute error; the fields are hyper-parameters.

    A source on finitely many points is treated like any other, through its draws.
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="particles moved by the Wasserstein gradient; R <= log n",
        citation="Yang, Eckstein, Nutz, Mandt: Estimating the Rate-Distortion Function by "
        "Wasserstein Gradient Descent, NeurIPS 2023",
        presets={"paper": {"algorithm": "printed", "weights": "fixed", "particles": 1000}},
        preset_notes={
            "paper": "The authors' configuration for their deconvolution experiments: 10,000 "
            "steps of gradient descent on one fixed batch of 100,000 draws, 1,000 particles of "
            "weight 1/n started at draws plus noise of a tenth of the standard deviation (of all "
            "coordinates together; theirs is of each), learning rate 1e-2 falling as an inverse "
            "square root to 1e-3. Published for half the squared error at lambda = 10, our "
            "beta = 5; beyond beta = 100 its steps are longer than 2 / (2 beta) and may diverge, "
            "which is refused. Absolute error is our addition."
        },
        not_invariant=frozenset({"scale:paper"}),
        colour="#E69F00",
        marker="v",
    )

    particles: int = 1000
    """n, the number of atoms."""
    algorithm: Algorithm = "averaged"
    """``averaged``: fresh minibatches, steps relative to 1 / (2 beta), running sums. ``printed``:
    the authors' gradient steps on a fixed batch."""
    weights: Weights = "updated"
    """``updated``: weights follow the running mean of c_j, a damped Blahut-Arimoto step."""
    iterations: int | None = None
    """None: 500 + 150 d, at most 2,000; printed 10,000."""
    batch: int | None = None
    """Symbols per step. None: 1,000, printed 100,000."""
    learning_rate: float = 1e-2
    """Of ``printed`` alone."""

    def __post_init__(self) -> None:
        for name in ("particles", "iterations", "batch"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or value < 1):
                raise RdbenchError(f"wgd: {name} must be at least 1, got {value}")
        if self.algorithm not in get_args(Algorithm) or self.weights not in get_args(Weights):
            raise RdbenchError("wgd: algorithm is averaged or printed, weights updated or fixed")
        if self.algorithm == "printed" and self.weights != "fixed":
            raise RdbenchError("wgd: algorithm=printed has weights=fixed")
        if not 0.0 < self.learning_rate < math.inf:
            raise RdbenchError(f"wgd: learning_rate must be positive, got {self.learning_rate}")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Move the particles of all slopes by the same minibatches, then yield their channels."""
        supported = (
            view.distortion.name in ("squared_error", "absolute_error") and view.alphabet is None
        )
        reason = "wgd needs beta > 0, R^d as reproduction space and squared or absolute error"
        positive = []
        for beta in betas:
            if supported and beta > 0.0:
                positive.append(beta)
            else:
                yield Refusal(beta, "unsupported", reason)
        if not positive:
            return
        warm = view.sample(_WARM_DRAWS)
        if bool((warm == warm[0]).all()):
            yield from (Refusal(b, "unsupported", "the source is constant") for b in positive)
            return
        scaling = fit_scaling(warm, view.distortion)
        flows = self._flows(view, positive, scaling, scaling.forward(warm), generator, monitor)
        per_particle = view.dim + (self.weights == "updated")
        monitor.count(parameters=len(positive) * self.particles * per_particle)
        self._descend(view, positive, scaling, flows, monitor)
        held = view.sample(_CLAIM_SYMBOLS)
        for beta, flow in zip(positive, flows, strict=True):
            if flow.diverged:
                yield Refusal(beta, "not_converged", "the particles diverged: steps too long")
            else:
                yield self._channel(view, beta, scaling, flow, held)

    def _steps(self, dim: int, monitor: Monitor) -> int:
        default = 10_000 if self.algorithm == "printed" else min(500 + 150 * dim, 2000)
        return max(1, round((self.iterations or default) * monitor.effort))

    def _flows(
        self,
        view: View,
        betas: Sequence[float],
        scaling: Scaling,
        warm: Float[Tensor, "k d"],
        generator: Generator,
        monitor: Monitor,
    ) -> list[Flow | PrintedFlow]:
        """The particles of every slope at their starting points."""
        squared = view.distortion.name == "squared_error"
        draws = scaling.forward(view.sample(self.particles))
        flows: list[Flow | PrintedFlow] = []
        if self.algorithm == "printed":
            x = scaling.forward(view.sample(self.batch or 100_000))
            noise = torch.randn(
                draws.shape, generator=generator, device=view.device, dtype=torch.float64
            )
            start = draws + 0.1 * draws.std(correction=0) * noise
            # a step of lr d psi / dy is one of lr / scale^2 in standard coordinates
            rate, steps = self.learning_rate / scaling.scale**2, self._steps(view.dim, monitor)
            for slope in map(scaling.beta, betas):
                kind = working_type(x, slope, squared)
                flows.append(PrintedFlow(start.to(kind), slope, squared, x.to(kind), rate, steps))
            return flows
        for slope in map(scaling.beta, betas):
            start = starting_points(draws, warm, 0.5 / slope) if squared else draws
            kind = working_type(warm, slope, squared)
            flow = Flow(start.to(kind, copy=True), slope, squared, self.weights == "updated")
            # particles in the tails would weigh too much if weights were fixed
            if flow.updated and monitor.advance(0.0):
                flow.cover(warm)
            flows.append(flow)
        return flows

    def _descend(
        self,
        view: View,
        betas: Sequence[float],
        scaling: Scaling,
        flows: Sequence[Flow | PrintedFlow],
        monitor: Monitor,
    ) -> None:
        """All steps of all slopes, in turn, until the monitor says stop."""
        steps = self._steps(view.dim, monitor)

        def present() -> list[TestChannel]:
            return [
                self._channel(view, beta, scaling, flow, None)
                for beta, flow in zip(betas, flows, strict=True)
                if not flow.diverged
            ]

        fresh = self.algorithm == "averaged"
        x = scaling.forward(view.sample(1))
        for t in range(steps):
            if fresh:
                x = scaling.forward(view.sample(self.batch or 1000))
            for k, flow in enumerate(flows):
                if not monitor.advance((t + k / len(flows)) / steps):
                    return
                flow.step(x, t)
                monitor.count(gradient_steps=1)
            if t % _LOOK_EVERY == 0 and not monitor.checkpoint(present):
                return

    def _channel(
        self,
        view: View,
        beta: float,
        scaling: Scaling,
        flow: Flow | PrintedFlow,
        held: Float[Tensor, "k d"] | None,
    ) -> TestChannel:
        """The particles as atoms, with F(q) on the held-out symbols where there are some."""
        log_w = flow.log_w.double()
        atoms = Atoms(scaling.backward(flow.y), log_w - torch.logsumexp(log_w, 0))
        claim, reason = _NO_CLAIM, ""
        if held is not None:
            rate, spent = exact_point(atoms, view.distortion, held, beta)
            # of a fixed training set no symbol is fresh
            claim = Claim(rate, spent, "upper" if view.n_train is None else "estimate")
            most = math.log(self.particles)
            if rate > _SHORT_RATE * most:
                reason = f"R = {rate:.3g} nats of at most log {self.particles} = {most:.3g}"
        return TestChannel(
            beta=beta,
            marginal=atoms,
            claim=claim,
            sample_conditional=conditional(atoms, view.distortion, beta),
            reason=reason,
        )


ESTIMATOR = WGD
