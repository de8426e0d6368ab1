"""Distortions: values, gradients, noise, and the cancellation that ruins far-away data."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import quad

from rdbench.distortions import AbsoluteError, Hamming, SquaredError, TableDistortion
from rdbench.types import RdbenchError


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 17])
@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_squared_error_does_not_cancel(dim: int, offset: float, generator: torch.Generator) -> None:
    x = torch.randn(50, dim, generator=generator, dtype=torch.float64)
    y = x[:20] + 1e-3 * torch.randn(20, dim, generator=generator, dtype=torch.float64)
    expected = (x[:, None] - y).square().sum(-1)
    got = SquaredError().pairwise(x + offset, y + offset)
    # The offset itself rounds x at 1e-16 * offset; nothing worse may happen.
    assert torch.allclose(got, expected, rtol=1e-9, atol=1e-14 + 1e-13 * offset)


def test_absolute_and_hamming_values(generator: torch.Generator) -> None:
    x = torch.randint(0, 3, (30, 4), generator=generator).double()
    y = torch.randint(0, 3, (10, 4), generator=generator).double()
    assert torch.allclose(AbsoluteError().pairwise(x, y), (x[:, None] - y).abs().sum(-1))
    assert torch.equal(Hamming().pairwise(x, y), (x[:, None] != y).double().sum(-1))


@pytest.mark.parametrize("rho", [SquaredError(), AbsoluteError()])
def test_gradient_is_the_derivative(
    rho: SquaredError | AbsoluteError, generator: torch.Generator
) -> None:
    x = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(20, 3, generator=generator, dtype=torch.float64).requires_grad_()
    value, grad = rho.value_and_grad(x, y)
    (expected,) = torch.autograd.grad(value.sum(), y)
    assert torch.allclose(grad, expected)
    assert torch.allclose(value, rho.pairwise(x, y.detach()).diagonal())


@pytest.mark.parametrize("rho", [SquaredError(), AbsoluteError()])
def test_noise_has_the_density_it_says(
    rho: SquaredError | AbsoluteError, generator: torch.Generator
) -> None:
    beta = 1.7
    power = 2 if isinstance(rho, SquaredError) else 1
    mass, _ = quad(lambda z: math.exp(-beta * abs(z) ** power), -30, 30, points=[0])
    assert rho.log_noise_mass(beta, 3) == pytest.approx(3 * math.log(mass), abs=1e-9)
    z = rho.noise(beta, 400_000, 1, generator)[:, 0]
    second, _ = quad(lambda z: z * z * math.exp(-beta * abs(z) ** power) / mass, -30, 30)
    error = float(z.square().std()) / math.sqrt(len(z))
    assert abs(float(z.square().mean()) - second) < 5 * error
    assert abs(float(z.mean())) < 5 * math.sqrt(second / len(z))


def test_hamming_has_neither_gradient_nor_noise(generator: torch.Generator) -> None:
    with pytest.raises(NotImplementedError):
        Hamming().value_and_grad(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(NotImplementedError):
        Hamming().noise(1.0, 1, 1, generator)
    with pytest.raises(NotImplementedError):
        Hamming().log_noise_mass(1.0, 1)


def test_table_looks_up(generator: torch.Generator) -> None:
    table = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    rho = TableDistortion(table)
    x = torch.tensor([[2.0], [0.0]], dtype=torch.float64)
    y = torch.tensor([[3.0], [3.0], [1.0]], dtype=torch.float64)
    expected = [[float(table[int(i), int(j)]) for j in y[:, 0]] for i in x[:, 0]]
    assert rho.pairwise(x, y).tolist() == expected
    for bad in (-1.0, 0.5, 3.0, math.nan):
        with pytest.raises(ValueError, match="is not a letter"):
            rho.pairwise(torch.tensor([[bad]], dtype=torch.float64), y)
    for entry in (math.nan, -math.inf):
        bad_table = table.clone()
        bad_table[1, 2] = entry
        with pytest.raises(RdbenchError, match="NaN or -inf"):
            TableDistortion(bad_table)
    with pytest.raises(RdbenchError, match="row 1 has none"):
        TableDistortion(torch.tensor([[0.0, math.inf], [math.inf, math.inf]]))
    for ask in (
        lambda: rho.value_and_grad(x, x),
        lambda: rho.noise(1.0, 1, 1, generator),
        lambda: rho.log_noise_mass(1.0, 1),
    ):
        with pytest.raises(NotImplementedError):
            ask()
