"""An audit of a sample: every held-out row once, groups as they depend, memory exposed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rdbench.audit import SIZES, audit
from rdbench.audit.averages import block_means, mean_of
from rdbench.audit.possible import least_distortion
from rdbench.audit.symbols import Symbols, draw_halves, draw_symbols
from rdbench.distortions import SquaredError, TableDistortion
from rdbench.inference.particles import conditional
from rdbench.references.unknown import Unknown
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.sample import SampleSource
from rdbench.types import Atoms, Claim, Problem, RdbenchError, TestChannel


def drawn(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem_of(n: int = 300, d: int = 2, groups: torch.Tensor | None = None) -> Problem:
    source = SampleSource("s", drawn(4 * n, d, 1), drawn(n, d, 2), "0", groups)
    return Problem(source, SquaredError())


def channel_of(points: torch.Tensor, beta: float) -> TestChannel:
    log_w = torch.full((len(points),), -math.log(len(points)), dtype=torch.float64)
    atoms = Atoms(points, log_w)
    draw = conditional(atoms, SquaredError(), beta)
    return TestChannel(beta, atoms, Claim(1.0, 1.0, "estimate"), draw)


def test_every_held_out_row_counts_once() -> None:
    """F of atoms against the sum over the held-out rows, by hand; its interval by their spread."""
    problem, beta = problem_of(), 2.0
    atoms = drawn(20, 2, 3)
    found = audit(
        channel_of(atoms, beta), problem, Unknown(),
        size=SIZES["quick"], generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    x = problem.source.held_out.numpy()  # type: ignore[attr-defined]
    rho = ((x[:, None, :] - atoms.numpy()) ** 2).sum(-1)
    kernel = np.exp(-beta * rho) / len(atoms)
    f = -np.log(kernel.sum(1))
    d = (kernel * rho).sum(1) / kernel.sum(1)
    assert found.lagrangian == pytest.approx(f.mean(), rel=1e-12)
    assert found.distortion == pytest.approx(d.mean(), rel=1e-10)
    assert found.rate == pytest.approx((f - beta * d).mean(), rel=1e-10)
    half = 1.96 * (f - beta * d).std(ddof=1) / math.sqrt(len(x))
    assert found.rate_half == pytest.approx(half, rel=0.3)
    assert math.isnan(found.gap)


def test_the_symbols_are_the_same_for_every_estimator() -> None:
    problem = problem_of()
    one, two = (
        draw_symbols(problem, 200, torch.Generator().manual_seed(seed)).x for seed in (1, 2)
    )
    assert torch.equal(one, two)
    assert len(one) == 200
    assert len(draw_symbols(problem, 10_000, torch.Generator()).x) == 300


def test_a_memoriser_is_exposed() -> None:
    """Atoms at the training rows: on those F = log n nearly, on the held-out ones far above."""
    problem, beta = problem_of(200, 8), 200.0
    training = problem.source.training  # type: ignore[attr-defined]
    channel = channel_of(training, beta)
    found = audit(channel, problem, Unknown(), size=SIZES["quick"], generator=torch.Generator())
    assert found.lagrangian - found.rate_half > math.log(len(training)) + 100.0


def test_rows_of_a_group_are_no_more_than_one() -> None:
    """Every row ten times over: the interval is that of the rows without the copies."""
    values = drawn(60, 1, 5)[:, 0]
    plain = mean_of(values, Symbols(values[:, None]))
    label = torch.arange(60).repeat_interleave(10)
    mixed = torch.randperm(600, generator=torch.Generator().manual_seed(1))
    copies = values.repeat_interleave(10)[mixed]
    grouped = mean_of(copies, Symbols(copies[:, None], groups=label[mixed]))
    assert grouped.value == pytest.approx(plain.value, rel=1e-12)
    assert grouped.half == pytest.approx(plain.half, rel=1e-9)
    naive = mean_of(copies, Symbols(copies[:, None]))
    assert naive.half < 0.4 * grouped.half  # the fault that groups are for


def test_the_interval_of_groups_covers() -> None:
    """Normal group effects: 95% intervals hold the truth about as often as they say."""
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        sizes = rng.integers(1, 9, 30)
        effects = np.repeat(rng.normal(size=30), sizes) + 0.3 * rng.normal(size=sizes.sum())
        label = torch.from_numpy(np.repeat(np.arange(30), sizes))
        values = torch.from_numpy(effects)
        inside += abs(mean_of(values, Symbols(values[:, None], groups=label)).value) <= (
            mean_of(values, Symbols(values[:, None], groups=label)).widest
        )
    assert 0.9 <= inside / 400 <= 0.99


def test_blocks_of_groups_have_the_mean_of_the_rows() -> None:
    values, label = drawn(640, 1, 6)[:, 0], torch.arange(128).repeat_interleave(5)
    symbols = Symbols(values[:, None], groups=label, block=10)
    blocks = block_means(values, symbols)
    assert len(blocks) == 64
    assert float(blocks.mean()) == pytest.approx(float(values.mean()), rel=1e-12)


def test_a_table_may_give_less_than_nothing() -> None:
    table = TableDistortion([[-1.0, 2.0], [3.0, -2.0]])  # type: ignore[arg-type]
    rows = torch.tensor([[0.0], [1.0]]).double().repeat(20, 1)
    problem = Problem(SampleSource("letters", rows, rows, "0"), table)
    assert least_distortion(problem) == -2.0


def test_a_sample_is_refused_where_its_parts_do_not_fit() -> None:
    with pytest.raises(RdbenchError, match="columns"):
        SampleSource("s", drawn(5, 2, 0), drawn(5, 3, 0), "0")
    with pytest.raises(RdbenchError, match="groups"):
        SampleSource("s", drawn(5, 2, 0), drawn(5, 2, 0), "0", torch.arange(4))


@pytest.mark.parametrize("grouped", [False, True])
def test_halves_share_no_row_and_no_group(grouped: bool) -> None:
    """What one half finds the other judges: with the same rows twice a maximum judges itself."""
    label = torch.randint(40, (300,), generator=torch.Generator().manual_seed(4))
    problem = problem_of(groups=label if grouped else None)
    one, two = draw_halves(problem, 1000, torch.Generator())
    rows = [set(map(tuple, half.x.tolist())) for half in (one, two)]
    assert not rows[0] & rows[1]
    assert len(rows[0]) + len(rows[1]) == 300
    assert min(map(len, rows)) > 100
    if grouped:
        assert one.groups is not None
        assert two.groups is not None
        assert not set(one.groups.tolist()) & set(two.groups.tolist())
    few, _ = draw_halves(problem, 50, torch.Generator())
    assert len(few.x) <= 75


def test_halves_of_a_sampler_are_fresh_draws() -> None:
    problem = Problem(scalar_gaussian(), SquaredError())
    one, two = draw_halves(problem, 500, torch.Generator().manual_seed(0))
    assert not set(one.x[:, 0].tolist()) & set(two.x[:, 0].tolist())


def test_one_group_has_no_halves() -> None:
    with pytest.raises(RdbenchError, match="no two halves"):
        draw_halves(problem_of(groups=torch.zeros(300).long()), 100, torch.Generator())
