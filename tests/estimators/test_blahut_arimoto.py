"""Blahut-Arimoto as an estimator: closed forms, refusals, and what it may never do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators import blahut_arimoto as module
from rdbench.estimators.blahut_arimoto import ESTIMATOR, BlahutArimoto, boxes, grids
from rdbench.fitting import answers
from rdbench.inference import particles
from rdbench.inference.finite import interior_point
from rdbench.inference.kernels import DenseKernel
from rdbench.sources.gaussian import GaussianSource, scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Atoms,
    Distortion,
    DualBound,
    EstimatorInfo,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)
from tests.estimators.conftest import FakeMonitor, seeded, view_of

F64 = torch.float64


def dense(source: GaussianSource | LaplacianSource | GaussianMixture, rho: Distortion) -> View:
    """A view of a source that shows its density."""
    return view_of(source, rho, seed=5, log_prob=source.log_prob)


def mixture(weights: list[float], means: list[float], scales: list[float]) -> View:
    """A one-dimensional Gaussian mixture under squared error."""
    w, m, s = (torch.tensor(v, dtype=F64) for v in (weights, means, scales))
    return dense(GaussianMixture(w, m[:, None], s.square()[:, None, None]), SquaredError())


def gaussian(mean: float, scale: float) -> View:
    return dense(scalar_gaussian(mean, scale), SquaredError())


def laplacian(centre: float, distortion: Distortion) -> View:
    return dense(LaplacianSource(centre, 1.0), distortion)


def rotated_gaussian() -> tuple[View, np.ndarray]:
    """Standard deviations 2^(-i/10), turned by 0.7; returns the variances, too."""
    variances = 2.0 ** (-np.arange(1, 3) / 5)
    turn = np.array([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    cov = torch.tensor((turn * variances) @ turn.T)[None]
    mean = torch.tensor([[3.0, -50.0]], dtype=F64)
    source = GaussianMixture(torch.ones(1, dtype=F64), mean, cov)
    return dense(source, SquaredError()), variances


def finite_view(p: list[float], distortion: Distortion, alphabet: Tensor | None = None) -> View:
    support = torch.arange(float(len(p)), dtype=F64)[:, None]
    pmf = torch.tensor(p, dtype=F64)
    view = view_of(lambda n: support[:n], distortion, dim=1)
    return replace(view, support=support, pmf=pmf, alphabet=alphabet)


def fit(
    view: View, betas: Sequence[float], monitor: FakeMonitor | None = None, **options: Any
) -> list[TestChannel | Refusal]:
    estimator = BlahutArimoto(**options)
    found = answers(estimator, view, betas, seeded(), monitor or FakeMonitor())
    return [one for one in found if not isinstance(one, DualBound)]


def channel(view: View, beta: float, **options: Any) -> TestChannel:
    (got,) = fit(view, [beta], **options)
    assert isinstance(got, TestChannel), got
    return got


def refusal(view: View, beta: float, **options: Any) -> Refusal:
    (got,) = fit(view, [beta], **options)
    assert isinstance(got, Refusal)
    return got


def claimed(c: TestChannel) -> float:
    return c.claim.rate + c.beta * c.claim.distortion


def reverse_water_filling(variances: np.ndarray, beta: float) -> tuple[float, float]:
    d = np.minimum(variances, 0.5 / beta)
    return float(0.5 * np.log(variances / d).sum()), float(d.sum())


def free_energy_by_quadrature(c: TestChannel, view: View, lo: float, hi: float) -> float:
    """F(q) of the atoms on 4,000 Gauss-Legendre nodes of its own, in d = 1."""
    assert isinstance(c.marginal, Atoms)
    assert view.log_prob is not None
    t, w = np.polynomial.legendre.leggauss(8)
    edges = np.linspace(lo, hi, 501)
    half = (edges[1] - edges[0]) / 2
    x = torch.tensor(((edges[:-1] + half)[:, None] + half * t).ravel())[:, None]
    mass = torch.tensor(np.tile(half * w, 500)) * view.log_prob(x).exp()
    total = 0.0
    for rows, weight in zip(x.split(500), mass.split(500), strict=True):  # type: ignore[no-untyped-call]
        rho = view.distortion.pairwise(rows, c.marginal.points)
        total -= float(weight @ torch.logsumexp(c.marginal.log_weights - c.beta * rho, 1))
    return total


# ---------------------------------------------------------------------------------- truth


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (100.0, 1e-3), (-3.0, 40.0)])
def test_scalar_gaussian(mean: float, scale: float) -> None:
    betas = [r / scale**2 for r in (0.4, 0.6, 3.0, 100.0, 1500.0)]
    for c, beta in zip(fit(gaussian(mean, scale), betas), betas, strict=True):
        assert isinstance(c, TestChannel)
        assert c.status == "ok"
        assert c.claim.side == "estimate"
        rate, d = reverse_water_filling(np.array([scale**2]), beta)
        assert claimed(c) == pytest.approx(rate + beta * d, abs=2e-8)
        assert c.claim.distortion == pytest.approx(d, rel=2e-3)


@pytest.mark.parametrize("beta", [1.2, 3.0, 20.0])
def test_laplacian_absolute_error_off_centre(beta: float) -> None:
    """R = log(1/D), D = 1/beta. The atom of q* at the centre needs a node there."""
    c = channel(laplacian(7.3, AbsoluteError()), beta)
    assert c.status == "ok"
    assert claimed(c) == pytest.approx(math.log(beta) + 1.0, abs=1e-6)
    assert claimed(c) > math.log(beta) + 1.0 - 1e-8
    assert c.claim.distortion == pytest.approx(1 / beta, rel=1e-3)


@pytest.mark.parametrize("beta", [0.6, 1.0, 40.0])
def test_rotated_gaussian_far_from_the_origin(beta: float) -> None:
    view, variances = rotated_gaussian()
    c = channel(view, beta)
    assert c.status == "ok"
    rate, d = reverse_water_filling(variances, beta)
    assert claimed(c) == pytest.approx(rate + beta * d, abs=2e-5)
    assert claimed(c) > rate + beta * d - 1e-7


def test_product_of_laplacians_absolute_error() -> None:
    one = laplacian(2.0, AbsoluteError())
    assert one.log_prob is not None
    each = one.log_prob
    view = view_of(
        lambda n: torch.cat([one.sample(n), one.sample(n)], 1),
        AbsoluteError(),
        dim=2,
        log_prob=lambda x: each(x[:, :1]) + each(x[:, 1:]),
    )
    c = channel(view, 2.0, iterations=100, tolerance=0.05)
    assert c.status == "ok"
    assert claimed(c) == pytest.approx(2 * (math.log(2) + 1), abs=0.01)


def test_zero_probabilities_and_a_reproduction_alphabet_of_its_own() -> None:
    """Letters between the symbols halve the distance; a symbol that never occurs is ignored."""
    alphabet = torch.tensor([[0.5], [7.0]], dtype=F64)
    c = channel(finite_view([0.5, 0.5, 0.0], AbsoluteError(), alphabet=alphabet), 3.0)
    assert isinstance(c.marginal, Atoms)
    assert claimed(c) == pytest.approx(1.5, abs=1e-7)
    assert c.claim.rate == pytest.approx(0.0, abs=1e-7)
    j = int(c.marginal.log_weights.argmax())
    assert float(c.marginal.points[j, 0]) == 0.5


def test_slope_zero_is_one_atom_at_zero_rate() -> None:
    for view, d in (
        (gaussian(4.0, 2.0), 4.0),
        (laplacian(7.0, AbsoluteError()), 1.0),
        (finite_view([0.2, 0.7, 0.1], SquaredError()), 0.3),
    ):
        c = channel(view, 0.0)
        assert isinstance(c.marginal, Atoms)
        assert c.claim.rate == 0.0
        assert len(c.marginal.points) == 1
        assert c.claim.distortion == pytest.approx(d, abs=2e-3)


def test_slope_of_a_million() -> None:
    c = channel(gaussian(0.0, 1.0), 1e6)
    assert claimed(c) == pytest.approx(0.5 * math.log(2e6) + 0.5, abs=2e-8)


def test_finite_alphabet_too_large_for_newton_steps_falls_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_NEWTON_LIMIT", 2)
    c = channel(finite_view([0.2, 0.5, 0.3], SquaredError()), 2.0)
    assert c.status == "ok"
    assert claimed(c) == pytest.approx(
        claimed(channel(finite_view([0.2, 0.5, 0.3], SquaredError()), 2.0, solver="ba")), abs=1e-3
    )


# ------------------------------------------------------------------------ boxes and grids


def test_far_components_are_inside_the_box() -> None:
    view = mixture([0.5, 0.45, 0.05], [-300.0, 0.0, 100.0], [1.0, 1.0, 1.0])
    c = channel(view, 4.0)
    # the components never overlap: F = H(weights) + F of the Gaussian
    weights = -sum(w * math.log(w) for w in (0.5, 0.45, 0.05))
    assert claimed(c) == pytest.approx(weights + 0.5 * math.log(8.0) + 0.5, abs=1e-6)


def gaussian_box(seed: int, scale: float = 1.0) -> boxes.Box:
    draws = scale * np.random.default_rng(seed).standard_normal((2000, 1))
    return boxes.find_box(
        draws,
        lambda x: np.exp(-0.5 * (x[:, 0] / scale) ** 2) / (scale * math.sqrt(2 * math.pi)),
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_box_of_a_gaussian(scale: float) -> None:
    box = gaussian_box(0, scale)
    for end in (-box.lo[0], box.hi[0]):
        assert math.erfc(end / scale / math.sqrt(2)) / 2 <= boxes.OUTSIDE
        assert 6.3 < end / scale < 9.0  # not much wider than it need be
    assert abs(box.mode[0]) < 1e-4 * scale


def test_box_of_a_power_law() -> None:
    """Density 1/(2 (1 + |x|)^3), tail mass 1/(2 (1 + t)^2) on each side."""
    u = np.random.default_rng(1).uniform(-1, 1, (5000, 1))
    draws = np.sign(u) * (1 / np.sqrt(1 - np.abs(u)) - 1)
    box = boxes.find_box(draws, lambda x: 1 / (1 + np.abs(x[:, 0])) ** 3)
    for end in (-box.lo[0], box.hi[0]):
        assert 0.5 / (1 + end) ** 2 <= boxes.OUTSIDE
        assert end < 4e5


def test_nothing_is_placed_outside_a_bounded_source() -> None:
    def log_prob(x: Tensor) -> Tensor:
        inside = (x[:, 0] >= 0) & (x[:, 0] <= 1)
        return torch.where(inside, 0.0, -math.inf).double()

    g = seeded(5)
    view = view_of(lambda n: torch.rand(n, 1, generator=g, dtype=F64), log_prob=log_prob)
    c = channel(view, 2.0)  # below the first branching: one atom at the mean
    assert isinstance(c.marginal, Atoms)
    assert c.claim.distortion == pytest.approx(1 / 12, rel=5e-3)
    assert float(c.marginal.points.min()) > -0.02
    assert float(c.marginal.points.max()) < 1.02


def test_absolute_error_needs_source_nodes_inside_the_cells() -> None:
    """With source nodes on reproduction nodes F errs by -(beta h)^2 / 12, below the truth."""
    beta, h = 5.0, 0.1
    x = h * np.arange(-250, 251)
    p = np.exp(-np.abs(x))
    nodes_on_nodes = DenseKernel.build(np.abs(x[:, None] - x), beta)
    trapped = interior_point(nodes_on_nodes, p / p.sum()).lagrangian
    truth = math.log(beta) + 1.0
    assert trapped - truth == pytest.approx(-((beta * h) ** 2) / 12, rel=0.2)
    honest = claimed(channel(laplacian(0.0, AbsoluteError()), beta, points=600))
    assert truth - 1e-9 < honest < truth + 1e-4


def test_coarse_grids_are_refused_slope_by_slope() -> None:
    got = fit(gaussian(0.0, 1.0), [0.6, 1.0, 400.0], points=60)
    assert [type(c) for c in got] == [TestChannel, TestChannel, Refusal]
    refused = got[2]
    assert isinstance(refused, Refusal)
    assert refused.beta == 400.0
    assert refused.status == "unsupported"
    assert "too coarse for beta = 400" in refused.reason
    assert "the limit is 0.0354" in refused.reason


def test_the_points_named_in_a_refusal_are_enough() -> None:
    reason = refusal(gaussian(0.0, 1.0), 400.0, points=60).reason
    needed = int(reason.split("takes ")[1].split()[0])
    c = channel(gaussian(0.0, 1.0), 400.0, points=needed)
    assert claimed(c) == pytest.approx(0.5 * math.log(800.0) + 0.5, abs=3e-8)
    assert refusal(gaussian(0.0, 1.0), 400.0, points=needed - 1).status == "unsupported"


def test_a_bypass_of_the_refusal_falls_below_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: allow twice the step, and the rate is below R(D)."""
    honest = grids.largest_step
    monkeypatch.setattr(grids, "largest_step", lambda *a, **k: 2.0 * honest(*a, **k))
    # fewer nodes than the source itself would ask for
    beta = 400.0
    c = channel(gaussian(0.0, 1.0), beta, points=215)
    truth = 0.5 * math.log(2 * beta) + 0.5
    assert claimed(c) < truth - 0.003
    # ... while the audit of the same atoms on nodes of its own is never below it
    assert free_energy_by_quadrature(c, gaussian(0.0, 1.0), -7.0, 7.0) > truth - 1e-9


