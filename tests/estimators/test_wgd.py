"""Particles: the gradient, closed forms, the tails, and what stopping and presets give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.wgd import ESTIMATOR, WGD
from rdbench.estimators.wgd.flow import Flow
from rdbench.inference.particles import (
    deconvolved_draws,
    exact_point,
    posterior_sums,
    working_type,
)
from rdbench.inference.product import exact_sums
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.types import Atoms, Distortion, Product, RdbenchError, Refusal, TestChannel, View
from tests.estimators.conftest import FakeMonitor, seeded, view_of

F64 = torch.float64


def source(
    sample: Callable[[int, Generator], Tensor], distortion: Distortion, dim: int = 1
) -> View:
    stream = seeded(5)
    return view_of(lambda n: sample(n, stream), distortion, dim=dim)


def gaussian(distortion: Distortion, dim: int = 1, mean: float = 0.0, scale: float = 1.0) -> View:
    return source(
        lambda n, g: mean + scale * torch.randn(n, dim, generator=g, dtype=F64), distortion, dim
    )


def fit(
    view: View, betas: Sequence[float], monitor: FakeMonitor | None = None, **options: Any
) -> list[TestChannel | Refusal]:
    options = {"particles": 100, "iterations": 200, "batch": 500} | options
    return list(WGD(**options).fit(view, betas, seeded(), monitor or FakeMonitor()))


def channel(view: View, beta: float, **options: Any) -> TestChannel:
    (got,) = fit(view, [beta], **options)
    assert isinstance(got, TestChannel), got
    return got


def atoms(c: TestChannel) -> Atoms:
    assert isinstance(c.marginal, Atoms)
    return c.marginal


def free_energy(q: Atoms, distortion: Distortion, x: Tensor, beta: float) -> float:
    logits = q.log_weights - beta * distortion.pairwise(x, q.points)
    return -float(torch.logsumexp(logits, 1).mean())


# ------------------------------------------------------------------------ the gradient


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_sums_give_the_gradient_of_the_rate_functional(distortion: Distortion) -> None:
    """n dF/dy_j is the Wasserstein gradient; here by automatic differentiation of F."""
    g, beta, n = seeded(), 1.7, 7
    x = torch.randn(90, 3, generator=g, dtype=F64)
    y = torch.randn(n, 3, generator=g, dtype=F64).requires_grad_()
    log_w = torch.log_softmax(torch.randn(n, generator=g, dtype=F64), 0)
    difference = x[:, None] - y
    squared = isinstance(distortion, SquaredError)
    rho = difference.square().sum(-1) if squared else difference.abs().sum(-1)
    (-torch.logsumexp(log_w - beta * rho, 1).mean()).backward()  # type: ignore[no-untyped-call]
    assert y.grad is not None
    c, m, width = posterior_sums(x, y.detach(), log_w, beta, squared)
    ours = 2 * beta * (c[:, None] * y.detach() - m) if squared else -beta * m
    assert torch.allclose(ours, y.grad, atol=1e-12)
    assert float(c.sum()) == pytest.approx(1.0, abs=1e-12)
    if not squared:
        p = torch.softmax(log_w - beta * rho.detach(), 1)
        expected = (p[..., None] * difference.detach().abs()).sum((0, 1)) / len(x)
        assert torch.allclose(width, expected, atol=1e-12)


def test_a_step_is_the_authors_and_ends_at_the_latest_where_the_gradient_is_zero() -> None:
    """y - eta / (2 beta) grad psi, psi(y) = -E K(X, y) / Z(X) by automatic differentiation."""
    beta, n = 1.7, 7
    x, y = (torch.randn(k, 3, generator=seeded(k), dtype=F64) for k in (90, n))
    y.requires_grad_()
    kernel = torch.exp(-beta * (x[:, None] - y).square().sum(2))
    ratio = (kernel / kernel.detach().mean(1, keepdim=True)).mean(0)
    (gradient,) = torch.autograd.grad(-ratio.sum(), y)
    for eta in (0.1, 10.0):
        flow = Flow(y.detach()[None], beta, True, "flow", updated=False, size=eta)
        flow.step(x[None], 0)
        length = (eta * torch.ones(n, 1).double()).minimum(1.0 / ratio.detach()[:, None])
        moved = y.detach() - length / (2.0 * beta) * gradient
        assert torch.allclose(flow.y[0], moved, atol=1e-12)


def test_the_hybrid_moves_by_psi_and_then_weighs_the_new_particles() -> None:
    beta, lr = 1.3, 0.02
    x, y = (torch.randn(k, 2, generator=seeded(k), dtype=F64) for k in (60, 5))
    flow = Flow(y[None].clone(), beta, True, "published", updated=True, size=lr)
    w = torch.full((5,), 0.2, dtype=F64)
    for t in range(3):
        y.requires_grad_()
        kernel = torch.exp(-beta * (x[:, None] - y).square().sum(2))
        (gradient,) = torch.autograd.grad(
            -(kernel / (kernel @ w).detach()[:, None]).mean(0).sum(), y
        )
        y = (y - lr / math.sqrt(1.0 + 99.0 * t) * gradient).detach()
        kernel = torch.exp(-beta * (x[:, None] - y).square().sum(2))
        w = w * (kernel / (kernel @ w)[:, None]).mean(0)
        flow.step(x[None], t)
        assert torch.allclose(flow.y[0], y, atol=1e-12)
        assert torch.allclose(flow.log_w[0].exp(), w, atol=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    g = seeded()
    x, y = (torch.randn(n, 2, generator=g, dtype=F64) for n in (50, 9))
    log_w = torch.full((9,), -math.log(9), dtype=F64)
    for squared in (True, False):
        whole = posterior_sums(x, y, log_w, 2.0, squared)
        monkeypatch.setattr("rdbench.inference.particles._CPU_ENTRIES", 64)
        for a, b in zip(whole, posterior_sums(x, y, log_w, 2.0, squared), strict=True):
            assert torch.allclose(a, b, atol=1e-13)
        monkeypatch.undo()


def test_working_type_leaves_single_precision_where_logits_are_large() -> None:
    x = torch.randn(100, 2, generator=seeded(), dtype=F64)
    assert working_type(x, 5.0, squared=True) is torch.float32
    assert working_type(x, 3e3, squared=True) is torch.float64


# ------------------------------------------------------------------------ closed forms


def test_one_particle_goes_to_the_mean_or_the_median() -> None:
    def skewed(n: int, g: Generator) -> Tensor:
        return 100.0 - torch.rand(n, 1, generator=g, dtype=F64).log()

    options = {"particles": 1, "iterations": 300}
    mean = float(atoms(channel(source(skewed, SquaredError()), 2.0, **options)).points)
    median = float(atoms(channel(source(skewed, AbsoluteError()), 2.0, **options)).points)
    assert mean == pytest.approx(101.0, abs=0.02)
    assert median == pytest.approx(100.0 + math.log(2.0), abs=0.03)


def test_two_particles_on_two_points() -> None:
    """X = -1 or 1: by symmetry atoms at -a and a, and F(a) is a function of one variable."""
    beta = 1.3
    view = source(
        lambda n, g: 2.0 * torch.randint(2, (n, 1), generator=g).double() - 1.0, SquaredError()
    )

    def lagrangian(a: float) -> float:
        near, far = (math.exp(-beta * (1.0 + s * a) ** 2) for s in (-1, 1))
        return -math.log(0.5 * (near + far))

    best = minimize_scalar(lagrangian, bounds=(0.0, 1.0), method="bounded")
    q = atoms(channel(view, beta, iterations=400, **WGD.info.presets["online_em"]))
    x = torch.tensor([[-1.0], [1.0]], dtype=F64)
    assert free_energy(q, SquaredError(), x, beta) == pytest.approx(best.fun, abs=1e-3)
    assert float(q.points.abs().mean()) == pytest.approx(best.x, abs=0.03)


@pytest.mark.parametrize(
    ("algorithm", "weights"), [("flow", "fixed"), ("averaged", "fixed"), ("averaged", "updated")]
)
def test_gaussian_curve(algorithm: Any, weights: Any) -> None:
    betas = [0.4, 20.0, 2.0]
    got = fit(gaussian(SquaredError(), mean=100.0, scale=1e-3), [1e6 * b for b in betas],
              algorithm=algorithm, weights=weights)  # fmt: skip
    x = 100.0 + 1e-3 * torch.randn(20_000, 1, generator=seeded(77), dtype=F64)
    for beta, c in zip(betas, got, strict=True):
        assert isinstance(c, TestChannel)
        truth = 0.5 * math.log(max(2 * beta, 1.0)) + beta * min(0.5 / beta, 1.0)
        gap = free_energy(atoms(c), SquaredError(), x, c.beta) - truth
        # the standard error of F itself is about sqrt(1/2) / sqrt(20,000) = .005
        assert -0.015 < gap < 0.03
        assert c.claim.side == "upper"
        claimed = c.claim.rate + c.beta * c.claim.distortion
        assert claimed == pytest.approx(truth, abs=0.08)
        assert math.exp(float(atoms(c).log_weights.logsumexp(0))) == pytest.approx(1.0)
        if weights == "fixed":
            assert float(atoms(c).log_weights.std()) < 1e-12


@pytest.mark.parametrize("preset", [{}, WGD.info.presets["online_em"]])
def test_laplacian_under_absolute_error(preset: dict[str, Any]) -> None:
    def laplacian(n: int, g: Generator) -> Tensor:
        u = torch.rand(n, 1, generator=g, dtype=F64) - 0.5
        return -u.sign() * torch.log1p(-2 * u.abs())

    x = laplacian(40_000, seeded(78))
    betas = [1.2, 3.0]
    for beta, c in zip(
        betas, fit(source(laplacian, AbsoluteError()), betas, **preset), strict=True
    ):
        assert isinstance(c, TestChannel)
        gap = free_energy(atoms(c), AbsoluteError(), x, beta) - (1.0 + math.log(beta))
        assert -0.02 < gap < 0.04


def test_the_start_is_the_optimum_of_a_gaussian() -> None:
    """Reverse water-filling: covariance minus I / (2 beta), whatever the axes."""
    g = seeded()
    root = torch.tensor([[2.0, 0.3], [-0.7, 1.1]], dtype=F64)
    x = torch.randn(40_000, 2, generator=g, dtype=F64) @ root.T + 5.0
    start = deconvolved_draws(x, x, 0.25)
    expected = torch.cov(x.T) - 0.25 * torch.eye(2, dtype=F64)
    assert torch.allclose(torch.cov(start.T), expected, atol=1e-3)
    assert torch.allclose(start.mean(0), x.mean(0), atol=1e-9)


def test_a_product_of_particles_needs_no_log_n() -> None:
    """A rotated cube at R above log 32; F against Blahut-Arimoto on a line."""
    d, beta = 5, 40.0
    turn: Tensor = torch.linalg.qr(torch.randn(d, d, generator=seeded(4), dtype=F64)).Q

    def cube(n: int, g: Generator) -> Tensor:
        return torch.rand(n, d, generator=g, dtype=F64).mul(2.0).sub(1.0).matmul(turn) + 3.0

    c = channel(source(cube, SquaredError(), d), beta, **(
        dict(WGD.info.presets["product"]) | {"particles": 32, "iterations": 400}
    ))  # fmt: skip
    assert isinstance(c.marginal, Product)
    assert c.q_is == "product of atoms"
    x = cube(20_000, seeded(77))
    grid = torch.linspace(-1.0, 1.0, 400, dtype=F64)
    kernel = torch.exp(-beta * (grid[:, None] - grid) ** 2)
    w = torch.full((400,), 1 / 400, dtype=F64)
    for _ in range(3000):
        w = w * (kernel / (kernel @ w)[:, None]).mean(0)
    best = -float(torch.log(kernel @ w).mean()) * d
    got = -float(exact_sums(c.marginal, x, beta)[0].mean())
    assert best - 0.02 < got < best + 0.05
    assert c.claim.rate > math.log(32)
    assert c.start is not None
    assert isinstance(c.start.marginal, Product)
    assert got < -float(exact_sums(c.start.marginal, x, beta)[0].mean()) - 0.3


# ------------------------------------------------------------------------ the tails


def test_a_tenth_of_the_particles_goes_to_draws_that_none_serves() -> None:
    near = torch.randn(1000, 1, generator=seeded(), dtype=F64)
    far = 30.0 + torch.randn(3, 1, generator=seeded(2), dtype=F64)
    for squared in (True, False):
        flow = Flow(near[None, :50].clone(), 5.0, squared, "averaged", updated=True)
        flow.cover(torch.cat([near, far, near])[None])
        at_far = (flow.y[0][:, None] == far).any(1)[:, 0]
        assert int(at_far.sum()) == 3
        assert int((flow.y[0] == near[:50]).sum()) >= 45
        flow = Flow(near[None, :50].clone(), 0.1, squared, "averaged", updated=True)
        flow.cover(near[None])  # at a low slope all draws are served
        assert torch.equal(flow.y[0], near[:50])


# ------------------------------------------------------------------------ the claim


def test_what_is_not_a_number_is_no_rate_of_zero() -> None:
    q = Atoms(torch.tensor([[math.nan]], dtype=F64), torch.zeros(1, dtype=F64))
    rate, _ = exact_point(q, SquaredError(), torch.ones(2, 1, dtype=F64), 1.0)
    assert math.isnan(rate)


def test_exact_point_by_hand() -> None:
    q = Atoms(torch.tensor([[0.0], [2.0]], dtype=F64), torch.tensor([0.25, 0.75], dtype=F64).log())
    x, beta = torch.tensor([[0.5], [3.0]], dtype=F64), 0.8
    mean = lagrangian = 0.0
    for point in (0.5, 3.0):
        terms = [w * math.exp(-beta * (point - y) ** 2) for w, y in ((0.25, 0.0), (0.75, 2.0))]
        lagrangian -= math.log(sum(terms)) / 2
        mean += sum(t * (point - y) ** 2 for t, y in zip(terms, (0.0, 2.0), strict=True)) / (
            2 * sum(terms)
        )
    rate, distortion = exact_point(q, SquaredError(), x, beta)
    assert distortion == pytest.approx(mean, abs=1e-14)
    assert rate + beta * distortion == pytest.approx(lagrangian, abs=1e-14)


def test_the_claim_on_a_fixed_training_set_is_on_points_that_were_not_fitted() -> None:
    c = channel(view_of(scalar_gaussian(), n_train=400, seed=3), 200.0)
    assert c.claim.side == "estimate"
    x = torch.randn(20_000, 1, generator=seeded(9), dtype=F64)
    claimed = c.claim.rate + c.beta * c.claim.distortion
    potential = -torch.logsumexp(
        atoms(c).log_weights - 200.0 * SquaredError().pairwise(x, atoms(c).points), 1
    )
    # so few particles overfit by nats: on their own points the claim would be below F*
    assert claimed == pytest.approx(
        float(potential.mean()), abs=4 * float(potential.std()) / 40**0.5
    )


def test_a_rate_near_the_capacity_of_the_particles_is_said() -> None:
    low, high = fit(gaussian(SquaredError(), dim=3), [1.0, 100.0], particles=30, iterations=50)
    assert isinstance(low, TestChannel)
    assert isinstance(high, TestChannel)
    assert low.reason == ""
    assert "log 30 = 3.4" in high.reason


@pytest.mark.parametrize("preset", [{}, *WGD.info.presets.values()])
def test_the_start_is_said_and_its_weights_are_equal(preset: dict[str, Any]) -> None:
    few = dict(preset) | {"particles": 50, "iterations": 3, "batch": 200}
    c = channel(gaussian(SquaredError(), dim=2, mean=7.0), 2.0, **few)
    assert c.start is not None
    assert not c.is_start
    q = c.start.marginal
    assert isinstance(q, Product if "structure" in preset else Atoms)
    for part in q.factors if isinstance(q, Product) else [q]:
        assert torch.allclose(part.log_weights, torch.tensor(-math.log(50), dtype=F64), atol=1e-5)
    if isinstance(q, Atoms) and not preset:  # draws as they are, not shrunk
        assert c.start.name == "draws of the source"
        assert float(q.points.std(0).mean()) == pytest.approx(1.0, abs=0.2)
        assert float(q.points.mean()) == pytest.approx(7.0, abs=0.4)


# ------------------------------------------------------------------------ running


def test_counts() -> None:
    whole, half = FakeMonitor(build_every=0), FakeMonitor(effort=0.5)
    for monitor in (whole, half):
        fit(gaussian(SquaredError()), [2.0], monitor)
    assert (whole.offers, whole.gradient_steps, whole.parameters) == (20, 200, 100)
    assert half.gradient_steps == 100


def test_the_paper_preset() -> None:
    paper = dict(WGD.info.presets["paper"]) | {"batch": 4000, "iterations": 150}
    c = channel(gaussian(SquaredError()), 5.0, **(paper | {"particles": 100}))
    truth = 0.5 * math.log(10.0) + 0.5
    x = torch.randn(20_000, 1, generator=seeded(77), dtype=F64)
    assert free_energy(atoms(c), SquaredError(), x, 5.0) == pytest.approx(truth, abs=0.05)
    # steps of lr 2 beta = 60 throw the particles out
    (lost,) = fit(gaussian(SquaredError()), [3000.0], **(paper | {"particles": 100}))
    assert isinstance(lost, Refusal)
    assert "diverged" in lost.reason
    assert ESTIMATOR is WGD


def test_the_published_batch_takes_no_fixed_point_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    monkeypatch.setattr(Flow, "step", lambda self, x, t: seen.append(x))
    view = view_of(scalar_gaussian(), n_train=100)
    channel(view, 5.0, **(dict(WGD.info.presets["paper"]) | {"iterations": 1, "batch": 4000}))
    assert seen[0].numel() == len(torch.unique(seen[0])) == 80


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(RdbenchError, match="wgd: algorithm=flow has weights=fixed"):
        WGD(weights="updated")
    with pytest.raises(RdbenchError, match="wgd: algorithm=published has structure=joint"):
        WGD(algorithm="published", structure="product")
