"""Blahut-Arimoto on densities that jump: answered, within the error that it states."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from rdbench.certify.line.densities import uniform
from rdbench.certify.line import certify_line
from rdbench.distortions import SquaredError
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.run.views import make_view
from rdbench.types import Problem


class _Source:
    dim = 1

    def __init__(self, name: str, quantile: Callable[[Tensor], Tensor], density: str) -> None:
        self.name, self.quantile, self.density = name, quantile, density

    def sample(self, n: int, generator: Generator) -> Tensor:
        return self.quantile(torch.rand(n, 1, generator=generator, dtype=torch.float64))

    def log_prob(self, x: Tensor) -> Tensor:
        at = x[:, 0]
        off = torch.full_like(at, -math.inf)
        if self.density == "half-normal":
            value = 0.5 * math.log(2.0 / math.pi) - 0.5 * (at - 3.0) ** 2
            return torch.where(at >= 3.0, value, off)
        if self.density == "exponential":
            return torch.where(at >= 0.0, -at, off)
        low = torch.full_like(at, math.log(0.1))
        value = torch.where(at < 1.0, math.log(0.8), low)
        return torch.where((at >= 0.0) & (at <= 3.0), value, off)


SOURCES = {
    "half-normal": _Source(
        "half-normal", lambda u: 3.0 + math.sqrt(2.0) * torch.erfinv(u), "half-normal"
    ),
    "exponential": _Source("exponential", lambda u: -torch.log1p(-u), "exponential"),
    "steps": _Source(
        "steps", lambda u: torch.where(u < 0.8, u / 0.8, 1.0 + 10.0 * (u - 0.8)), "steps"
    ),
}
# Certified at 1e-5 (tests/certify/test_own_density.py) by the line solver, whose brackets a
# separate grid confirms; lower ends.
F_STAR = {
    ("half-normal", 1.0): 0.361817,
    ("half-normal", 8.0): 1.255178,
    ("exponential", 1.0): 0.664101,
    ("steps", 1.0): 0.445626,
    ("steps", 8.0): 1.204527,
}


class _Watch:
    effort = 1.0

    def advance(self, done: float) -> bool:
        del done
        return True

    def checkpoint(self, build: object) -> bool:
        del build
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        del gradient_steps, parameters


@pytest.mark.parametrize(("name", "beta"), list(F_STAR))
def test_within_the_error_that_is_stated(name: str, beta: float) -> None:
    problem = Problem(SOURCES[name], SquaredError())
    view, _ = make_view(
        problem, BlahutArimoto.info.needs, Generator().manual_seed(0), torch.device("cpu")
    )
    [channel] = BlahutArimoto().fit(view, [beta], Generator(), _Watch())
    assert channel.status == "ok", getattr(channel, "reason", "")
    stated = float(re.findall(r"discretisation error ([\d.e-]+)", channel.reason)[0])  # type: ignore[union-attr]
    value = channel.claim.rate + beta * channel.claim.distortion  # type: ignore[union-attr]
    assert stated < 1e-3
    assert -1e-6 <= value - F_STAR[name, beta] <= stated + 1.1e-5


def test_high_rates_are_answered() -> None:
    """Beyond the limit before: at small D the Shannon lower bound is nearly met."""
    view, _ = make_view(
        Problem(SOURCES["steps"], SquaredError()), BlahutArimoto.info.needs,
        Generator().manual_seed(0), torch.device("cpu"),
    )  # fmt: skip
    beta = 2e3
    [channel] = BlahutArimoto().fit(view, [beta], Generator(), _Watch())
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.1)
    shannon = entropy - 0.5 * math.log(math.pi / beta)
    value = channel.claim.rate + beta * channel.claim.distortion  # type: ignore[union-attr]
    assert shannon < value < shannon + 0.1
    certified = certify_line(uniform(0.0, 1.0), 8.0, 1e-4)
    assert certified.kind == "certified"  # a density that is known keeps its bounds
