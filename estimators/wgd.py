"""WGD: particles that descend the rate functional by its Wasserstein gradient.

Y. Yang, S. Eckstein, M. Nutz, S. Mandt, "Estimating the rate-distortion function by Wasserstein
gradient descent", NeurIPS 2023; the authors' code is github.com/yiboyang/wgd.

q is n atoms, and F(q) = -E log sum_j w_j exp(-beta rho(x, y_j)) is an exact sum over them, so that
on fresh symbols the claim is an upper bound in expectation. n atoms cannot give more than about
log n nats; the gap reaches .05 nats where R is some 0.6 log n in ten dimensions and 0.75 log n in
the plane.

With P_ij = p(y_j|x_i) on a minibatch of b symbols, c_j = (n / b) sum_i P_ij and
m_j = (n / b) sum_i P_ij x_i, the Wasserstein gradient of F at y_j is beta E[P grad_y rho], under
squared error 2 beta (c_j y_j - m_j) for equal weights (section 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting import NO_CLAIM, Task, check_settings, iterate, not_seeded, standardised
from rdbench.inference.particles import (
    conditional,
    exact_point,
    posterior_sums,
    starting_points,
    working_type,
)
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

_EVERY = 10  # steps from one checkpoint to the next
_SHORT_RATE = 0.6  # of log n, from where the gap may pass .05 nats
_LEAST_MASS, _FAR = 1e-6, 100.0


@dataclass(frozen=True)
class WGD:
    """Particles under squared or absolute error; finite sources are known by their draws alone."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="particles moved by the Wasserstein gradient; R <= log n",
        citation="Yang, Eckstein, Nutz, Mandt: Estimating the Rate-Distortion Function by "
        "Wasserstein Gradient Descent, NeurIPS 2023",
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
        presets={"paper": {"algorithm": "published", "weights": "fixed", "particles": 1000}},
        preset_notes={
            "paper": "The authors' configuration for their deconvolution experiments: 10,000 "
            "steps of gradient descent on one fixed batch of 100,000 draws, 1,000 particles of "
            "weight 1/n started at draws plus noise of a tenth of the standard deviation (of all "
            "coordinates together; theirs is of each), learning rate 1e-2 falling as an inverse "
            "square root to 1e-3. Published at our beta = 5 alone; beyond beta = 100 its steps "
            "may diverge, which is refused. Absolute error is our addition."
        },
        not_invariant=frozenset({"scale:paper"}),
        colour="#E69F00",
        marker="v",
    )

    particles: int = 1000
    """n, the number of atoms."""
    algorithm: Literal["averaged", "published"] = "averaged"
    """``averaged``: fresh minibatches, steps relative to 1 / (2 beta), running sums. ``published``:
    the authors' gradient steps on a fixed batch."""
    weights: Literal["updated", "fixed"] = "updated"
    """``updated``: weights follow the running mean of c_j, a damped Blahut-Arimoto step."""
    iterations: int | None = None
    """Steps; None: 500 + 150 d, at most 2,000; ``published`` 10,000."""
    batch: int | None = None
    """Symbols per step; None: 1,000; ``published`` 100,000."""
    learning_rate: float = 1e-2
    """Learning rate of ``published``; ``averaged`` has none."""
    warm_draws: int = not_seeded(20_000)
    """Draws that give the scale of the source, and of ``averaged`` the covariance of the start."""
    claim_draws: int = not_seeded(2000)
    """Draws on which R and D are claimed."""
    gain_power: float = not_seeded(0.6)
    """The running sums have the gains (2 + t)^-power; between .5 and 1 averages converge."""

    def __post_init__(self) -> None:
        counts = ("particles", "iterations", "batch", "warm_draws", "claim_draws")
        check_settings("wgd", self, counts, positive=("learning_rate", "gain_power"))
        if self.algorithm == "published" and self.weights != "fixed":
            raise RdbenchError("wgd: algorithm=published has weights=fixed")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Move the particles of all slopes by the same minibatches, then yield their channels."""
        return standardised(self._fit, view, betas, generator, monitor, warm=self.warm_draws)

    def _fit(self, task: Task) -> Iterator[TestChannel | Refusal]:
        published = self.algorithm == "published"
        default = 10_000 if published else min(500 + 150 * task.dim, 2000)
        steps = max(1, round((self.iterations or default) * task.monitor.effort))
        start = task.draws.sample(self.particles)
        x = task.draws.distinct(self.batch or 100_000) if published else task.warm
        flows = list(self._flows(task, start, x, steps))
        per_particle = task.dim + (self.weights == "updated")
        task.monitor.count(parameters=len(flows) * self.particles * per_particle)
        task.draws.sample(1)  # not used; without it all later draws would be others

        def step(i: int) -> bool:
            nonlocal x
            t, k = divmod(i, len(flows))
            if k == 0 and not published:
                x = task.draws.sample(self.batch or 1000)
            flows[k].step(x, t)
            return True

        def channels() -> list[TestChannel]:
            return [self._channel(task, flow, None) for flow in flows if not flow.diverged]

        iterate(task.monitor, steps * len(flows), step, channels, every=_EVERY * len(flows))
        claimed_on = task.draws.claim(self.claim_draws)
        for flow in flows:
            if flow.diverged:
                yield Refusal(flow.beta, "not_converged", "the particles diverged: steps too long")
            else:
                yield self._channel(task, flow, claimed_on)

    def _flows(
        self, task: Task, y: Float[Tensor, "n d"], x: Float[Tensor, "k d"], steps: int
    ) -> Iterator[Flow]:
        """The particles of every slope at their starting points, from draws y."""
        squared, published = task.distortion.name == "squared_error", None
        if self.algorithm == "published":
            kind: dict[str, Any] = {
                "generator": task.generator,
                "device": task.device,
                "dtype": torch.float64,
            }
            y = y + 0.1 * y.std(correction=0) * torch.randn(y.shape, **kind)
            # a step of lr d psi / dy is one of lr / scale^2 in standard coordinates
            published = (self.learning_rate / task.scale**2, steps, float(x.abs().max()))
        for beta in task.betas:
            start = starting_points(y, x, 0.5 / beta) if squared and published is None else y
            start = start.to(working_type(x, beta, squared), copy=True)
            flow = Flow(start, beta, squared, self.weights == "updated", self.gain_power, published)
            # particles in the tails would weigh too much if weights were fixed
            if flow.updated and task.go_on():
                flow.cover(x)
            yield flow

    def _channel(self, task: Task, flow: Flow, x: Float[Tensor, "k d"] | None) -> TestChannel:
        """The particles as atoms, with R and D on the symbols x where there are some."""
        log_w = flow.log_w.double()
        atoms = Atoms(flow.y.double(), log_w - torch.logsumexp(log_w, 0))
        claim, reason = NO_CLAIM, ""
        if x is not None:
            rate, distortion = exact_point(atoms, task.distortion, x, flow.beta)
            claim = Claim(rate, distortion, task.draws.side)
            most = math.log(self.particles)
            if rate > _SHORT_RATE * most:
                reason = f"R = {rate:.3g} nats of at most log {self.particles} = {most:.3g}"
        draw = conditional(atoms, task.distortion, flow.beta)
        return TestChannel(flow.beta, atoms, claim, draw, reason=reason)


ESTIMATOR = WGD


@dataclass
class Flow:
    """n particles of one slope in standard coordinates, of weight 1/n at first.

    ``averaged``: under squared error the gradient step of length 1 / (2 beta c_j) goes to
    m_j / c_j. Averaging c and m over minibatches with gain g_t = (2 + t)^-power before the division
    is that step with the minibatch noise taken out (online EM: Cappe and Moulines 2009). Under
    absolute error, whose subgradient is a sign, the step is g_t w E[sign(x - y_j) | y_j] with w the
    mean distance E|x - Y| along the coordinate: what a Newton step would be if errors were
    Laplacian. ``published``: y_j <- y_j - s_t grad psi(y_j), s_t = s_0 / sqrt(1 + 99 t / T).
    """

    y: Float[Tensor, "n d"]
    beta: float
    squared: bool
    updated: bool = False
    """Whether weights follow the running mean of c_j as well."""
    power: float = 0.6
    published: tuple[float, int, float] | None = None
    """s_0, T, and the largest coordinate of the data; None for ``averaged``."""

    def __post_init__(self) -> None:
        self.log_w = torch.full_like(self.y[:, 0], -math.log(len(self.y)))
        self.mass = torch.ones_like(self.log_w)
        self.width = torch.full_like(self.y[0], 1.0 / self.beta)

    @property
    def diverged(self) -> bool:
        """Whether steps too long for the slope have thrown particles far beyond the data.

        Averaged steps end inside the convex hull of the data.
        """
        most = _FAR * self.published[2] if self.published else math.inf
        return not bool(self.y.abs().max() <= most)

    def step(self, x: Float[Tensor, "b d"], t: int) -> None:
        """Move the particles by one batch."""
        n = len(self.y)
        x = x.to(self.y.dtype)
        c, m, width = posterior_sums(x, self.y, self.log_w, self.beta, self.squared)
        if self.published:
            direction = 2.0 * self.beta * n * (c[:, None] * self.y - m)
            direction = direction if self.squared else -self.beta * n * m
            rate = self.published[0] / math.sqrt(1.0 + 99.0 * t / self.published[1])
            self.y = self.y - rate * direction
            return
        gain = (2.0 + t) ** -self.power
        self.mass.lerp_(c * n, gain).clamp_(min=_LEAST_MASS)
        if self.squared:
            # as moment / mass, but where the mass is at its floor a particle stays where it is
            self.y = self.y + gain * n * (m - c[:, None] * self.y) / self.mass[:, None]
        else:
            self.width.lerp_(width, gain)
            self.y = self.y + gain * self.width * (m * n / self.mass[:, None]).clamp(-1.0, 1.0)
        if self.updated:
            self.log_w = torch.log(self.mass / self.mass.sum())

    def cover(self, x: Float[Tensor, "k d"]) -> None:
        """Put at most a tenth of the particles at the draws that the others serve worst.

        n draws leave out the tails, where at high rate a distance costs beta times its square.
        Only draws that need more than log n + d nats count: a particle of weight 1/n and twice
        the distortion that is usual in d dimensions would do better.
        """
        power = 2 if self.squared else 1
        parts = x.to(self.y.dtype).split(1000)
        rho = (torch.cdist(part, self.y, p=power).pow_(power) for part in parts)
        needed = torch.cat([-torch.logsumexp(self.log_w - self.beta * r, 1) for r in rho])
        n, d = self.y.shape
        worst = torch.topk(needed, max(1, n // 10))
        chosen = worst.indices[worst.values > math.log(n) + d]
        self.y[: len(chosen)] = x[chosen].to(self.y.dtype)
