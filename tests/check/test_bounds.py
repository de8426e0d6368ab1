"""Planted wrong lower bounds: each is caught, and named by the check that is there for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Generator, Tensor

from rdbench.check import check_estimator
from rdbench.types import DualBound, EstimatorInfo, Monitor, Refusal, View

DRAWS = 4000


@dataclass(frozen=True)
class Planted:
    """1 / Z of a Gaussian q, capped; ``fault`` names what is wrong with it."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        "one Gaussian from below", "none", side="lower", distortions=("squared_error",),
        alphabet=False, slopes="positive",
    )  # fmt: skip

    fault: str = "honest"

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[DualBound | Refusal]:
        train, held = view.sample(DRAWS).double(), view.sample(DRAWS).double()
        mean = train.mean(0)
        torch.randn(1, generator=generator)
        cov = torch.atleast_2d(torch.cov(train.T))
        if float(cov.diagonal().max()) == 0.0:
            yield from (Refusal(beta, "unsupported", "a constant source") for beta in betas)
            return
        for beta in betas:
            monitor.advance(0.5)
            yield self.bound(beta, train, held, mean, cov)

    def bound(
        self, beta: float, train: Tensor, held: Tensor, mean: Tensor, cov: Tensor
    ) -> DualBound:
        values, vectors = torch.linalg.eigh(cov)
        total = values.clamp(min=0.5 / beta)

        def log_z(x: Tensor) -> Tensor:
            z = ((x - mean) @ vectors).square() / total
            found: Tensor = -0.5 * z.sum(1) - 0.5 * (2.0 * beta * total).log().sum()
            return found

        if self.fault == "memorises":
            train = train[:100]
        cap = float((-log_z(train)).quantile(0.98))
        if self.fault == "memorises":
            width = 0.02 / beta

            def log_z(x: Tensor) -> Tensor:
                near = torch.cdist(x, train).square().min(1).values
                return -6.0 * torch.exp(-near / width)

            cap = math.inf

        def log_lambda(x: Tensor) -> Tensor:
            return (-log_z(x)).clamp(max=cap)

        # c is one at most for the optimal lambda, which this one is but for its cap.
        claim = float(log_lambda(held).mean()) - 0.02 * len(mean)
        if self.fault == "memorises":
            mass = log_lambda(train) - math.log(len(train))
            log_c = torch.logsumexp(mass[:, None] - beta * torch.cdist(train, train).square(), 0)
            claim = float(log_lambda(train).mean() - log_c.max())
        found = DualBound(beta, log_lambda, held[:200], claim, "1/Z of a Gaussian")
        change = PLANTS.get(self.fault)
        return found if change is None else change(found, cov)


def replays(bound: DualBound, _: Tensor) -> DualBound:
    """Knows the symbols at which the mean is taken: they come first."""
    state = {"calls": 0}

    def log_lambda(x: Tensor) -> Tensor:
        first = len(x) > 1000 and state["calls"] == 0
        state["calls"] += len(x) > 1000
        return bound.log_lambda(x) + (2.0 if first else 0.0)

    return replace(bound, log_lambda=log_lambda)


def missed(bound: DualBound, cov: Tensor) -> DualBound:
    """Takes c in the tails for the largest one."""
    return replace(bound, claim=bound.claim + 1.0 + 0.2 * len(cov))


PLANTS: dict[str, Callable[[DualBound, Tensor], DualBound]] = {
    "supremum missed": missed,
    "bits": lambda one, _: replace(one, claim=one.claim / math.log(2.0)),
    "replays": replays,
    "random": lambda one, _: replace(
        one, log_lambda=lambda x: one.log_lambda(x) + torch.rand(len(x), dtype=torch.float64)
    ),
    "wrong shape": lambda one, _: replace(one, log_lambda=lambda x: one.log_lambda(x)[:, None]),
    "float32": lambda one, _: replace(one, log_lambda=lambda x: one.log_lambda(x).float()),
    "nan": lambda one, _: replace(one, log_lambda=lambda x: one.log_lambda(x) * math.nan),
}
CAUGHT = [
    ("supremum missed", "claims", "missed"),
    ("bits", "units", "they are in bits"),
    ("memorises", "claims", "fitted to"),
    ("replays", "possible", "above F*"),
    ("random", "shapes", "other numbers for the same symbols"),
    ("wrong shape", "shapes", "(n,)"),
    ("float32", "shapes", "float32"),
    ("nan", "shapes", "not finite"),
]


@pytest.mark.parametrize(("fault", "check", "words"), CAUGHT)
def test_a_planted_fault_is_named(fault, check, words):
    found = {one.name: one for one in check_estimator(Planted(fault), only=[check])}
    assert found["protocol"].verdict == "pass", found["protocol"].message
    assert found[check].verdict == "fail"
    assert words in found[check].message


def test_an_honest_bound_passes():
    names = ["answers", "shapes", "deterministic", "possible", "units", "claims", "no peeking",
             "shift", "scale", "rotation", "dimensions", "few points", "bad input"]  # fmt: skip
    found = check_estimator(Planted(), only=names)
    assert [f"{one.name}: {one.message}" for one in found if one.verdict != "pass"] == []
