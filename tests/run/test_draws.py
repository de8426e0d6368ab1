"""The draws kept for pictures are draws of the channel, and cost the audit nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import SquaredError
from rdbench.run.draws import SYMBOLS, keep
from rdbench.sources.gaussian import vector_gaussian
from rdbench.types import Atoms, Claim, Problem, TestChannel


def stream(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def noisy(sigma: float) -> TestChannel:
    """A channel that adds noise: y = x + sigma z."""

    def conditional(x: Tensor, k: int, generator: Generator) -> Tensor:
        noise = torch.randn(len(x), k, x.shape[1], generator=generator, dtype=torch.float64)
        return x[:, None] + sigma * noise

    atoms = Atoms(torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    return TestChannel(1.0, atoms, Claim(0.0, 0.0, "estimate"), conditional)


def test_the_draws_are_those_of_the_channel() -> None:
    problem = Problem(vector_gaussian(2, "ramp"), SquaredError())
    found = keep(noisy(0.1), problem, 500, stream(1), stream(2))
    assert found is not None
    x, y = torch.tensor(found.x), torch.tensor(found.y)
    assert x.shape == (SYMBOLS, 2)
    assert y.shape == (SYMBOLS, 500, 2)
    assert float((y - x[:, None]).std()) == pytest.approx(0.1, rel=0.05)
    source, image = torch.tensor(found.source), torch.tensor(found.reproduction)
    assert float((image - source).std()) == pytest.approx(0.1, rel=0.1)
    assert float(source.var(0)[0]) == pytest.approx(float(2 ** (-0.2)), rel=0.5)
    assert all(value == float(f"{value:.4g}") for value in found.x[0])  # four digits


def test_the_symbols_depend_on_the_shared_stream_alone() -> None:
    problem = Problem(vector_gaussian(2, "ramp"), SquaredError())
    one = keep(noisy(0.1), problem, 8, stream(1), stream(2))
    other = keep(noisy(0.2), problem, 99, stream(1), stream(3))
    assert one is not None
    assert other is not None
    assert one.x == other.x
    assert one.y != other.y


@pytest.mark.parametrize(("dim", "n"), [(3, 8), (2, 0)])
def test_nothing_is_kept_where_there_is_no_picture(dim: int, n: int) -> None:
    problem = Problem(vector_gaussian(dim, "ramp"), SquaredError())
    assert keep(noisy(0.1), problem, n, stream(1), stream(2)) is None
