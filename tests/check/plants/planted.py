"""One estimator of Gaussian vectors with a switch: honest, or wrong in one particular way.

The honest one fits a Gaussian to training draws, takes the noise of slope beta out of its
covariance, and claims F(q), R and D in closed form on held-out draws.
"""

from __future__ import annotations

import math
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from rdbench.types import (
    Atoms,
    Claim,
    Density,
    Encoder,
    Energy,
    EstimatorInfo,
    Monitor,
    Pushforward,
    Refusal,
    TestChannel,
    View,
)

DRAWS = 4000
MEMORY = 300
STEPS = 60


def eye(dim: int) -> Tensor:
    return torch.eye(dim, dtype=torch.float64)


def work(seconds: float) -> None:
    began = time.process_time()
    while time.process_time() < began + seconds:
        pass


def normal(shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def root(cov: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov)
    out: Tensor = vectors * values.clamp(min=0.0).sqrt()
    return out


@dataclass(frozen=True)
class Gaussian:
    """q = N(mean, cov) and its test channel at slope beta."""

    mean: Tensor
    cov: Tensor
    beta: float

    @property
    def factor(self) -> Tensor:
        return root(self.cov)

    @property
    def gain(self) -> Tensor:
        gain: Tensor = torch.linalg.solve(
            self.cov + eye(len(self.mean)) / (2 * self.beta), self.cov
        )
        return gain

    @property
    def noise(self) -> Tensor:
        """A root of the covariance of p(y|x)."""
        return root(self.gain / (2 * self.beta))

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        return self.mean + normal((n, len(self.mean)), generator) @ self.factor.T

    def log_prob(self, y: Tensor) -> Tensor:
        centred = y - self.mean
        inner = (centred * torch.linalg.solve(self.cov, centred.T).T).sum(1)
        value: Tensor = -0.5 * (inner + torch.logdet(2 * math.pi * self.cov))
        return value

    def conditional(self, x: Tensor, k: int, generator: Generator | None) -> Tensor:
        z = normal((len(x), k, x.shape[1]), generator)
        return (self.mean + (x - self.mean) @ self.gain)[:, None] + z @ self.noise.T

    def point(self, x: Tensor) -> tuple[float, float]:
        """R and D on the symbols x."""
        spread = eye(x.shape[1]) + 2 * self.beta * self.cov
        centred = x - self.mean
        inner = (centred * torch.linalg.solve(spread, centred.T).T).sum(1)
        lagrangian = float(self.beta * inner.mean() + 0.5 * torch.logdet(spread))
        left = centred - centred @ self.gain
        d = float(left.square().sum(1).mean() + torch.trace(self.gain) / (2 * self.beta))
        return lagrangian - self.beta * d, d


INFO = EstimatorInfo(summary="one Gaussian, planted faults", citation="none")


@dataclass(frozen=True)
class Planted:
    """``fault`` names what is wrong; ``honest``: nothing."""

    info: ClassVar[EstimatorInfo] = INFO

    fault: str = "honest"

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Any:
        answers = self.answers(view, betas, generator, monitor)
        return list(answers) if self.fault == "a finished list" else answers

    def answers(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        train, held = view.sample(DRAWS), view.sample(DRAWS)
        self.disturb()
        if view.distortion.name != "squared_error":
            yield from (Refusal(b, "unsupported", "squared error alone") for b in betas)
            return
        constant = bool((train == train[0]).all())
        if constant and self.fault != "raises on a constant":
            yield from (Refusal(b, "unsupported", "a constant source") for b in betas)
            return
        self.train(train, view, generator, monitor)
        # What the fit draws has to leave a trace, or nobody could tell where it is drawn from.
        noise = normal((1,), None if self.fault == "draws globally" else generator)
        turned = list(reversed(betas)) if self.fault == "slopes mixed up" else list(betas)
        for i, (beta, other) in enumerate(zip(betas, turned, strict=True)):
            if beta == 0.0:
                yield Refusal(beta, "unsupported", "beta > 0")
                continue
            if self.fault == "leaves a slope out" and i == 1:
                continue
            if self.fault == "deaf":
                monitor.advance(0.5)
                work(0.7)
            q = self.fitted(train, other)
            q = replace(q, mean=q.mean * (1.0 + 1e-9 * noise))
            channel = replace(self.channel(view, q, train, held, generator), beta=beta)
            if self.fault == "grad mode":
                with torch.no_grad():
                    yield channel
            else:
                yield channel
            if self.fault == "answers twice":
                yield channel

    def disturb(self) -> None:
        """Faults that touch the process."""
        if self.fault == "seeds torch":
            torch.manual_seed(0)
        if self.fault == "seeds random":
            random.seed(0)
        if self.fault == "default dtype":
            torch.set_default_dtype(torch.float64)
        if self.fault == "numpy's errors":
            np.seterr(all="raise")
        if self.fault == "signals":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.fault == "anomalies":
            torch.autograd.set_detect_anomaly(True)
        if self.fault == "recursion":
            sys.setrecursionlimit(200_000)
        if self.fault == "denormals":
            torch.set_flush_denormal(True)
        while self.fault == "never ends":
            pass

    def train(self, train: Tensor, view: View, generator: Generator, monitor: Monitor) -> None:
        """Sixty steps that do nothing but report."""
        if self.fault == "never reports":
            work(0.7)
        if self.fault in ("never reports", "deaf"):
            return
        steps = max(1, round(10 * STEPS * monitor.effort))
        if self.fault == "ignores effort":
            steps = STEPS
        for step in range(steps):
            go_on = monitor.advance(step / steps)
            monitor.count(gradient_steps=1, parameters=2)
            if step % 10 == 0:
                go_on &= monitor.checkpoint(lambda: self.look(view, train, generator))
            if not go_on and self.fault != "ignores the budget":
                return

    def look(self, view: View, train: Tensor, generator: Generator) -> list[TestChannel]:
        q = self.fitted(train, 1.0)
        if self.fault == "looks change the fit":
            normal((1,), generator)
        channel = self.channel(view, q, train, train, generator)
        return [replace(channel, claim=Claim(math.nan, math.nan, "estimate"))]

    def fitted(self, x: Tensor, beta: float) -> Gaussian:
        mean = x.mean(0)
        if self.fault == "raises on a constant" and bool((x == x[0]).all()):
            raise ValueError("a singular covariance")
        if self.fault == "starts at the origin":
            x, mean = torch.cat([x, torch.zeros_like(x)]), torch.zeros_like(mean)
        cov = torch.cov(x.T).reshape(len(mean), len(mean))
        if self.fault == "diagonal covariance":
            cov = torch.diag(cov.diag())
        values, vectors = torch.linalg.eigh(cov)
        floor = 0.05 if self.fault == "absolute floor" else 1e-6 * float(values.max()) + 1e-300
        kept = (values - 0.5 / beta).clamp(min=floor)
        return Gaussian(mean, vectors @ torch.diag(kept) @ vectors.T, beta)

    def channel(
        self, view: View, q: Gaussian, train: Tensor, held: Tensor, generator: Generator
    ) -> TestChannel:
        rate, spent = q.point(held)
        honest = TestChannel(
            q.beta, Density(q.draw, q.log_prob), Claim(rate, spent, "estimate"), q.conditional
        )
        change = FAULTS.get(self.fault)
        return honest if change is None else change(honest, q, view, train, generator)


Change = Callable[[TestChannel, Gaussian, View, Tensor, Generator], TestChannel]
FAULTS: dict[str, Change] = {}


def planted(name: str) -> Callable[[Change], Change]:
    def note(change: Change) -> Change:
        FAULTS[name] = change
        return change

    return note


def claiming(channel: TestChannel, rate: float, distortion: float, side: Any) -> TestChannel:
    return replace(channel, claim=Claim(rate, distortion, side))


@planted("bits")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return claiming(c, c.claim.rate / math.log(2.0), c.claim.distortion, "estimate")


@planted("mean distortion")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return claiming(c, c.claim.rate, c.claim.distortion / len(q.mean), "estimate")


@planted("half the squared error")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return claiming(c, c.claim.rate, c.claim.distortion / 2.0, "estimate")


@planted("claims too little")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return claiming(c, c.claim.rate - 0.4 * len(q.mean), c.claim.distortion, "estimate")


@planted("side lie")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    lowered = c.claim.rate - 0.3 * len(q.mean)
    return claiming(c, lowered, c.claim.distortion, "upper")


@planted("upper on training draws")
def _(c: TestChannel, q: Gaussian, view: View, train: Tensor, *_: Any) -> TestChannel:
    return claiming(c, *q.point(train), "upper")


@planted("memorises")
def _(c: TestChannel, q: Gaussian, view: View, train: Tensor, *_: Any) -> TestChannel:
    points = train[:MEMORY]
    weights = torch.full((MEMORY,), -math.log(MEMORY), dtype=torch.float64)
    rho = view.distortion.pairwise(points, points)
    logits = weights - q.beta * rho
    spent = float((logits.softmax(1) * rho).sum(1).mean())
    rate = -float(logits.logsumexp(1).mean()) - q.beta * spent

    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        chances = torch.softmax(weights - q.beta * view.distortion.pairwise(x, points), 1)
        return points[torch.multinomial(chances, k, replacement=True, generator=g)]

    return TestChannel(q.beta, Atoms(points, weights), Claim(rate, spent, "estimate"), draw)


@planted("conditional too wide")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    wide = Gaussian(q.mean, q.cov, 0.5 * q.beta)
    return replace(c, sample_conditional=wide.conditional)


@planted("conditional forgets x")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        return q.draw(len(x) * k, g).reshape(len(x), k, -1)

    return replace(c, sample_conditional=draw)


@planted("conditional forgets x in the plane")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        if x.shape[1] == 1:
            return q.conditional(x, k, g)
        return q.mean + normal((len(x), k, x.shape[1]), g)

    return replace(c, sample_conditional=draw)


@planted("encoder claims too little")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    lowered = claiming(c, c.claim.rate - 0.5, c.claim.distortion, "estimate")
    return replace(lowered, conditional_kind="encoder")


@planted("density not normalised")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return replace(c, marginal=Density(q.draw, lambda y: q.log_prob(y) + 0.5))


def energy(c: TestChannel, q: Gaussian, sign: float, spread: float) -> TestChannel:
    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        return -q.log_prob(y), sign * torch.linalg.solve(q.cov, (y - q.mean).T).T

    return replace(c, marginal=Energy(replace(q, cov=spread * q.cov).draw, value_and_grad))


@planted("honest energy")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return energy(c, q, 1.0, 1.0)


@planted("energy with another's draws")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return energy(c, q, 1.0, 4.0)


@planted("energy with the wrong sign")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return energy(c, q, -1.0, 1.0)


@planted("encoder not normalised")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    dim = len(q.mean)

    def sample(x: Tensor, k: int, g: Generator) -> Tensor:
        return x[:, None] + normal((len(x), k, dim), g)

    def log_prob(z: Tensor, x: Tensor) -> Tensor:
        return -0.5 * (z - x[:, None]).square().sum(2)  # the constant is missing

    def decode(z: Tensor) -> Tensor:
        return q.mean + z @ q.factor.T

    return replace(c, marginal=Pushforward(decode, dim, encoder=Encoder(sample, log_prob)))


@planted("float32")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    def draw(n: int, g: Generator) -> Tensor:
        return q.draw(n, g).float()

    return replace(c, marginal=Density(draw, q.log_prob))


@planted("wrong shape")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        return q.conditional(x, k, g).reshape(-1, x.shape[1])

    return replace(c, sample_conditional=draw)


@planted("weights for logs")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    points = q.draw(50, torch.Generator().manual_seed(0))
    return replace(c, marginal=Atoms(points, torch.full((50,), 0.02, dtype=torch.float64)))


@planted("samplers share the fit's generator")
def _(c: TestChannel, q: Gaussian, view: View, train: Tensor, generator: Generator) -> TestChannel:
    return replace(c, sample_conditional=lambda x, k, _: q.conditional(x, k, generator))


@planted("samplers draw globally")
def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
    return replace(c, sample_conditional=lambda x, k, _: q.conditional(x, k, None))


@planted("looks for the source")
def _(c: TestChannel, q: Gaussian, view: View, *_: Any) -> TestChannel:
    # The callables of a view are sealed: what follows goes through the package's private parts.
    from rdbench.run import sealed

    sample: Any = sealed._work_of(view.sample)  # type: ignore[arg-type]
    cells = [cell.cell_contents for cell in sample.__closure__]
    source = next(cell for cell in cells if hasattr(cell, "stds"))
    best = Gaussian(source.mean, torch.diag(source.stds.square() - 0.5 / q.beta), q.beta)
    return replace(c, marginal=Density(best.draw, best.log_prob))


def every(name: str, rate: Callable[..., float], spent: Callable[..., float], side: Any) -> None:
    """Plant claims that are functions of R, D and beta."""

    @planted(name)
    def _(c: TestChannel, q: Gaussian, *_: Any) -> TestChannel:
        given = (c.claim.rate, c.claim.distortion, q.beta, len(q.mean))
        return claiming(c, rate(*given), spent(*given), side)


every("upper in bits", lambda r, *_: r / math.log(2.0), lambda r, d, *_: d, "upper")
every("upper mean distortion", lambda r, *_: r, lambda r, d, b, n: d / n, "upper")
every("F for R", lambda r, d, b, *_: r + b * d, lambda r, d, *_: d, "estimate")
every("F for R as a bound", lambda r, d, b, *_: r + b * d, lambda r, d, *_: d, "upper")
every("D in nats", lambda r, *_: r, lambda r, d, b, *_: b * d, "estimate")
every("root of D", lambda r, *_: r, lambda r, d, *_: math.sqrt(d), "estimate")
every("swapped", lambda r, d, *_: d, lambda r, *_: r, "upper")
every("a third of D", lambda r, *_: r, lambda r, d, *_: d / 3.0, "upper")
every("rate per coordinate", lambda r, d, b, n: r / n, lambda r, d, *_: d, "estimate")
# The right R + beta D with another D, by factors that differ from point to point.
every(
    "a fraction of D, F right",
    lambda r, d, b, *_: r + b * d * (1.0 - 0.05 * (1.0 + min(b, 9.0))),
    lambda r, d, b, *_: d * 0.05 * (1.0 + min(b, 9.0)),
    "upper",
)
every(
    "more D, F right",
    lambda r, d, b, *_: r - 0.3 * b * d * math.exp(-b / 9.0),
    lambda r, d, b, *_: d * (1.0 + 0.3 * math.exp(-b / 9.0)),
    "estimate",
)
every("below zero", lambda *_: -5.0, lambda *_: -1.0, "lower")
every("a hundred nats more", lambda r, *_: r + 100.0, lambda r, d, *_: d, "upper")
every("a hundred nats less", lambda r, *_: 0.0, lambda r, d, b, n: 0.0, "lower")


@planted("replays the audit")
def _(c: TestChannel, q: Gaussian, view: View, *_: Any) -> TestChannel:
    """Atoms at the very symbols of the audit, by the names of its stream."""
    from rdbench.audit.symbols import draw_symbols
    from rdbench.check.attempts import stream
    from rdbench.check.bench import AUDIT_SIZE
    from rdbench.check.points import FIVE

    if view.dim != FIVE.dim:
        return c
    count = AUDIT_SIZE.symbols
    x = draw_symbols(FIVE.problem, count, stream(0, view.dim, "audit", 0)).x
    weights = torch.full((len(x),), -math.log(len(x)), dtype=torch.float64)
    return replace(c, marginal=Atoms(x, weights))