@pytest.mark.parametrize("beta", [0.6, 4.0, 80.0])
def test_atoms_are_what_was_claimed(beta: float) -> None:
    view = gaussian(2.0, 1.0)
    c = channel(view, beta)
    audited = free_energy_by_quadrature(c, view, -5.0, 9.0)
    assert audited == pytest.approx(claimed(c), abs=1e-7)
    assert isinstance(c.marginal, Atoms)
    assert float(c.marginal.log_weights.exp().sum()) == pytest.approx(1.0, abs=1e-12)


def test_a_slope_beyond_the_allowed_points_names_its_price() -> None:
    reason = refusal(gaussian(0.0, 1.0), 1e4, max_points=700).reason
    assert "700 points" in reason
    assert "the limit is 0.00707" in reason


def test_a_grid_that_steps_over_the_source_is_refused() -> None:
    view = mixture([0.5, 0.5], [0.0, 100.0], [1e-3, 1e-3])
    assert "miss the source" in refusal(view, 0.1, points=300).reason


def test_an_unnormalised_density_is_refused() -> None:
    view = gaussian(0.0, 1.0)
    assert view.log_prob is not None
    log_prob = view.log_prob
    wrong = replace(view, log_prob=lambda x: log_prob(x) + 0.3)
    assert "normalised density" in refusal(wrong, 1.0).reason


