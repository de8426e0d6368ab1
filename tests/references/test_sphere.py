"""Sphere, noisy sphere, products and composites against optimisation, duality and each other."""

from __future__ import annotations

import dataclasses
import math

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
from scipy import optimize, special

from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.noisy_sphere import NoisySphere, noisy_sphere_entropy
from rdbench.references.product import ProductReference
from rdbench.references.shannon import TightShannonBound, mixture_entropy
from rdbench.references.sphere import SphereUniform
from rdbench.sources.gaussian import GaussianSource, orthogonal, scalar_gaussian
from rdbench.sources.mixture import eight_modes, isotropic_mixture
from rdbench.sources.product import ProductSource, rotated_product
from rdbench.sources.sphere import NoisySphereSource, SphereSource
from rdbench.types import (
    Bracket,
    OutOfRange,
    RdbenchError,
    Reference,
    TruthPoint,
)

# ---------------------------------------------------------------- the sphere


def _lagrangian(dim: int, beta: float, r: float) -> float:
    """beta (1 + r^2) - log 0F1, the latter by SciPy's hypergeometric function."""
    return beta * (1.0 + r * r) - math.log(special.hyp0f1(0.5 * dim, (beta * r) ** 2))


@pytest.mark.parametrize("dim", [2, 3, 10, 60])
@pytest.mark.parametrize("factor", [0.2, 0.99, 1.01, 3.0])
def test_sphere_minimises_over_the_radius(dim: int, factor: float) -> None:
    """beta = factor d / 2: below one nothing is sent."""
    beta = factor * 0.5 * dim
    best = optimize.minimize_scalar(
        lambda r: _lagrangian(dim, beta, r), bounds=(0.0, 1.5), options={"xatol": 1e-12}
    )
    for radius in (1.0, 3.0):
        found = SphereUniform(SphereSource(dim, radius)).point(beta / radius**2)
        assert found.lagrangian.mid == pytest.approx(best.fun, abs=1e-9)
        assert found.lagrangian.mid == pytest.approx(
            found.rate.mid + found.beta * found.distortion.mid
        )
        if factor < 1.0:
            assert found.rate.mid == 0.0
            assert found.distortion.mid == pytest.approx(radius**2)


@pytest.mark.parametrize("dim", [2, 5, 40])
def test_sphere_has_a_certificate(dim: int) -> None:
    """c(y) = exp(F* - beta (1 + s^2) + log 0F1) <= 1 at every radius s, = 1 at q's."""
    for factor in (0.5, 1.5, 6.0):
        beta = factor * 0.5 * dim
        value = SphereUniform(SphereSource(dim)).point(beta).lagrangian.mid
        log_c = [value - _lagrangian(dim, beta, s) for s in np.linspace(0.0, 2.0, 401)]
        assert max(log_c) < 1e-9
        assert max(log_c) > -1e-3


@pytest.mark.parametrize("dim", [2, 3, 100])
@pytest.mark.parametrize("rate", [1e-4, 0.3, 9.0])
def test_sphere_slope_and_rate_invert_point(dim: int, rate: float) -> None:
    reference = SphereUniform(SphereSource(dim, 2.0))
    point = reference.point(reference.slope(rate))
    assert point.rate.mid == pytest.approx(rate, rel=1e-8)
    assert reference.rate(point.distortion.mid).mid == pytest.approx(rate, rel=1e-8)
    step = 1e-5 * point.beta
    up, down = (reference.point(point.beta + s).lagrangian.mid for s in (step, -step))
    assert (up - down) / (2 * step) == pytest.approx(point.distortion.mid, rel=1e-5)


def test_sphere_out_of_range() -> None:
    reference = SphereUniform(SphereSource(3))
    assert reference.slope(0.0) == pytest.approx(1.5)
    assert reference.rate(2.0).mid == 0.0
    for bad in (
        lambda: reference.rate(0.0),
        lambda: reference.slope(math.nan),
        lambda: reference.slope(1e4),
    ):
        with pytest.raises(OutOfRange):
            bad()


