"""Where plain draws cannot give an interval, the side says ``estimate``, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import SIZES
from rdbench.audit.symbols import Symbols
from rdbench.audit.tails import doubt, tail_index
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import paper_mixture
from rdbench.sources.product import rotated_product
from rdbench.sources.student import StudentSource
from rdbench.types import Atoms, Bracket, TruthPoint


class _Zero:
    """F* taken as zero."""

    kind: ClassVar[str] = "closed form"
    citation = validity = ""

    def point(self, beta: float) -> TruthPoint:
        return TruthPoint.exact(beta, 0.0, 0.0)

    def rate(self, distortion: float) -> Bracket:
        return Bracket.exact(0.0)

    def slope(self, rate: float) -> float:
        return rate


@dataclass(frozen=True)
class Undeclared:
    """Independent coordinates of which nothing is said."""

    inner: Any
    name: str = "undeclared"
    dim: int = 3

    def sample(self, n: int, generator: Generator) -> Tensor:
        return torch.cat([self.inner.sample(n, generator) for _ in range(self.dim)], 1)


@pytest.mark.parametrize(
    ("source", "side", "words"),
    [
        (rotated_product(StudentSource(5.0), 3), "estimate", "moments below the order 5"),
        (rotated_product(StudentSource(30.0), 3), "exact", ""),
        (rotated_product(LaplacianSource(), 3), "exact", ""),
        (paper_mixture(), "exact", ""),
        (StudentSource(5.0, 3), "exact", ""),
        (StudentSource(5.0), "exact", ""),
        (vector_gaussian(3), "exact", ""),
        (Undeclared(StudentSource(3.0)), "estimate", "index of about"),
        (Undeclared(vector_gaussian(1)), "exact", ""),
    ],
    ids=lambda v: getattr(v, "name", str(v))[:24],
)
def test_the_side_says_whether_the_interval_can_be_trusted(
    source: Any, side: str, words: str, run: Any, channel: Any
) -> None:
    one = Atoms(torch.zeros(1, source.dim).double(), torch.zeros(1).double())
    size = {"size": SIZES["quick"], "paper_draws": 0, "conditional_symbols": 0}
    found = run(channel(1.0, one), source, _Zero(), **size)
    assert found.side == side
    assert words in found.note
    assert bool(found.note) == (side == "estimate")


@pytest.mark.parametrize("index", [1.0, 1.5, 2.5])
def test_hill_s_estimate_finds_the_index_of_a_power_law(index: float) -> None:
    u = torch.rand(100_000, generator=Generator().manual_seed(2), dtype=torch.float64)
    assert tail_index(u.pow(-1.0 / index)) == pytest.approx(index, rel=0.25)


def test_exact_sums_and_narrow_intervals_are_left_alone() -> None:
    heavy = torch.rand(4000, generator=Generator().manual_seed(3), dtype=torch.float64).pow(-1.0)
    x = torch.zeros(4000, 1).double()
    assert doubt(heavy, Symbols(x), 1.0)
    assert doubt(heavy, Symbols(x), 1e-6) == ""
    assert doubt(heavy, Symbols(x, probabilities=torch.full((4000,), 1 / 4000).double()), 1.0) == ""
    assert doubt(heavy, Symbols(x, tail_index=math.inf), 1.0) == ""
