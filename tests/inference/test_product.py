"""Product laws against listed atoms, planted faults in them, and the coordinates of a sample."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit.sums import atoms, gaussians, product
from rdbench.distortions import SquaredError
from rdbench.inference import particles
from rdbench.inference.product import (
    Coordinates,
    conditional,
    exact_point,
    exact_sums,
    fault_of_product,
    independent,
)
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Atoms, Factor, Gaussians, Product

F64 = torch.float64


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def rotation(dim: int) -> Tensor:
    basis: Tensor = torch.linalg.qr(torch.randn(dim, dim, generator=seeded(7), dtype=F64)).Q
    return basis


def plane() -> tuple[Product, Atoms]:
    """Two coordinates of 5 atoms in a turned basis about (100, -3), and the 25 atoms."""
    points = torch.randn(2, 5, generator=seeded(1), dtype=F64)
    weights = torch.log_softmax(torch.randn(2, 5, generator=seeded(2), dtype=F64), 1)
    weights[1] = torch.cat([torch.log_softmax(weights[1, :4], 0), torch.tensor([-math.inf])])
    at = Coordinates(torch.tensor([100.0, -3.0], dtype=F64), rotation(2))
    listed = at.centre + torch.cartesian_prod(points[0], points[1]) @ at.basis.T
    both = (weights[0][:, None] + weights[1]).reshape(-1)
    return at.product(points, weights), Atoms(listed, both)


def circles() -> tuple[Product, Atoms]:
    """An axis and circles in three dimensions, and the circles as 400 atoms each."""
    basis, centre = rotation(3), torch.tensor([5.0, 0.0, -1.0], dtype=F64)
    radii = torch.tensor([0.0, 0.7, 1.5], dtype=F64)
    of_radii = torch.tensor([0.2, 0.5, 0.3], dtype=F64).log()
    line = Factor(basis[:, :1], radii[:2] - 0.3, torch.tensor([0.4, 0.6], dtype=F64).log())
    turn = 2.0 * math.pi * torch.arange(400, dtype=F64) / 400
    ring = torch.stack([turn.cos(), turn.sin()], 1)
    disc = (radii[:, None, None] * ring).reshape(-1, 2) @ basis[:, 1:].T
    along = line.points[:, None] * basis[:, 0]
    listed = (centre + along[:, None] + disc).reshape(-1, 3)
    weights = (of_radii - math.log(400)).repeat_interleave(400)
    q = Product(centre, (line, Factor(basis[:, 1:], radii, of_radii)))
    return q, Atoms(listed, (line.log_weights[:, None] + weights).reshape(-1))


@pytest.mark.parametrize("pair", [plane, circles])
@pytest.mark.parametrize("beta", [0.0, 0.3, 8.0])
def test_the_sums_are_those_of_the_listed_atoms(pair: object, beta: float) -> None:
    """Over m^d atoms, and over a circle, on which 400 equal atoms are exact at these slopes."""
    q, listed = pair()  # type: ignore[operator]
    x = q.centre + torch.randn(300, len(q.centre), generator=seeded(3), dtype=F64)
    wanted = atoms(listed, SquaredError(), x, None, beta, 1e9)
    found = product(q, x, None, beta, 1e9)
    assert found.side == "exact"
    assert torch.allclose(found.potential, wanted.potential, rtol=0.0, atol=1e-12)
    assert torch.allclose(found.distortion, wanted.distortion, rtol=0.0, atol=1e-11)
    r, d = particles.exact_point(listed, SquaredError(), x, beta)
    assert exact_point(q, x, beta) == pytest.approx((r, d), abs=1e-11)


@pytest.mark.parametrize("pair", [plane, circles])
def test_the_draws_are_those_of_the_listed_atoms(pair: object) -> None:
    """Second moments of exact draws of q and of p(y|x), x at the centre included."""
    q, listed = pair()  # type: ignore[operator]
    beta, n, dim = 2.0, 40_000, len(q.centre)
    offset = torch.ones(1, dim, dtype=F64)
    for x in (q.centre[None], q.centre + offset):
        logits = listed.log_weights - beta * SquaredError().pairwise(x, listed.points)[0]
        y = conditional(q, beta)(x, n, seeded(4))[0] - q.centre
        for drawn, chances in (
            (y, torch.softmax(logits, 0)),
            (q.sample(n, seeded(5)) - q.centre, listed.log_weights.exp()),
        ):
            around = listed.points - q.centre
            second = around.T @ (chances[:, None] * around)
            assert float((drawn.mean(0) - chances @ around).abs().max()) < 0.03
            assert float((drawn.T @ drawn / n - second).abs().max()) < 0.05


def bells() -> tuple[Product, Gaussians]:
    """Gaussians along the axes of a plane, one without width, and their six products."""
    basis, centre = rotation(2), torch.tensor([100.0, -3.0], dtype=F64)
    points = [torch.tensor(a, dtype=F64) for a in ([-1.0, 0.2, 2.0], [0.0, 1.5])]
    spreads = [torch.tensor(v, dtype=F64) for v in ([0.3, 1.1, 0.0], [0.01, 2.0])]
    weights = [torch.tensor(w, dtype=F64) for w in ([0.5, 0.2, 0.3], [0.6, 0.4])]
    rows = zip(basis.T, points, weights, spreads, strict=True)
    q = Product(centre, tuple(Factor(b[:, None], a, w.log(), v) for b, a, w, v in rows))
    means = centre + torch.cartesian_prod(*points) @ basis.T
    covs = basis @ torch.diag_embed(torch.cartesian_prod(*spreads)) @ basis.T
    return q, Gaussians((weights[0][:, None] * weights[1]).reshape(-1), means, covs)


@pytest.mark.parametrize("beta", [0.3, 8.0, 1e6])
def test_the_sums_are_those_of_the_listed_gaussians(beta: float) -> None:
    """A product of mixtures is a mixture."""
    q, listed = bells()
    x = q.centre + 2.0 * torch.randn(300, 2, generator=seeded(3), dtype=F64)
    wanted = gaussians(listed, x, None, beta, 1e9)
    found = product(q, x, None, beta, 1e9)
    assert torch.allclose(found.potential, wanted.potential, rtol=1e-9, atol=1e-10)
    assert torch.allclose(found.distortion, wanted.distortion, rtol=1e-9, atol=1e-10)


def test_the_draws_are_those_of_the_listed_gaussians() -> None:
    """Moments of exact draws of q, and of p(y|x) with the distortion that the sums say."""
    q, listed = bells()
    y, n, beta = q.sample(100_000, seeded(5)), 100_000, 2.0
    mean = listed.weights @ listed.means
    around = listed.means - mean
    second = around.T @ (listed.weights[:, None] * around)
    second = second + torch.einsum("k,kij->ij", listed.weights, listed.covs)
    assert float((y.mean(0) - mean).abs().max()) < 0.03
    assert float((torch.cov(y.T) - second).abs().max()) < 0.05
    x = q.centre[None] + 1.0
    rho = (conditional(q, beta)(x, n, seeded(6))[0] - x).square().sum(1)
    assert float(rho.mean()) == pytest.approx(float(exact_sums(q, x, beta)[1]), abs=0.01)
    mixture = GaussianMixture(listed.weights, listed.means, listed.covs)
    assert float(rho.mean()) == pytest.approx(float(mixture.mean_distortion(x, beta)), abs=0.01)


def test_a_false_product_is_refused() -> None:
    """Each would fake a lower F."""
    q, _ = circles()
    line, disc = q.factors
    faults = {
        "not orthonormal": (line, dataclasses.replace(disc, axes=0.999 * disc.axes)),
        "not to one": (dataclasses.replace(line, log_weights=line.log_weights + 0.1), disc),
        "negative radius": (line, dataclasses.replace(disc, points=disc.points - 1.0)),
        "not 3 of": (line,),
        "finite": (dataclasses.replace(line, points=line.points / 0.0), disc),
        "not negative": (dataclasses.replace(line, variances=-line.points.abs()), disc),
        "of one axis": (line, dataclasses.replace(disc, variances=disc.points)),
    }
    assert fault_of_product(q, 3) == ""
    for what, factors in faults.items():
        with pytest.raises(ValueError, match=what):
            product(Product(q.centre, factors), q.centre[None], None, 1.0, 1e9)


def test_many_dimensions_at_a_high_rate() -> None:
    """A sphere in 50 dimensions at kappa = 2e5: by the plain sum of 0F1 it would overflow."""
    dim, beta = 50, 1e3
    r = torch.tensor([10.0], dtype=F64)
    q = Product(
        torch.zeros(dim).double(), (Factor(torch.eye(dim).double(), r, torch.zeros(1).double()),)
    )
    x = torch.zeros(1, dim, dtype=F64)
    x[0, 0] = 10.0
    log_z, d = exact_sums(q, x, beta)
    # Flat space: the sphere is its tangent plane, of density 1 / area.
    area = math.log(2.0) + 25 * math.log(math.pi) - math.lgamma(25) + 49 * math.log(10.0)
    assert float(log_z) == pytest.approx(24.5 * math.log(math.pi / beta) - area, abs=0.01)
    assert float(d) == pytest.approx(49 / (2 * beta), rel=1e-3)


def test_independent_coordinates_are_found() -> None:
    """Laplacian, uniform and constant coordinates of other scales, in a turned basis."""
    n, basis = 40_000, rotation(5)
    u = torch.rand(n, 5, generator=seeded(8), dtype=F64) - 0.5
    u[:, :2] = -u[:, :2].sign() * torch.log1p(-2.0 * u[:, :2].abs())
    u[:, 4] = 0.0
    scales = torch.tensor([1.0, 3.0, 2.0, 0.1, 1.0], dtype=F64)
    found = independent(100.0 + (u * scales) @ basis.T, seeded(9))
    assert torch.allclose(found.basis.T @ found.basis, torch.eye(5, dtype=F64), atol=1e-13)
    overlap = (found.basis.T @ basis).abs()
    assert float((overlap.max(1).values - 1.0).abs().max()) < 2e-3
    # Gaussian, one dimension, two rows, equal rows: an orthonormal basis all the same.
    for x in (torch.randn(500, 4, generator=seeded(), dtype=F64), u[:, :1], u[:2], 0.0 * u):
        odd = independent(x, seeded(9)).basis
        assert torch.allclose(odd.T @ odd, torch.eye(x.shape[1], dtype=F64), atol=1e-13)