@pytest.mark.parametrize("dim", [2, 3, 10, 100])
@pytest.mark.parametrize("kappa", [30.0, 1e2, 999.0, 1001.0, 1e4, 1e6, 6e8])
def test_sphere_keeps_its_digits_at_high_rate(dim: int, kappa: float) -> None:
    """D, R and the slope in forty digits more; 1 - A(kappa) cancels in doubles."""
    with mpmath.workdps(60):
        nu, k = mpmath.mpf(dim) / 2 - 1, mpmath.mpf(kappa)
        here, above = mpmath.besseli(nu, k), mpmath.besseli(nu + 1, k)
        a = above / here
        log_mean = mpmath.log(mpmath.gamma(nu + 1) * (2 / k) ** nu * here)
        distortion, rate = float(1 - a * a), float(k * a - log_mean)
        beta = float(k / (2 * a))
    reference = SphereUniform(SphereSource(dim))
    found = reference.point(beta)
    assert found.distortion.mid == pytest.approx(distortion, rel=1e-10)
    assert found.rate.mid == pytest.approx(rate, rel=1e-12, abs=1e-11)
    assert reference.rate(distortion).mid == pytest.approx(rate, abs=1e-9)
    assert reference.slope(rate) == pytest.approx(beta, rel=1e-10)


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1e-18, 1e-12])
def test_sphere_slope_of_a_tiny_rate(rate: float) -> None:
    """R = kappa^2 / (2 d) and beta = d/2 + O(R)."""
    for dim in (2, 3, 100):
        assert SphereUniform(SphereSource(dim)).slope(rate) == pytest.approx(0.5 * dim, rel=1e-11)


# ---------------------------------------------------------------- the noisy sphere, eight modes


@pytest.mark.parametrize(("dim", "noise"), [(2, 0.3), (2, 1.0), (6, 0.4), (50, 0.14)])
def test_noisy_sphere_entropy(dim: int, noise: float) -> None:
    """By doubling the panels, and by the mean of -log p over draws."""
    source = NoisySphereSource(dim, 1.0, noise)
    value = noisy_sphere_entropy(source)
    assert noisy_sphere_entropy(source, refine=2) == pytest.approx(value, abs=1e-11)
    x = source.sample(40_000, torch.Generator().manual_seed(dim))
    drawn = -source.log_prob(x)
    assert abs(float(drawn.mean()) - value) < 4.0 * float(drawn.std()) / 200.0


def test_a_sphere_under_much_noise_is_nearly_gaussian() -> None:
    source = NoisySphereSource(10, 1e-4, 1.0)
    gaussian = 5.0 * math.log(2.0 * math.pi * math.e)
    assert noisy_sphere_entropy(source) == pytest.approx(gaussian, abs=1e-7)


def test_noisy_sphere_does_not_extrapolate() -> None:
    reference = NoisySphere(NoisySphereSource(6, 1.0, 0.5))
    assert reference.point(2.0).distortion.mid == pytest.approx(1.5)
    for bad in (
        lambda: reference.point(1.99),
        lambda: reference.potential(torch.zeros(1, 6).double(), 1.0),
        lambda: reference.slope(0.1),
        lambda: reference.rate(1.6),
    ):
        with pytest.raises(OutOfRange, match="beta >= 2"):
            bad()


def test_entropy_of_eight_modes() -> None:
    """A finer step changes nothing; the noise dimensions add log sqrt(2 pi e) each."""
    value = mixture_entropy(eight_modes(3))
    assert mixture_entropy(eight_modes(3), refine=1.4) == pytest.approx(value, abs=1e-12)
    lifted = value + 3.5 * math.log(2.0 * math.pi * math.e)
    assert mixture_entropy(eight_modes(10)) == pytest.approx(lifted, abs=1e-10)
    x = eight_modes(10).sample(40_000, torch.Generator().manual_seed(8))
    drawn = -eight_modes(10).log_prob(x)
    assert abs(float(drawn.mean()) - lifted) < 4.0 * float(drawn.std()) / 200.0


# ---------------------------------------------------------------- products


def _gaussian_product() -> tuple[ProductSource, ProductReference]:
    parts = (scalar_gaussian(1.0, 2.0), scalar_gaussian(0.0, 0.5))
    source = ProductSource("two variances", (parts[0], parts[1], parts[0]), orthogonal(3))
    return source, ProductReference(source, tuple(WaterFilling(p) for p in parts))


