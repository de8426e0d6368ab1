"""The one monitor and the one view of these tests; import them as ``tests.estimators.conftest``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from rdbench.distortions import SquaredError
from rdbench.fitting import answers
from rdbench.types import Case, Distortion, Estimator, Source, TestChannel, View


@dataclass
class FakeMonitor:
    """Counts what it is told, stops after ``limit`` reports, builds every so many checkpoints."""

    effort: float = 1.0
    limit: float = math.inf
    build_every: int = 1
    """0 builds none."""
    reports: int = 0
    gradient_steps: int = 0
    parameters: int = 0
    offers: int = 0
    looks: list[list[TestChannel]] = field(default_factory=list)
    """The channels that were built; they claim nothing."""

    def advance(self, done: float) -> bool:
        assert 0.0 <= done <= 1.0
        self.reports += 1
        return self.reports <= self.limit

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        if self.build_every and self.offers % self.build_every == 0:
            self.looks.append(list(build()))
        self.offers += 1
        return self.reports <= self.limit

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.gradient_steps += gradient_steps
        self.parameters = parameters or self.parameters


def seeded(seed: int = 1) -> Generator:
    return Generator().manual_seed(seed)


def view_of(
    source: Source | Callable[[int], Tensor],
    distortion: Distortion | None = None,
    *,
    dim: int | None = None,
    seed: int = 1000,
    n_train: int | None = None,
    **more: Any,
) -> View:
    """A view of a source, or of what a function of n draws; with ``n_train`` fixed points."""
    data = seeded(seed)

    def draw(n: int) -> Tensor:
        return source(n) if callable(source) else source.sample(n, data)

    if dim is None:
        dim = draw(1).shape[1] if callable(source) else source.dim
    rho = distortion or SquaredError()
    if n_train is None:
        return View(dim, rho, torch.device("cpu"), draw, **more)
    points = draw(n_train)

    def again(n: int) -> Tensor:
        return points[torch.randint(len(points), (n,), generator=data)]

    return View(dim, rho, torch.device("cpu"), again, training=points, **more)


def channels_of(
    estimator: Estimator,
    view: View,
    betas: Sequence[float],
    monitor: FakeMonitor | None = None,
    seed: int = 2000,
) -> list[TestChannel]:
    """The channels of a fit that refuses nothing."""
    out = list(answers(estimator, view, betas, seeded(seed), monitor or FakeMonitor()))
    assert all(isinstance(c, TestChannel) for c in out), out
    return out  # type: ignore[return-value]


def reasons_of(estimator: Estimator, view: View, betas: Sequence[float]) -> list[str]:
    """Why each slope is refused as unsupported; empty where it is answered."""
    out = answers(estimator, view, betas, seeded(), FakeMonitor(effort=0.02))
    return [getattr(c, "reason", "") if c.status == "unsupported" else "" for c in out]


def case_of(cases: Sequence[Case], name: str) -> Case:
    return next(case for case in cases if case.name == name)