def test_three_dimensions_name_the_number_of_points() -> None:
    eye, one = torch.eye(3, dtype=F64)[None], torch.ones(1, dtype=F64)
    source = GaussianMixture(one, torch.zeros(1, 3, dtype=F64), eye)
    reason = refusal(dense(source, SquaredError()), 100.0).reason
    # 13 sigma sqrt(200) = 184 points per axis, 10^6.8 in all
    assert "d = 3" in reason
    assert "10^6.8 points" in reason


def test_a_density_that_is_not_a_number() -> None:
    wrong = replace(gaussian(0.0, 1.0), log_prob=lambda x: x[:, 0] * math.nan)
    with pytest.raises(RdbenchError, match="not a number"):
        fit(wrong, [1.0])


# ------------------------------------------------------------------------ the test channel


def test_conditional_draws_follow_the_boltzmann_law() -> None:
    c = channel(finite_view([0.5, 0.3, 0.2], SquaredError()), 0.7)
    assert isinstance(c.marginal, Atoms)
    assert c.conditional_kind == "boltzmann"
    x = torch.tensor([[0.0], [1.4]], dtype=F64)
    k = 40_000
    draws = c.sample_conditional(x, k, seeded(3))
    assert draws.shape == (2, k, 1)
    for row in range(2):
        unnormalised = {
            float(y): math.exp(float(lw) - 0.7 * (float(x[row]) - float(y)) ** 2)
            for y, lw in zip(c.marginal.points, c.marginal.log_weights, strict=True)
        }
        total = sum(unnormalised.values())
        for y, u in unnormalised.items():
            share = float((draws[row, :, 0] == y).double().mean())
            error = math.sqrt(u / total * (1 - u / total) / k)
            assert share == pytest.approx(u / total, abs=4.5 * error + 1e-9)


