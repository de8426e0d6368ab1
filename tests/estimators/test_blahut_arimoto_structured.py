"""Products and spheres: against solutions on the line and closed forms, and what they choose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.estimators.blahut_arimoto.grid_kernels import Narrow
from rdbench.estimators.blahut_arimoto.structured import Sample
from rdbench.inference.product import exact_sums, fault_of_product
from rdbench.references.gaussian import WaterFilling
from rdbench.references.sphere import SphereUniform
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.sphere import SphereSource
from rdbench.types import Product, RdbenchError, Refusal, TestChannel
from tests.estimators.conftest import FakeMonitor, channels_of, reasons_of, seeded, view_of

F64 = torch.float64
CENTRE, SCALE = 100.0, 1e-2


def solver(support: Any, **more: Any) -> BlahutArimoto:
    return BlahutArimoto(support=support, structure_draws=50_000, claim_draws=2000, **more)


def law(channel: TestChannel) -> Product:
    assert isinstance(channel.marginal, Product)
    assert fault_of_product(channel.marginal, len(channel.marginal.centre)) == ""
    return channel.marginal


def basis(dim: int) -> Tensor:
    turned: Tensor = torch.linalg.qr(torch.randn(dim, dim, generator=seeded(7), dtype=F64)).Q
    return turned


def laplacians(n: int, seed: int = 5) -> Tensor:
    """Three Laplacians of scale .01 in a turned basis, far from the origin."""
    u = torch.rand(n, 3, generator=seeded(seed), dtype=F64) - 0.5
    return CENTRE - SCALE * (u.sign() * torch.log1p(-2.0 * u.abs())) @ basis(3).T


@pytest.mark.parametrize("support", ["product", "structured"])
def test_a_product_solves_every_coordinate(support: str) -> None:
    """F is three times that on the line, up to the noise of the symbols."""
    betas = [0.5, 10.0]
    line = LaplacianSource(0.0, 1.0)
    of_line = view_of(line, log_prob=line.log_prob)
    exact = [c.claim for c in channels_of(BlahutArimoto(points=801), of_line, betas)]
    seeds = iter(range(100))
    view = view_of(lambda n: laplacians(n, next(seeds)), dim=3)
    found = channels_of(solver(support), view, [b / SCALE**2 for b in betas])
    x = laplacians(10_000, 1234)
    for beta, claim, channel in zip(betas, exact, found, strict=True):
        log_z, rho = exact_sums(law(channel), x, channel.beta)
        f = -float(log_z.mean())
        assert f == pytest.approx(3 * (claim.rate + beta * claim.distortion), abs=0.05)
        assert float(rho.mean()) == pytest.approx(3 * SCALE**2 * claim.distortion, rel=0.03)
        assert channel.claim.rate == pytest.approx(3 * claim.rate, abs=0.05)
        assert (channel.status, channel.claim.side) == ("ok", "upper")
        assert channel.reason.startswith("independent axes")
        assert channel.q_is == "product of atoms"
        assert channel.start is not None
        begun = channel.start.marginal
        assert isinstance(begun, Product)
        assert -float(exact_sums(begun, x, channel.beta)[0].mean()) > f
        y = channel.sample_conditional(x[:2000], 4, seeded())
        drawn = float((y - x[:2000, None]).square().sum(2).mean())
        assert drawn == pytest.approx(3 * SCALE**2 * claim.distortion, rel=0.1)


def test_spheres_solve_a_sphere() -> None:
    """q* of the uniform law on a sphere is one about its centre: a closed form."""
    source, reference = SphereSource(8), SphereUniform(SphereSource(8))
    betas = [0.0, *(reference.slope(rate) for rate in (0.5, 4.0, 12.0))]
    zero, *found = channels_of(solver("radial"), view_of(source), betas)
    assert zero.claim.rate == pytest.approx(0.0, abs=1e-9)
    x = source.sample(4000, seeded(3))
    for beta, channel in zip(betas[1:], found, strict=True):
        assert channel.q_is == "uniform laws on spheres"
        f = -exact_sums(law(channel), x, beta)[0]
        assert abs(float((f - reference.potential(x, beta)).mean())) < 2e-3


def test_the_better_structure_is_chosen() -> None:
    """A Gaussian has principal axes alone, a t distribution none, and a grid beats both."""
    gaussian = vector_gaussian(6)
    truth = WaterFilling(gaussian)
    betas = [truth.slope(r) for r in (0.5, 4.0, 12.0)]
    x = gaussian.sample(4000, seeded(3))
    for channel in channels_of(solver("structured"), view_of(gaussian), betas):
        assert channel.reason.startswith("principal axes")
        gap = -exact_sums(law(channel), x, channel.beta)[0] - truth.potential(x, channel.beta)
        assert float(gap.mean()) < 2e-3

    seeds = iter(range(100))

    def t5(n: int) -> Tensor:
        g = seeded(next(seeds))
        z = torch.randn(n, 9, generator=g, dtype=F64)
        return z[:, :4] / z[:, 4:].square().mean(1, keepdim=True).sqrt()

    for channel in channels_of(solver("structured"), view_of(t5, dim=4), [0.2, 5.0]):
        assert channel.reason.startswith("spheres")
        # the tail goes on beyond the draws: -log of the weight there, not beta (|x| - r)^2
        far = torch.full((1, 4), 100.0, dtype=F64)
        assert float(-exact_sums(law(channel), far, channel.beta)[0]) < 1e3
    plane = vector_gaussian(2)
    (channel,) = channels_of(solver("structured"), view_of(plane, log_prob=plane.log_prob), [1.0])
    assert channel.q_is == "atoms on a grid"


def test_odd_problems() -> None:
    """One clear refusal, or numbers that are right."""
    view = view_of(lambda n: torch.rand(n, 1, generator=seeded(n), dtype=F64), dim=1)
    low, high = solver("product").fit(view, [1e-9, 1e12], seeded(), FakeMonitor())
    assert isinstance(low, TestChannel)
    assert low.claim.rate < 1e-9
    assert isinstance(high, Refusal)
    assert "points on a line; the limit is" in high.reason
    (both,) = channels_of(solver("radial"), view, [30.0])
    (line,) = channels_of(solver("product"), view, [30.0])
    assert both.claim.rate == pytest.approx(line.claim.rate, abs=0.02)
    assert (
        "squared error"
        in reasons_of(solver("product"), view_of(laplacians, AbsoluteError(), dim=3), [1.0])[0]
    )
    letters = view_of(laplacians, SquaredError(), dim=3, alphabet=torch.zeros(2, 3, dtype=F64))
    assert "reproduction space" in reasons_of(solver("structured"), letters, [1.0])[0]
    few = view_of(laplacians, dim=3, n_train=12)
    for channel in channels_of(solver("structured"), few, [0.0, 1e4]):
        assert math.isfinite(channel.claim.rate)
        assert channel.claim.side == "estimate"
    # a constant coordinate, and a source that is constant altogether
    for flat in (
        lambda n: laplacians(n) * torch.tensor([1.0, 0.0, 1.0]),
        lambda n: 0 * laplacians(n),
    ):
        (channel,) = channels_of(solver("structured"), view_of(flat, dim=3), [1e4])
        assert math.isfinite(channel.claim.rate)
        law(channel)
    with pytest.raises(RdbenchError, match="not target distortions"):
        solver("radial").solve_distortion(view_of(laplacians, dim=3), 0.1)
    stopped = channels_of(
        solver("product"), view_of(laplacians, dim=3), [1e4, 2e4], FakeMonitor(limit=2)
    )
    assert [c.status for c in stopped] == ["not_converged"]


def test_normal_draws_are_taken_for_normal() -> None:
    """And nothing else is, at this number of draws; either is binned with its own means."""
    z = torch.randn(100_000, generator=seeded(), dtype=F64)
    sample = Sample.of(3.0 + 2.0 * z)
    assert sample.normal
    p, means, _ = sample.bins(np.linspace(*sample.ends, 200))
    assert p @ means == pytest.approx(sample.mean, abs=1e-9)
    assert p @ np.square(means - sample.mean) == pytest.approx(4.0, rel=0.02)
    others = {
        "t20": z / torch.randn(20, 100_000, generator=seeded(1), dtype=F64).square().mean(0).sqrt(),
        "skewed": z + 0.05 * z.square(),
        "two": z + 1.5 * torch.randn(100_000, generator=seeded(2), dtype=F64).sign(),
    }
    for name, draws in others.items():
        sample = Sample.of(draws)
        assert not sample.normal, name
        p, means, _ = sample.bins(np.linspace(*sample.ends, 50))
        assert p @ means == pytest.approx(float(draws.mean()), abs=1e-12)


def test_narrow_products_are_products() -> None:
    """Wide matrices are kept as they are, narrow ones lose 1e-60."""
    rng = np.random.default_rng(0)
    for n, m, width in ((300, 200, 2.0), (300, 200, 1e3), (7, 3, 1.0)):
        rho = np.subtract.outer(np.arange(n) * m / n, np.arange(m)) ** 2
        matrix = np.exp(-rho / width)
        narrow = Narrow.of(matrix)
        x, u = rng.random((m, 4)), rng.random((n, 5))
        np.testing.assert_allclose(narrow.times(x), matrix @ x, rtol=1e-13)
        np.testing.assert_allclose(narrow.transposed(u), matrix.T @ u, rtol=1e-13)
    assert sum(b.size for *_, b in Narrow.of(np.eye(300)).blocks) < 300 * 64 + 1
