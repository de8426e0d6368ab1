"""WGD: particles that descend the rate functional by its Wasserstein gradient.

Y. Yang, S. Eckstein, M. Nutz, S. Mandt, "Estimating the rate-distortion function by Wasserstein
gradient descent", NeurIPS 2023; the authors' code is github.com/yiboyang/wgd.

q is n atoms, and F(q) = -E log sum_j w_j exp(-beta rho(x, y_j)) is an exact sum over them, so that
on fresh symbols the claim is an upper bound in expectation. n atoms cannot give more than about
log n nats; the gap reaches .05 nats where R is some 0.6 log n in ten dimensions and 0.75 log n in
the plane. A product of n atoms along each of d axes has d log n.

With P_ij = p(y_j|x_i) on a minibatch of b symbols, c_j = (n / b) sum_i P_ij and
m_j = (n / b) sum_i P_ij x_i, the Wasserstein gradient of F at y_j is beta E[P grad_y rho], under
squared error 2 beta (c_j y_j - m_j) for equal weights (section 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.wgd.flow import Algorithm, Flow
from rdbench.fitting import NO_CLAIM, Task, check_settings, iterate, not_seeded, standardised
from rdbench.inference import particles, product
from rdbench.types import (
    Atoms,
    Claim,
    EstimatorInfo,
    Monitor,
    Product,
    RdbenchError,
    Refusal,
    Start,
    TestChannel,
    View,
)

_EVERY = 10  # steps from one checkpoint to the next
_SHORT_RATE = 0.6  # of log n, from where the gap may pass .05 nats
_GRADIENT_ERROR = 0.03  # nats of a logit, beside which the noise of a minibatch is large
_POWERS = {"flow": 0.8, "averaged": 0.6, "published": 0.5}


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
        variants={"structure=product": {"distortions": ("squared_error",)}},
        presets={
            "online_em": {"algorithm": "averaged", "weights": "updated"},
            "product": {
                "structure": "product",
                "algorithm": "averaged",
                "weights": "updated",
                "particles": 192,
                "gain_power": 0.5,
            },
            "paper": {"algorithm": "published", "weights": "fixed", "particles": 1000},
            "paper_hybrid": {"algorithm": "published", "weights": "updated", "particles": 1000},
        },
        preset_notes={
            "online_em": "Online EM of atoms and weights, no gradient flow. Under squared error a "
            "fitted mixture is its start: three quarters of the particles are draws shrunk to the "
            "covariance that reverse water-filling gives, the rest draws as they are, of which a "
            "tenth at most may move to draws in the tails.",
            "product": "Online EM of 192 particles with weights along each of d orthogonal axes, "
            "those of FastICA, started at the coordinates of draws, a tenth at most in the "
            "tails: a product of atoms, of rate up to d log n, under squared error. Ours; near "
            "R(D) only where the source has independent coordinates in some orthogonal basis.",
            "paper": "The authors' configuration for their deconvolution experiments: 10,000 "
            "steps of gradient descent on one fixed batch of 100,000 draws, 1,000 particles of "
            "weight 1/n started at draws plus noise of a tenth of the standard deviation (of all "
            "coordinates together; theirs is of each), learning rate 1e-2 falling as an inverse "
            "square root to 1e-3. Published at our beta = 5 alone; beyond beta = 100 its steps "
            "may diverge, which is refused. Absolute error is our addition.",
            "paper_hybrid": "The authors' hybrid (bahybrid), configured as `paper`: after each "
            "step of the particles one Blahut-Arimoto step of their weights, at the new particles "
            "and on the same batch. It deviates where `paper` does: one scale for the noise at the "
            "start, absolute error.",
        },
        not_invariant=frozenset({"scale:paper", "scale:paper_hybrid"}),
        colour="#E69F00",
        marker="v",
    )

    particles: int = 1000
    """n, the number of atoms."""
    algorithm: Algorithm = "flow"
    """``flow``: gradient steps on fresh minibatches, relative to 1 / (2 beta). ``averaged``: steps
    to the mean of what a particle serves, by running sums over minibatches (online EM).
    ``published``: the authors' gradient steps on a fixed batch."""
    weights: Literal["updated", "fixed"] = "fixed"
    """``fixed``: equal ones. ``updated``: under ``averaged`` they follow the running mean of c_j, a
    damped Blahut-Arimoto step; under ``published`` they take a whole one after every step."""
    structure: Literal["joint", "product"] = not_seeded("joint")
    """``product``: n particles along each axis of the orthogonal basis in which coordinates are as
    independent as FastICA finds, under squared error."""
    iterations: int | None = None
    """Steps; None: ``flow`` 1,000, ``averaged`` 500 + 150 d and at most 2,000, of a product 600,
    ``published`` 10,000."""
    batch: int | None = None
    """Symbols per step; None: 1,000, of a product 500, ``published`` 100,000."""
    learning_rate: float = 1e-2
    """Learning rate of ``published``; the others have none."""
    step: float = not_seeded(1.0)
    """eta_0, the first step of ``flow`` in units of 1 / (2 beta)."""
    warm_draws: int = not_seeded(20_000)
    """Draws that give centre and scale, and where ``averaged`` is joint the covariance of its
    start."""
    basis_draws: int = not_seeded(100_000)
    """Draws from which the axes of a product are found."""
    claim_draws: int = not_seeded(2000)
    """Draws on which R and D are claimed."""
    gain_power: float | None = not_seeded(None)
    """Steps of ``flow`` fall as (1 + t / 5)^-power, None: 0.8; the running sums of ``averaged``
    have the gains (2 + t)^-power, None: 0.6. Between .5 and 1 averages converge."""

    def __post_init__(self) -> None:
        counts = ("particles", "iterations", "batch", "warm_draws", "basis_draws", "claim_draws")
        positive = ("learning_rate", "step", "gain_power")
        check_settings("wgd", self, counts, positive)
        if self.algorithm == "flow" and self.weights != "fixed":
            raise RdbenchError("wgd: algorithm=flow has weights=fixed")
        if self.algorithm == "published" and self.structure != "joint":
            raise RdbenchError("wgd: algorithm=published has structure=joint")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Move the particles of all slopes by the same minibatches, then yield their channels."""
        return standardised(self._fit, view, betas, generator, monitor, warm=self.warm_draws)

    def _fit(self, task: Task) -> Iterator[TestChannel | Refusal]:
        published, joint = self.algorithm == "published", self.structure == "joint"
        sizes = {"flow": 1000, "averaged": min(500 + 150 * task.dim, 2000), "published": 10_000}
        default = sizes[self.algorithm] if joint else 600
        steps = max(1, round((self.iterations or default) * task.monitor.effort))
        batch = self.batch or (100_000 if published else 1000 if joint else 500)
        axes = None
        if not joint:
            axes = product.independent(task.draws.distinct(self.basis_draws), task.generator)

        def blocks(x: Float[Tensor, "b d"]) -> Float[Tensor, "k b m"]:
            return x[None] if axes is None else axes.forward(x).T[..., None].contiguous()

        def channel(flow: Flow, start: Start, on: Float[Tensor, "b d"] | None) -> TestChannel:
            return self._channel(task, flow, start, axes, on)

        y = task.draws.sample(self.particles)
        x = task.draws.distinct(batch) if published else task.warm
        flows = []
        for flow, name in self._flows(task, y, x, blocks, steps):
            flows.append((flow, Start(_marginal(flow, axes), name)))
        size = len(y) if joint else len(y) * task.dim
        per_particle = (task.dim if joint else 1) + (self.weights == "updated")
        task.monitor.count(parameters=len(flows) * size * per_particle)
        task.draws.sample(1)  # not used; without it all later draws would be others
        batch_x = blocks(x)

        def step(i: int) -> bool:
            nonlocal batch_x
            t, k = divmod(i, len(flows))
            if k == 0 and not published:
                batch_x = blocks(task.draws.sample(batch))
            flows[k][0].step(batch_x, t)
            return True

        def channels() -> list[TestChannel]:
            return [channel(*one, None) for one in flows if not one[0].diverged]

        iterate(task.monitor, steps * len(flows), step, channels, every=_EVERY * len(flows))
        claimed_on = task.draws.claim(self.claim_draws)
        for flow, start in flows:
            if flow.diverged:
                yield Refusal(flow.beta, "not_converged", "the particles diverged: steps too long")
            else:
                yield channel(flow, start, claimed_on)

    def _flows(
        self,
        task: Task,
        y: Float[Tensor, "n d"],
        x: Float[Tensor, "k d"],
        blocks: Callable[[Tensor], Tensor],
        steps: int,
    ) -> Iterator[tuple[Flow, str]]:
        """The particles of every slope where they start, from draws y, and what that is called."""
        squared, name = task.distortion.name == "squared_error", "draws of the source"
        size, reach, error = self.step, math.inf, _GRADIENT_ERROR
        if self.algorithm == "averaged":
            error = particles.SINGLE_ERROR
        elif self.algorithm == "published":
            kind = {"device": task.device, "dtype": torch.float64}
            noise = torch.randn(y.shape, generator=task.generator, **kind)  # type: ignore[call-overload]
            y, name = y + 0.1 * y.std(correction=0) * noise, "draws of the source plus noise"
            # a step of lr d psi / dy is one of lr / scale^2 in standard coordinates
            size, reach = self.learning_rate / task.scale**2, float(x.abs().max())
        for beta in task.betas:
            start = y
            if self.algorithm == "averaged" and self.structure == "joint" and squared:
                start, name = particles.starting_points(y, x, 0.5 / beta), "water-filled draws"
            at = blocks(start).to(particles.working_type(x, beta, squared, error), copy=True)
            power, updated = self.gain_power or _POWERS[self.algorithm], self.weights == "updated"
            flow = Flow(at, beta, squared, self.algorithm, updated, size, power, steps, reach)
            # particles in the tails would weigh too much if weights were fixed
            if self.algorithm == "averaged" and updated and task.go_on():
                flow.cover(blocks(x))
            yield flow, name

    def _channel(
        self,
        task: Task,
        flow: Flow,
        start: Start,
        axes: product.Coordinates | None,
        x: Float[Tensor, "k d"] | None,
    ) -> TestChannel:
        """The particles as a law, with R and D on the symbols x where there are some."""
        q = _marginal(flow, axes)
        claim, reason = NO_CLAIM, ""
        if x is not None:
            if isinstance(q, Product):
                rate, distortion = product.exact_point(q, x, flow.beta)
            else:
                rate, distortion = particles.exact_point(q, task.distortion, x, flow.beta)
            claim = Claim(rate, distortion, task.draws.side)
            k, n, _ = flow.y.shape
            most, name = k * math.log(n), f"log {n}" if k == 1 else f"{k} log {n}"
            if rate > _SHORT_RATE * most:
                reason = f"R = {rate:.3g} nats of at most {name} = {most:.3g}"
        if isinstance(q, Product):
            draw, q_is = product.conditional(q, flow.beta), "product of atoms"
        else:
            draw, q_is = particles.conditional(q, task.distortion, flow.beta), "atoms"
        return TestChannel(flow.beta, q, claim, draw, reason=reason, q_is=q_is, start=start)


def _marginal(flow: Flow, axes: product.Coordinates | None) -> Atoms | Product:
    """The law of the particles as they are now."""
    y, log_w = flow.y.double(), flow.log_w.double()
    log_w = log_w - torch.logsumexp(log_w, 1, keepdim=True)
    return Atoms(y[0], log_w[0]) if axes is None else axes.product(y[..., 0], log_w)


ESTIMATOR = WGD