def test_conditional_draws_far_outside_do_not_underflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(particles, "_CHUNK", 1000)  # several chunks of rows
    c = channel(gaussian(0.0, 1.0), 1000.0)
    x = torch.linspace(-50.0, 50.0, 11, dtype=F64)[:, None]
    draws = c.sample_conditional(x, 3, seeded())
    assert draws.shape == (11, 3, 1)
    assert torch.equal(draws, c.sample_conditional(x, 3, seeded()))
    assert isinstance(c.marginal, Atoms)
    top = float(c.marginal.points.max())
    assert float((draws[-1] - top).abs().max()) < 0.2


# ------------------------------------------------------------------------ running


def test_not_converged_keeps_its_numbers() -> None:
    c = channel(gaussian(0.0, 1.0), 0.6, solver="ba", iterations=3)
    assert c.status == "not_converged"
    assert "certified gap" in c.reason
    assert "3 iterations" in c.reason
    assert claimed(c) > 0.5 * math.log(1.2) + 0.5


def test_errors_of_the_grid_and_of_the_iteration_are_told_apart() -> None:
    good = channel(laplacian(0.0, SquaredError()), 3.0, points=501)
    assert good.status == "ok"
    parts = good.reason.split("; ")
    assert parts[0].startswith("certified gap")
    assert parts[1].startswith("discretisation error")
    assert 1e-6 < float(parts[1].split()[2]) < 5e-3  # the kink of the density at the origin
    assert float(parts[0].split()[2]) < 1e-8
    slow = channel(laplacian(0.0, SquaredError()), 3.0, solver="ba", iterations=3, points=501)
    assert slow.status == "not_converged"
    assert "after 3 iterations; discretisation error" in slow.reason
    assert channel(finite_view([0.2, 0.8], SquaredError()), 2.0).reason == ""
    coarse = refusal(laplacian(0.0, SquaredError()), 3.0, points=501, largest_error=1e-6)
    assert coarse.status == "unsupported"
    assert "it takes a finer grid" in coarse.reason


