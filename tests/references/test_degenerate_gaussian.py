"""Gaussians with a singular covariance: the lower-dimensional Gaussian, embedded."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.run.views import make_view
from rdbench.sources.gaussian import GaussianSource, vector_gaussian
from rdbench.types import OutOfRange, Problem, RdbenchError

SLOPES = (0.0, 1e-9, 0.2, 3.0, 1e6, 1e300)


def _embedded() -> tuple[GaussianSource, GaussianSource, torch.Tensor]:
    """A plane in R^5: the source, the one in the plane, and the plane's orthonormal basis."""
    frame = torch.from_numpy(
        np.linalg.qr(np.random.default_rng(3).standard_normal((5, 2)))[0].copy()
    )
    inner = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
    flat = GaussianSource.from_covariance(inner)
    mean = torch.arange(5, dtype=torch.float64)
    return GaussianSource.from_covariance(frame @ inner @ frame.T, mean), flat, frame


def test_the_truth_is_that_of_the_plane() -> None:
    source, flat, frame = _embedded()
    wide, thin = WaterFilling(source), WaterFilling(flat)
    assert int((source.stds == 0).sum()) == 3
    x = source.sample(200, Generator().manual_seed(0))
    z = (x - source.mean) @ frame
    assert torch.allclose(source.mean + z @ frame.T, x, atol=1e-12)
    for beta in SLOPES:
        a, b = wide.point(beta), thin.point(beta)
        for name in ("lagrangian", "rate", "distortion"):
            value = getattr(b, name).mid
            assert getattr(a, name).mid == pytest.approx(value, rel=1e-12, abs=1e-12)
        assert torch.allclose(wide.potential(x, beta), thin.potential(z, beta), rtol=1e-9)
        g = Generator().manual_seed(1)
        y = wide.sample_conditional(x, 50, beta, g) - source.mean
        assert bool(y.isfinite().all())
        assert torch.allclose(y @ frame @ frame.T, y, atol=1e-9)  # it stays in the plane
    for rate in (0.0, 0.3, 4.0):
        assert wide.slope(rate) == pytest.approx(thin.slope(rate), rel=1e-12)
        d = thin.point(thin.slope(rate)).distortion.mid
        assert wide.rate(d).mid == pytest.approx(rate, abs=1e-10)


def test_the_conditional_of_the_plane() -> None:
    """Mean and covariance of y given x, beside the formula g (x - m), g / (2 beta)."""
    source, flat, frame = _embedded()
    x = source.sample(1, Generator().manual_seed(2)).expand(4000, 5)
    y = WaterFilling(source).sample_conditional(x, 20, 1.5, Generator().manual_seed(3))
    inside = ((y - source.mean) @ frame).reshape(-1, 2) @ flat.basis
    s2 = flat.stds.square()
    gain = (1.0 - 1.0 / (3.0 * s2)).clamp(min=0.0)
    mean = gain * (((x[0] - source.mean) @ frame) @ flat.basis)
    assert torch.allclose(inside.mean(0), mean, atol=0.01)
    assert torch.allclose(inside.var(0), gain / 3.0, atol=0.01)


def test_a_constant() -> None:
    reference = WaterFilling(GaussianSource.from_covariance(np.zeros((2, 2)), [1.0, 2.0]))
    x = reference.source.sample(3, Generator().manual_seed(0))
    for beta in SLOPES:
        point = reference.point(beta)
        assert (point.rate.hi, point.distortion.hi) == (0.0, 0.0)
        assert bool((reference.potential(x, beta) == 0.0).all())
        y = reference.sample_conditional(x, 4, beta, Generator().manual_seed(0))
        assert bool((y == x[:, None]).all())
    assert [reference.rate(d).hi for d in (0.0, 1.0)] == [0.0, 0.0]
    with pytest.raises(OutOfRange, match=r"is a constant: the largest rate, .* is 0 nats"):
        reference.slope(0.5)


def test_there_is_no_density() -> None:
    source, flat, _ = _embedded()
    assert not hasattr(source, "log_prob")
    with pytest.raises(RdbenchError, match="singular covariance and no density"):
        _ = source.log_prob
    assert math.isfinite(float(flat.log_prob(torch.zeros(1, 2).double())))
    with pytest.raises(RdbenchError, match="no certificate") as caught:
        Certified(Problem(source, SquaredError()), 1e-3).point(1.0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_solvers_refuse_it_in_one_line(dim: int, distortion: SquaredError) -> None:
    cov = np.zeros((dim, dim))
    cov[0, 0] = 0.0 if dim == 1 else 1.0
    problem = Problem(GaussianSource.from_covariance(cov), distortion)
    with pytest.raises(RdbenchError, match="no certificate for N") as caught:
        Certified(problem, 1e-3).point(1.0)
    assert "\n" not in str(caught.value)
    needs, generator = BlahutArimoto.info.needs, Generator().manual_seed(0)
    view, _ = make_view(problem, needs, generator, torch.device("cpu"))
    with pytest.raises(RdbenchError, match="needs a finite support or a density") as caught:
        BlahutArimoto().solve_distortion(view, 0.1)
    if dim == 1:
        with pytest.raises(ValueError, match="positive standard deviation"):
            GaussianAbsolute(problem.source)  # type: ignore[arg-type]


def test_a_covariance_and_the_spectrum_agree() -> None:
    source = vector_gaussian(4, "ramp")
    cov = (source.basis * source.stds.square()) @ source.basis.T
    again = GaussianSource.from_covariance(cov.tolist())
    assert torch.allclose(again.stds.sort().values, source.stds.sort().values, rtol=1e-12)
    draws = again.sample(40_000, Generator().manual_seed(0))
    assert torch.allclose(draws.T.cov(), cov, atol=0.03)


@pytest.mark.parametrize(
    ("cov", "mean", "word"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], None, "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], None, "positive semi-definite; the least eigenvalue is -1"),
        ([[1.0, 0.0]], None, "square"),
        ([1.0, 2.0], None, "a covariance must have the shape"),
        ([[math.nan]], None, "finite"),
        ([["a"]], None, "array of numbers"),
        ([[1.0]], [0.0, 1.0], "1 finite numbers"),
        ([[1.0]], [math.inf], "a mean must be finite"),
    ],
)
def test_invalid_covariances_are_refused(cov: object, mean: object, word: str) -> None:
    with pytest.raises(RdbenchError, match=word) as caught:
        GaussianSource.from_covariance(cov, mean)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
