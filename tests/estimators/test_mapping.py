"""Annealed atoms: steps by hand, critical slopes, closed forms, certified values, presets."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.mapping import Mapping
from rdbench.estimators.mapping.annealing import Schedule, anneal, merged, settled
from rdbench.estimators.mapping.averaging import averaged
from rdbench.estimators.mapping.fixed import first_atoms, iterated
from rdbench.estimators.mapping.symbols import Atoms, Symbols
from rdbench.references.certified import Certified
from rdbench.sources.beta import BetaSource
from rdbench.sources.mixture import two_modes
from rdbench.sources.uniform import UniformSource
from rdbench.types import Atoms as Law
from rdbench.types import Problem, RdbenchError, TestChannel
from tests.estimators.conftest import FakeMonitor, channels_of, reasons_of, seeded, view_of

F64 = torch.float64
SMALL: dict[str, Any] = {"draws": 40_000, "steps": 100}


def uniform(n: int = 400) -> Symbols:
    """Midpoints of [-1, 1]."""
    x = (torch.arange(n, dtype=F64) + 0.5) * (2.0 / n) - 1.0
    return Symbols(x[:, None], torch.full((n,), 1.0 / n, dtype=F64))


def some(n: int = 60, m: int = 4, d: int = 2) -> tuple[Symbols, Atoms]:
    x, y = (torch.randn(k, d, generator=seeded(k), dtype=F64) for k in (n, m))
    p = torch.rand(n, generator=seeded(5), dtype=F64)
    log_w = torch.log_softmax(torch.randn(m, generator=seeded(6), dtype=F64), 0)
    return Symbols(x, p / p.sum()), Atoms(y, log_w)


def free_energy(q: Law, x: Tensor, beta: float) -> float:
    rho = (x[:, None] - q.points).square().sum(2)
    return -float(torch.logsumexp(q.log_weights - beta * rho, 1).mean())


def schedule(most: int = 100, **more: Any) -> Schedule:
    usual = {"ratio": 1.15, "visits": 40, "final": 200, "tolerance": 1e-5, "margin": 3e-3}
    return Schedule(most=most, **(usual | more))


# ------------------------------------------------------------------------ one step


def test_a_step_by_hand() -> None:
    symbols, atoms = some()
    beta = 1.7
    w, p, x, y = atoms.log_w.exp(), symbols.p, symbols.x, atoms.y
    joint = w * torch.exp(-beta * (x[:, None] - y).square().sum(2))
    z = joint.sum(1)
    share = p[:, None] * joint / z[:, None]
    step = symbols.step(atoms, beta)
    assert step.free_energy == pytest.approx(-float(p @ z.log()), abs=1e-12)
    assert torch.allclose(step.ahead.y, share.T @ x / share.sum(0)[:, None], atol=1e-12)
    assert torch.allclose(step.ahead.log_w.exp(), share.sum(0), atol=1e-12)
    held = symbols.step(atoms, beta, weights=False).ahead
    assert torch.equal(held.log_w, atoms.log_w)
    at = torch.randn(3, 2, generator=seeded(9), dtype=F64)
    c = (p / z) @ torch.exp(-beta * (x[:, None] - at).square().sum(2))
    assert torch.allclose(symbols.log_c(atoms, beta, at).exp(), c, atol=1e-12)


def test_the_spread_of_an_atom_is_the_largest_eigenvalue_of_its_covariance() -> None:
    symbols, atoms = some()
    value, axes = symbols.spread(atoms, 0.6, 200)
    posterior, _ = symbols.posterior(atoms, 0.6)
    for j in range(len(value)):
        share = symbols.p * posterior[:, j]
        share = share / share.sum()
        centred = symbols.x - share @ symbols.x
        found = torch.linalg.eigvalsh(centred.T @ (share[:, None] * centred))[-1]
        assert float(value[j]) == pytest.approx(float(found), rel=1e-6)
        assert float(axes[j].norm()) == pytest.approx(1.0)


def test_bins_keep_the_mean_and_points_that_come_again() -> None:
    x = torch.randn(5000, 1, generator=seeded(), dtype=F64)
    binned = Symbols.of(x, 10.0)
    assert len(binned.x) < 1000
    assert torch.allclose(binned.p @ binned.x, x.mean(0), atol=1e-12)
    letters = torch.tensor([[0.0], [1.0], [5.0]], dtype=F64)[torch.arange(999) % 3]
    coin = Symbols.of(letters, 10.0)
    assert torch.equal(coin.x[:, 0], torch.tensor([0.0, 1.0, 5.0], dtype=F64))


# ------------------------------------------------------------------------ critical slopes


def test_two_halves_part_above_the_critical_slope_and_meet_below() -> None:
    """1 / (2 Var X) = 1.5 for the uniform on [-1, 1]."""
    for beta, apart in ((1.4, False), (1.6, True)):
        atoms = Atoms(
            torch.tensor([[-0.1], [0.1]], dtype=F64), torch.tensor([0.5, 0.5]).log().double()
        )
        for _ in range(400):
            atoms = uniform().step(atoms, beta).ahead
        assert (float((atoms.y[1] - atoms.y[0]).abs()) > 0.1) is apart


def test_the_ladder_finds_the_critical_slopes_of_two_modes() -> None:
    """The mean splits at 1 / (2 Var X), the modes at about 1 / (2 Var(X | mode)) = 1/2."""
    x = torch.linspace(-8.0, 8.0, 801, dtype=F64)[:, None]
    p = two_modes().log_prob(x).exp()
    symbols = Symbols(x, p / p.sum())
    variance = float(symbols.p @ x[:, 0].square())
    *_, last = anneal(lambda *_: symbols, [0.2, 0.7], schedule(), lambda _: True)
    first, second = last.transitions[:2]
    assert first.critical == pytest.approx(0.5 / variance, rel=1e-3)
    assert first.below < first.critical <= first.above
    assert first.atoms == 2
    assert second.critical == pytest.approx(0.5, rel=0.02)


def test_an_atom_far_from_the_others_appears_where_no_split_would_find_it() -> None:
    """A heavy centre and two light far points: c(y) > 1 there below the critical slope."""
    x = torch.cat([torch.linspace(-0.1, 0.1, 41, dtype=F64), torch.tensor([-3.0, 3.0]).double()])
    p = torch.full((43,), 0.98 / 41, dtype=F64)
    p[-2:] = 0.01
    symbols = Symbols(x[:, None], p)
    critical = 0.5 / float(p @ x.square())
    (found,) = anneal(lambda *_: symbols, [0.9 * critical], schedule(), lambda _: True)
    assert found.births >= 1
    assert found.log_c < 1e-4
    assert float(found.atoms.y.abs().max()) > 2.5


def test_coincident_atoms_are_one() -> None:
    y = torch.tensor([[0.0], [1e-4], [2.0], [5.0]], dtype=F64)
    w = torch.tensor([0.2, 0.2, 0.6 - 1e-12, 1e-12], dtype=F64)
    one = merged(Atoms(y, w.log()), 1.0)
    assert torch.allclose(one.y, torch.tensor([[5e-5], [2.0]], dtype=F64))
    assert torch.allclose(one.log_w.exp(), torch.tensor([0.4, 0.6], dtype=F64))


def test_extrapolated_steps_do_not_raise_the_free_energy() -> None:
    symbols, atoms = some(200, 6, 1)
    before = symbols.step(atoms, 8.0).free_energy
    after = [symbols.step(settled(symbols, atoms, 8.0, k, 1e-9), 8.0).free_energy for k in (5, 60)]
    plain = atoms
    for _ in range(60):
        plain = symbols.step(plain, 8.0).ahead
    assert before > after[0] > after[1]
    assert after[1] <= symbols.step(plain, 8.0).free_energy


# ------------------------------------------------------------------------ whole fits


def test_the_uniform_has_few_atoms_and_its_certified_value() -> None:
    source = UniformSource(-1.0, 1.0)
    reference = Certified(Problem(source, SquaredError()), tolerance=1e-6)
    x = uniform(4000).x
    got = channels_of(Mapping(**SMALL), view_of(source), [3.074, 1.0, 17.5])
    assert [c.beta for c in got] == [1.0, 3.074, 17.5]
    for c, fewest in zip(got, (1, 2, 5), strict=True):
        q = c.marginal
        assert isinstance(q, Law)
        truth = reference.point(c.beta).lagrangian
        assert truth.lo - 1e-6 <= free_energy(q, x, c.beta) <= truth.hi + 5e-4
        assert fewest <= len(q.points) <= fewest + 3
        assert c.status == "ok"
        assert c.claim.side == "upper"
    assert "critical slopes 1.5" in got[1].reason
    assert got[0].start is not None
    assert len(got[0].start.marginal.points) == 1  # type: ignore[union-attr]


def test_a_gaussian_in_the_plane() -> None:
    """Water-filling: F = log(2 beta) + 1 for N(0, I) and beta >= 1/2."""
    view = view_of(lambda n: torch.randn(n, 2, generator=stream, dtype=F64), dim=2)
    stream = seeded(3)
    few: dict[str, Any] = {"steps": 100, "atoms": 60}
    x = torch.randn(20_000, 2, generator=seeded(77), dtype=F64)
    for c in channels_of(Mapping(**few), view, [1.0, 3.0]):
        q = c.marginal
        assert isinstance(q, Law)
        assert -0.03 < free_energy(q, x, c.beta) - math.log(2.0 * c.beta) - 1.0 < 0.06


def test_averages_over_minibatches_find_the_mean() -> None:
    stream = seeded(4)

    def draw() -> Tensor:
        return torch.randn(400, 3, generator=stream, dtype=F64) + 2.0

    start = Atoms(torch.zeros(1, 3, dtype=F64), torch.zeros(1, dtype=F64))
    found = averaged(start, 1.0, draw, 300, lambda _: True)
    assert torch.allclose(found.y, torch.full((1, 3), 2.0, dtype=F64), atol=0.05)


def test_the_published_settings_on_their_source() -> None:
    """Six atoms on Beta(1, 2) at beta = 100; F* is certified, their legends say 1.594 of 5,000."""
    source = BetaSource(1.0, 2.0)
    truth = Certified(Problem(source, SquaredError()), tolerance=1e-3).point(100.0).lagrangian
    (c,) = channels_of(
        Mapping(**Mapping.info.presets["fixed_cardinality"]), view_of(source), [100.0]
    )
    q = c.marginal
    assert isinstance(q, Law)
    assert len(q.points) == 6
    x = torch.linspace(0.0, 1.0, 20_001, dtype=F64)[:, None]
    p = source.log_prob(x).exp()
    z = torch.logsumexp(q.log_weights - 100.0 * (x - q.points.T).square(), 1)
    assert truth.lo < -float((p / p.sum()) @ z) < truth.hi + 2e-3
    assert "6 atoms after" in c.reason


def test_where_fixed_atoms_start_and_stop() -> None:
    symbols = uniform()
    begun = first_atoms(symbols, 5, True, seeded())
    assert torch.allclose(begun.y[:, 0], symbols.x[0, 0] * torch.linspace(1.0, -1.0, 5).double())
    assert float(begun.log_w.exp().std()) > 0.01
    equal = first_atoms(symbols, 5, False, seeded())
    assert torch.allclose(equal.log_w.exp(), torch.full((5,), 0.2, dtype=F64))
    atoms, steps, rule = iterated(symbols, begun, 5.0, True, 5000, lambda _: True)
    ahead = symbols.step(atoms, 5.0).ahead
    assert rule
    assert steps < 5000
    assert float((ahead.log_w.exp() - atoms.log_w.exp()).norm()) < 1e-4
    assert iterated(symbols, begun, 5.0, True, 3, lambda _: True)[1:] == (3, False)


def test_what_it_does_not_do_is_refused() -> None:
    view = view_of(UniformSource(), AbsoluteError())
    assert reasons_of(Mapping(), view, [1.0]) == ["needs squared error (not absolute error)"]
    with pytest.raises(RdbenchError, match="mapping: ratio must be above 1"):
        Mapping(ratio=1.0)
    with pytest.raises(RdbenchError, match="algorithm=annealed has weights=updated"):
        Mapping(weights="fixed")


@pytest.mark.parametrize("dim", [1, 2])
def test_a_stop_is_said(dim: int) -> None:
    stream = seeded(3)
    view = view_of(lambda n: torch.randn(n, dim, generator=stream, dtype=F64), dim=dim)
    (c,) = list(Mapping(draws=2000).fit(view, [5.0], seeded(), FakeMonitor(limit=2)))
    assert isinstance(c, TestChannel)
    assert c.status == "not_converged"
    assert "stopped before the end" in c.reason