def test_effort_scales_the_iterations() -> None:
    got = fit(gaussian(0.0, 1.0), [0.6], FakeMonitor(effort=2.0), solver="ba", iterations=4)
    assert isinstance(got[0], TestChannel)
    assert "8 iterations" in got[0].reason


def test_progress_and_stopping() -> None:
    asked: list[float] = []

    class Listening(FakeMonitor):
        def advance(self, done: float) -> bool:
            asked.append(done)
            return super().advance(done)

    monitor, betas = Listening(), [0.6, 1.0, 2.0]
    assert len(fit(gaussian(0.0, 1.0), betas, monitor)) == 3
    assert asked == sorted(asked)
    assert asked[0] == 0.0
    assert 2 / 3 < asked[-1] <= 1.0
    assert monitor.parameters > 100
    assert [c.beta for look in monitor.looks for c in look] == betas

    assert fit(gaussian(0.0, 1.0), betas, FakeMonitor(limit=0)) == []
    (cut,) = fit(gaussian(0.0, 1.0), betas, FakeMonitor(limit=3))
    assert isinstance(cut, TestChannel)
    assert cut.status == "not_converged"


def test_the_paper_preset_is_the_classical_iteration() -> None:
    info = BlahutArimoto.info
    assert isinstance(info, EstimatorInfo)
    assert ESTIMATOR is BlahutArimoto
    assert info.presets["paper"] == {"solver": "ba"}
    assert info.needs == {"density", "support"}
    c = channel(gaussian(0.0, 1.0), 100.0, **info.presets["paper"])
    assert claimed(c) == pytest.approx(0.5 * math.log(200.0) + 0.5, abs=1e-4)


@pytest.mark.parametrize("name", ["points", "max_points"])
def test_a_grid_has_three_points(name: str) -> None:
    with pytest.raises(RdbenchError, match=f"{name} must be at least 3"):
        BlahutArimoto(**{name: 2})  # type: ignore[arg-type]