def test_product_of_gaussians_is_reverse_water_filling() -> None:
    source, product = _gaussian_product()
    stds = torch.tensor([2.0, 0.5, 2.0], dtype=torch.float64)
    mean = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64) @ source.basis.T
    vector = WaterFilling(GaussianSource("v", mean, stds, source.basis))
    x = source.sample(50, torch.Generator().manual_seed(0))
    for beta in (0.05, 0.5, 7.0):
        a, b = product.point(beta), vector.point(beta)
        assert a.lagrangian.mid == pytest.approx(b.lagrangian.mid, abs=1e-12)
        assert a.distortion.mid == pytest.approx(b.distortion.mid, abs=1e-12)
        assert torch.allclose(product.potential(x, beta), vector.potential(x, beta))
    for rate in (0.1, 1.0, 6.0):
        assert product.slope(rate) == pytest.approx(vector.slope(rate), rel=1e-6)
    found, exact = product.rate(1.0), vector.rate(1.0).mid
    assert found.lo - 1e-9 <= exact <= found.hi + 1e-9
    assert found.width < 1e-8
    equal = rotated_product(scalar_gaussian(), 4)
    reference = ProductReference(equal, (WaterFilling(scalar_gaussian()),))
    assert reference.rate(1.0).mid == pytest.approx(2.0 * math.log(4.0))
    assert reference.slope(2.0) == pytest.approx(WaterFilling(scalar_gaussian()).slope(0.5))


def test_brackets_of_a_product_add_up() -> None:
    class Wide:
        kind = "certified"
        citation = validity = "none"

        def point(self, beta: float) -> TruthPoint:
            return TruthPoint(beta, Bracket(1.0, 1.5), Bracket(0.5, 0.75), Bracket(0.25, 0.5), "k")

        rate = slope = point

    source = rotated_product(scalar_gaussian(), 8)
    found = ProductReference(source, (Wide(),)).point(1.0)  # type: ignore[arg-type]
    assert found.lagrangian == Bracket(8.0, 12.0)
    assert found.rate == Bracket(4.0, 6.0)
    assert found.distortion == Bracket(2.0, 4.0)
    assert found.kind == "k"


def test_product_needs_a_reference_for_each_marginal() -> None:
    source, _ = _gaussian_product()
    with pytest.raises(RdbenchError, match="every different marginal"):
        ProductReference(source, (WaterFilling(scalar_gaussian()),))


# ---------------------------------------------------------------- composites


@dataclasses.dataclass(frozen=True, eq=False)
class _Below:
    """Reverse water-filling below a slope only, to see which part answers."""

    full: WaterFilling
    kind = "certified (numerical)"
    citation = validity = "below"

    def point(self, beta: float) -> TruthPoint:
        if beta > 5.0:
            raise OutOfRange("above")
        return self.full.point(beta)

    def rate(self, distortion: float) -> Bracket:
        return self.full.rate(distortion)

    def slope(self, rate: float) -> float:
        return self.full.slope(rate)


def test_composite_asks_the_closed_form_first() -> None:
    source = scalar_gaussian(0.0, 2.0)
    mixture = isotropic_mixture(torch.zeros(1, 1).double(), 2.0)
    filling = WaterFilling(source)
    composite = Composite(TightShannonBound(mixture), _Below(filling))  # type: ignore[arg-type]
    assert isinstance(composite, Reference)
    # tight from 1/8 on; the lower part would raise above 5
    for beta, kind in ((0.05, "certified (numerical)"), (0.2, "closed form"), (9.0, "closed form")):
        found = composite.point(beta)
        assert found.kind == kind
        assert found.lagrangian.mid == pytest.approx(filling.point(beta).lagrangian.mid, abs=1e-10)
    assert composite.slope(1.0) == pytest.approx(filling.slope(1.0))
    assert composite.rate(1.0).mid == pytest.approx(math.log(2.0))
    assert composite.rate(5.0).mid == 0.0
    x = source.sample(5, torch.Generator().manual_seed(0))
    assert torch.allclose(composite.potential(x, 3.0), filling.potential(x, 3.0))
    with pytest.raises(OutOfRange, match="no potential"):
        composite.potential(x, 0.01)
    with pytest.raises(OutOfRange, match="no conditional"):
        composite.sample_conditional(x, 2, 0.01, torch.Generator())
    with pytest.raises(OutOfRange):
        composite.point(-1.0)
