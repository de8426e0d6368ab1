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
    Side,
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
        DISTURBING.get(self.fault, lambda: None)()
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
        rate, distortion = q.point(held)
        honest = TestChannel(
            q.beta, Density(q.draw, q.log_prob), Claim(rate, distortion, "estimate"), q.conditional
        )
        if self.fault in CLAIMS:
            claimed, side = CLAIMS[self.fault]
            claim = Claim(*claimed(rate, distortion, q.beta, len(q.mean)), side)
            return replace(honest, claim=claim)
        change = FAULTS.get(self.fault)
        return honest if change is None else change(honest, q, view, train, generator)


DISTURBING: dict[str, Callable[[], object]] = {
    "seeds torch": lambda: torch.manual_seed(0),
    "seeds random": lambda: random.seed(0),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "numpy's errors": lambda: np.seterr(all="raise"),
    "signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True),
    "recursion": lambda: sys.setrecursionlimit(200_000),
    "denormals": lambda: torch.set_flush_denormal(True),
}
# Claims (R, D), of R, D, beta and the dimension, with the side that they say.
CLAIMS: dict[str, tuple[Callable[[float, float, float, int], tuple[float, float]], Side]] = {
    "bits": (lambda r, d, b, n: (r / math.log(2.0), d), "estimate"),
    "upper in bits": (lambda r, d, b, n: (r / math.log(2.0), d), "upper"),
    "mean distortion": (lambda r, d, b, n: (r, d / n), "estimate"),
    "upper mean distortion": (lambda r, d, b, n: (r, d / n), "upper"),
    "half the squared error": (lambda r, d, b, n: (r, d / 2.0), "estimate"),
    "claims too little": (lambda r, d, b, n: (r - 0.4 * n, d), "estimate"),
    "side lie": (lambda r, d, b, n: (r - 0.3 * n, d), "upper"),
    "F for R": (lambda r, d, b, n: (r + b * d, d), "estimate"),
    "F for R as a bound": (lambda r, d, b, n: (r + b * d, d), "upper"),
    "D in nats": (lambda r, d, b, n: (r, b * d), "estimate"),
    "root of D": (lambda r, d, b, n: (r, math.sqrt(d)), "estimate"),
    "swapped": (lambda r, d, b, n: (d, r), "upper"),
    "a third of D": (lambda r, d, b, n: (r, d / 3.0), "upper"),
    "rate per coordinate": (lambda r, d, b, n: (r / n, d), "estimate"),
    # By factors that differ from point to point.
    "a fraction of D, F right": (
        lambda r, d, b, n: same(r, d, b, 0.05 * (1 + min(b, 9))),
        "upper",
    ),
    "more D, F right": (lambda r, d, b, n: same(r, d, b, 1 + 0.3 * math.exp(-b / 9)), "estimate"),
    "below zero": (lambda r, d, b, n: (-5.0, -1.0), "lower"),
    "a third of a nat more": (lambda r, d, b, n: (r + 0.3, d), "upper"),
    "a hundred nats more": (lambda r, d, b, n: (r + 100.0, d), "upper"),
    "a hundred nats less": (lambda r, d, b, n: (0.0, 0.0), "lower"),
}


def same(r: float, d: float, b: float, factor: float) -> tuple[float, float]:
    """The same R + beta D with another D."""
    return r + b * d * (1.0 - factor), d * factor


Change = Callable[[TestChannel, Gaussian, View, Tensor, Generator], TestChannel]
FAULTS: dict[str, Change] = {}


def planted(name: str) -> Callable[[Change], Change]:
    def note(change: Change) -> Change:
        FAULTS[name] = change
        return change

    return note


@planted("upper on training draws")
def _(c: TestChannel, q: Gaussian, view: View, train: Tensor, *_: Any) -> TestChannel:
    return replace(c, claim=Claim(*q.point(train), "upper"))


@planted("memorises")
def _(c: TestChannel, q: Gaussian, view: View, train: Tensor, *_: Any) -> TestChannel:
    points = train[:MEMORY]
    weights = torch.full((MEMORY,), -math.log(MEMORY), dtype=torch.float64)
    rho = view.distortion.pairwise(points, points)
    logits = weights - q.beta * rho
    distortion = float((logits.softmax(1) * rho).sum(1).mean())
    rate = -float(logits.logsumexp(1).mean()) - q.beta * distortion

    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        chances = torch.softmax(weights - q.beta * view.distortion.pairwise(x, points), 1)
        return points[torch.multinomial(chances, k, replacement=True, generator=g)]

    return TestChannel(q.beta, Atoms(points, weights), Claim(rate, distortion, "estimate"), draw)


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
    lowered = replace(c.claim, rate=c.claim.rate - 0.5)
    return replace(c, claim=lowered, conditional_kind="encoder")


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
