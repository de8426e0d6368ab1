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
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting import NO_CLAIM, Task, check_settings, iterate, standardised, tuned
from rdbench.inference.particles import conditional, exact_point, starting_points
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

_CHECKPOINT_EVERY = 10
_SHORT_RATE = 0.6  # of log n, from where the gap may pass .05 nats
# Entries of P held at once: what fits the cache of a core, and what fills an accelerator.
_CPU_ENTRIES, _DEVICE_ENTRIES = 500_000, 50_000_000
_SINGLE_ERROR = 1e-3
_LEAST_MASS = 1e-6
_FAR = 100.0


@dataclass(frozen=True)
class WGD:
    """Particles under squared or absolute error; the fields are hyper-parameters.

    A source on finitely many points is treated like any other, through its draws.
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="particles moved by the Wasserstein gradient; R <= log n",
        citation="Yang, Eckstein, Nutz, Mandt: Estimating the Rate-Distortion Function by "
        "Wasserstein Gradient Descent, NeurIPS 2023",
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
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
    algorithm: Literal["averaged", "printed"] = "averaged"
    """``averaged``: fresh minibatches, steps relative to 1 / (2 beta), running sums. ``printed``:
    the authors' gradient steps on a fixed batch."""
    weights: Literal["updated", "fixed"] = "updated"
    """``updated``: weights follow the running mean of c_j, a damped Blahut-Arimoto step."""
    iterations: int | None = None
    """None: 500 + 150 d, at most 2,000; printed 10,000."""
    batch: int | None = None
    """Symbols per step. None: 1,000, printed 100,000."""
    learning_rate: float = 1e-2
    """Of ``printed`` alone."""
    warm_draws: int = tuned(20_000)
    """Draws that give the scale of the source, and of ``averaged`` the covariance of the start."""
    claim_draws: int = tuned(2000)
    """Draws on which R and D are claimed."""
    gain_power: float = tuned(0.6)
    """The running sums have the gains (2 + t)^-power; between .5 and 1 averages converge."""

    def __post_init__(self) -> None:
        counts = ("particles", "iterations", "batch", "warm_draws", "claim_draws")
        check_settings("wgd", self, counts, positive=("learning_rate", "gain_power"))
        if self.algorithm == "printed" and self.weights != "fixed":
            raise RdbenchError("wgd: algorithm=printed has weights=fixed")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Move the particles of all slopes by the same minibatches, then yield their channels."""
        return standardised(self._fit, view, betas, generator, monitor, warm=self.warm_draws)

    def _fit(self, task: Task) -> Iterator[TestChannel | Refusal]:
        default = 10_000 if self.algorithm == "printed" else min(500 + 150 * task.dim, 2000)
        steps = max(1, round((self.iterations or default) * task.monitor.effort))
        flows = self._flows(task, steps)
        per_particle = task.dim + (self.weights == "updated")
        task.monitor.count(parameters=len(flows) * self.particles * per_particle)
        x = task.draws.sample(1)

        def step(i: int) -> bool:
            nonlocal x
            t, k = divmod(i, len(flows))
            if self.algorithm == "averaged" and k == 0:
                x = task.draws.sample(self.batch or 1000)
            flows[k].step(x, t)
            return True

        def channels() -> list[TestChannel]:
            return [self._channel(task, flow, None) for flow in flows if not flow.diverged]

        every = _CHECKPOINT_EVERY * len(flows)
        iterate(task.monitor, steps * len(flows), step, channels, every=every)
        claimed_on = task.draws.claim(self.claim_draws)
        for flow in flows:
            if flow.diverged:
                yield Refusal(flow.beta, "not_converged", "the particles diverged: steps too long")
            else:
                yield self._channel(task, flow, claimed_on)

    def _flows(self, task: Task, steps: int) -> list[Averaged | Printed]:
        """The particles of every slope at their starting points."""
        squared = task.distortion.name == "squared_error"
        start, x = task.draws.sample(self.particles), task.warm
        flows: list[Averaged | Printed] = []
        if self.algorithm == "printed":
            x = task.draws.sample(self.batch or 100_000)
            shape, device = start.shape, task.device
            e = torch.randn(shape, generator=task.generator, device=device, dtype=torch.float64)
            start = start + 0.1 * start.std(correction=0) * e
            # a step of lr d psi / dy is one of lr / scale^2 in standard coordinates
            rate = self.learning_rate / task.scale**2
            for beta in task.betas:
                kind = working_type(x, beta, squared)
                flows.append(Printed(start.to(kind), beta, squared, x.to(kind), rate, steps))
            return flows
        for beta in task.betas:
            y = starting_points(start, x, 0.5 / beta) if squared else start
            y = y.to(working_type(x, beta, squared), copy=True)
            flow = Averaged(y, beta, squared, self.weights == "updated", self.gain_power)
            # particles in the tails would weigh too much if weights were fixed
            if flow.updated and task.go_on():
                flow.cover(x)
            flows.append(flow)
        return flows

    def _channel(
        self, task: Task, flow: Averaged | Printed, x: Float[Tensor, "k d"] | None
    ) -> TestChannel:
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
    """n particles of one slope in standard coordinates, of weight 1/n at first."""

    y: Float[Tensor, "n d"]
    beta: float
    squared: bool

    def __post_init__(self) -> None:
        self.log_w = torch.full_like(self.y[:, 0], -math.log(len(self.y)))

    def sums(
        self, x: Float[Tensor, "b d"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"], Float[Tensor, " d"]]:
        """mean_i P_ij; mean_i P_ij x_i, or of P_ij sign(x_i - y_j); and E|x - Y| per coordinate.

        The last is computed for absolute error alone.
        """
        y, log_w, beta = self.y, self.log_w, self.beta
        c, m, width = torch.zeros_like(log_w), torch.zeros_like(y), torch.zeros_like(y[0])
        rows = max(1, (_CPU_ENTRIES if x.device.type == "cpu" else _DEVICE_ENTRIES) // len(y))
        if not self.squared:
            for part in x.split(rows):
                p = torch.softmax(log_w - beta * torch.cdist(part, y, p=1.0), 1)
                c += p.sum(0)
                for k in range(y.shape[1]):
                    r = part[:, k, None] - y[:, k]
                    m[:, k] += (p * r.sign()).sum(0)
                    width[k] += (p * r.abs_()).sum()
            return c / len(x), m / len(x), width / len(x)
        # One product with the symbols and a column of ones gives both sums. |x|^2 is common to a
        # row of P and drops out; the factors that are left are centred and of unit scale.
        ones = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        both = y.new_zeros(x.shape[1] + 1, len(y))
        bias = log_w - beta * y.square().sum(1)
        buffer = y.new_empty(rows, len(y))
        for part in ones.split(rows):
            p = buffer[: len(part)]
            torch.addmm(bias, part[:, :-1], y.T, alpha=2.0 * beta, out=p)
            torch.softmax(p, 1, out=p)
            both.addmm_(part.T, p)
        return both[-1] / len(x), both[:-1].T / len(x), width


@dataclass
class Averaged(Flow):
    """Particles moved by running sums.

    Under squared error the gradient step of length 1 / (2 beta c_j) goes to m_j / c_j. Averaging
    c and m over minibatches with gain g_t = (2 + t)^-power before the division is that step with
    the minibatch noise taken out (online EM: Cappe and Moulines 2009). Under absolute error, whose
    subgradient is a sign, the step is g_t w E[sign(x - y_j) | y_j] with w the mean distance
    E|x - Y| along the coordinate: what a Newton step would be if errors were Laplacian.
    """

    updated: bool
    """Whether weights follow the running mean of c_j as well."""
    power: float = 0.6
    diverged: ClassVar[bool] = False  # every step ends inside the convex hull of the data

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mass = torch.ones_like(self.log_w)
        self.width = torch.full_like(self.y[0], 1.0 / self.beta)

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

    def step(self, x: Float[Tensor, "b d"], t: int) -> None:
        """Move the particles by one minibatch."""
        gain, n = (2.0 + t) ** -self.power, len(self.y)
        c, m, width = self.sums(x.to(self.y.dtype))
        self.mass.lerp_(c * n, gain).clamp_(min=_LEAST_MASS)
        if self.squared:
            # as moment / mass, but where the mass is at its floor a particle stays where it is
            self.y = self.y + gain * n * (m - c[:, None] * self.y) / self.mass[:, None]
        else:
            self.width.lerp_(width, gain)
            self.y = self.y + gain * self.width * (m * n / self.mass[:, None]).clamp(-1.0, 1.0)
        if self.updated:
            self.log_w = torch.log(self.mass / self.mass.sum())


@dataclass
class Printed(Flow):
    """The authors' gradient steps: y_j <- y_j - s_t grad psi(y_j), s_t = s_0 / sqrt(1 + 99 t / T).

    On the same draws x at every step; weights stay 1/n.
    """

    x: Float[Tensor, "b d"]
    learning_rate: float
    iterations: int

    def step(self, _x: Float[Tensor, "b d"], t: int) -> None:
        """One gradient step; the minibatch is not used."""
        c, m, _ = self.sums(self.x)
        n = len(self.y)
        gradient = 2.0 * self.beta * n * (c[:, None] * self.y - m)
        if not self.squared:
            gradient = -self.beta * n * m
        rate = self.learning_rate / math.sqrt(1.0 + 99.0 * t / self.iterations)
        self.y = self.y - rate * gradient

    @property
    def diverged(self) -> bool:
        """Whether steps too long for the slope have thrown particles far beyond the data."""
        return not bool(self.y.abs().max() <= _FAR * self.x.abs().max())


def working_type(x: Float[Tensor, "b d"], beta: float, squared: bool) -> torch.dtype:
    """float32 where the logits, up to 2 beta max |x|^2, keep three digits behind the point."""
    largest = float(x.square().sum(1).max()) if squared else float(x.abs().sum(1).max())
    error = 2.0 * beta * largest * torch.finfo(torch.float32).eps
    return torch.float32 if error < _SINGLE_ERROR else torch.float64
