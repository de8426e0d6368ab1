"""Blahut-Arimoto on random codebooks, and for a target distortion instead of a slope."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, Hamming, SquaredError
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.estimators.blahut_arimoto.problem import codebook
from rdbench.estimators.blahut_arimoto.target import at_distortion
from rdbench.fitting import answers, split
from rdbench.run.views import make_view
from rdbench.sources.banana import BananaSource
from rdbench.types import (
    Atoms,
    Claim,
    Distortion,
    DualBound,
    Problem,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)
from tests.estimators.conftest import FakeMonitor, seeded, view_of

F64 = torch.float64


def sampled(
    sample: Callable[[int, Generator], Tensor], distortion: Distortion, dim: int, **more: Any
) -> View:
    stream = seeded(5)
    return view_of(lambda n: sample(n, stream), distortion, dim=dim, **more)


def gaussian(dim: int) -> Callable[[int, Generator], Tensor]:
    return lambda n, g: 50.0 + torch.randn(n, dim, generator=g, dtype=F64)


def line(distortion: Distortion | None = None) -> View:
    """N(0, 1) with its density."""
    return sampled(
        lambda n, g: torch.randn(n, 1, generator=g, dtype=F64),
        distortion or SquaredError(),
        1,
        log_prob=lambda x: -0.5 * x[:, 0].square() - 0.5 * math.log(2 * math.pi),
    )


def finite(p: list[float]) -> View:
    support = torch.arange(float(len(p)), dtype=F64)[:, None]
    pmf = torch.tensor(p, dtype=F64)
    return view_of(lambda n: support[:n], Hamming(), dim=1, support=support, pmf=pmf)


def fit(view: View, betas: Sequence[float], **options: Any) -> list[TestChannel | Refusal]:
    chosen: dict[str, Any] = {"support": "codebook", "codebook_size": 150} | options
    found = answers(BlahutArimoto(**chosen), view, betas, seeded(), FakeMonitor())
    return [one for one in found if not isinstance(one, DualBound)]


# ------------------------------------------------------------------------ codebooks


def test_three_dimensions_against_reverse_water_filling() -> None:
    betas = [1.0, 4.0]
    x = gaussian(3)(20_000, seeded(70))
    for beta, c in zip(betas, fit(sampled(gaussian(3), SquaredError(), 3), betas), strict=True):
        assert isinstance(c, TestChannel)
        assert isinstance(c.marginal, Atoms)
        truth = 1.5 * math.log(2 * beta) + 1.5
        logits = c.marginal.log_weights - beta * SquaredError().pairwise(x, c.marginal.points)
        gap = -float(torch.logsumexp(logits, 1).mean()) - truth
        assert -0.02 < gap < (0.08 if beta == 1.0 else 0.5)
        # the claim is F(q) on held-out symbols: it agrees with F(q) on others
        assert c.claim.side == "upper"
        claimed = c.claim.rate + beta * c.claim.distortion
        assert claimed == pytest.approx(truth + gap, abs=0.12)
        assert c.claim.rate < math.log(150)
        assert c.status == "ok"


def test_weights_are_optimised() -> None:
    """From equal weights to others, and to F* of the Gaussian."""
    (c,) = fit(line(), [0.6])
    assert isinstance(c, TestChannel)
    found = c.claim.rate + 0.6 * c.claim.distortion
    assert found == pytest.approx(0.5 * math.log(1.2) + 0.5, abs=0.04)
    assert c.start is not None
    assert isinstance(c.start.marginal, Atoms)
    assert float(c.start.marginal.log_weights.std()) < 1e-9
    assert isinstance(c.marginal, Atoms)
    assert float(c.marginal.log_weights.exp().std()) > 0.1 / len(c.marginal.points)


def test_a_codebook_heeds_the_effort() -> None:
    def steps(effort: float) -> int:
        codebook = BlahutArimoto(
            support="codebook", codebook_size=50, solver="ba", tolerance=1e-12, iterations=40
        )
        (c,) = codebook.fit(line(), [2.0], seeded(), FakeMonitor(effort))
        return int(c.reason.split()[-2])  # "certified gap ... nats after N iterations"

    assert steps(0.1) == 4
    assert steps(1.0) == 40


def test_a_codebook_at_a_distortion() -> None:
    """The symbols of the claim are the same at every slope: the target is met to 1e-6."""
    view = sampled(gaussian(3), SquaredError(), 3)
    found = BlahutArimoto(support="codebook", codebook_size=60).solve_distortion(view, 1.0)
    assert found.claim.distortion == pytest.approx(1.0, rel=1e-4)
    assert found.claim.side == "estimate"  # the draws of the claim chose the slope


def test_a_letter_is_drawn_once() -> None:
    def letters(n: int, g: Generator) -> Tensor:
        return torch.multinomial(torch.tensor([0.7, 0.3]), n, True, generator=g).double()[:, None]

    (c,) = fit(sampled(letters, Hamming(), 1), [2.0])
    assert isinstance(c, TestChannel)
    assert isinstance(c.marginal, Atoms)
    assert sorted(c.marginal.points[:, 0].tolist()) == [0.0, 1.0]
    d = 1 / (1 + math.exp(2.0))
    entropy = [-a * math.log(a) - (1 - a) * math.log(1 - a) for a in (0.3, d)]
    assert c.claim.rate + 2.0 * c.claim.distortion == pytest.approx(
        entropy[0] - entropy[1] + 2.0 * d, abs=0.06
    )


def test_fixed_training_points_give_an_estimate_and_no_bound() -> None:
    for count in (6, 10):
        view = view_of(
            lambda n: torch.randn(n, 2, generator=seeded(3), dtype=F64),
            AbsoluteError(),
            n_train=count,
        )
        for c in fit(view, [0.0, 1.0, 3000.0]):
            assert isinstance(c, TestChannel)
            assert c.claim.side == "estimate"
            # R averages D(p(y|x) || q): of so few symbols some atoms get next to no weight
            assert isinstance(c.marginal, Atoms)
            assert c.claim.rate <= -float(c.marginal.log_weights.min()) + 0.05
            if c.beta <= 1.0:
                assert c.claim.rate <= math.log(count) + 0.05


def test_no_fixed_point_is_an_atom_and_a_symbol() -> None:
    view = view_of(lambda n: torch.arange(n, dtype=F64)[:, None], AbsoluteError(), n_train=100)
    for size in (10, 1000):
        problem = codebook(view, split(view, seeded()), size, 20, 100)
        discrete = problem.at(1.0)
        atoms = set(discrete.points[:, 0])
        assert len(atoms) == min(size, 40)
        assert discrete.kernel.shape == (40, len(atoms))
        assert problem.claimed_on is not None
        assert float(np.min(discrete.kernel.shift)) > 0.0  # beta min_y rho: no symbol is an atom


def test_what_codebooks_refuse() -> None:
    alphabet = sampled(gaussian(1), SquaredError(), 1, alphabet=torch.zeros(2, 1, dtype=F64))
    for view, size, reason in (
        (alphabet, 10, "given alphabet"),
        (sampled(gaussian(1), SquaredError(), 1), 10_000, "too many"),
    ):
        (got,) = fit(view, [1.0], codebook_size=size)
        assert isinstance(got, Refusal)
        assert got.status == "unsupported"
        assert reason in got.reason


# ------------------------------------------------------------------------ a target distortion


@pytest.mark.parametrize("target", [0.9, 0.3, 1e-3])
def test_scalar_gaussian_at_a_distortion(target: float) -> None:
    c = BlahutArimoto().solve_distortion(line(), target)
    assert c.claim.distortion == pytest.approx(target, rel=1e-6)
    assert c.claim.rate == pytest.approx(0.5 * math.log(1 / target), abs=1e-5)
    assert c.beta == pytest.approx(0.5 / target, rel=2e-3)


def test_the_example_of_the_docstring() -> None:
    problem = Problem(BananaSource(), SquaredError())
    view, _ = make_view(problem, BlahutArimoto.info.needs, seeded(0), torch.device("cpu"))
    free = BlahutArimoto().solve_distortion(view, 100.0)
    c = BlahutArimoto(tolerance=0.02).solve_distortion(view, 0.8 * free.claim.distortion)
    assert c.claim.distortion == pytest.approx(0.8 * free.claim.distortion, rel=1e-5)
    assert 0.0 < c.claim.rate < math.log(2.0)


def test_bernoulli_at_a_distortion() -> None:
    c = BlahutArimoto().solve_distortion(finite([0.7, 0.3]), 0.1)
    entropy = [-a * math.log(a) - (1 - a) * math.log(1 - a) for a in (0.3, 0.1)]
    assert c.claim.rate == pytest.approx(entropy[0] - entropy[1], abs=1e-5)
    assert c.beta == pytest.approx(math.log(9.0), rel=1e-4)


def test_a_target_that_needs_no_rate() -> None:
    c = BlahutArimoto().solve_distortion(line(), 2.0)
    assert (c.beta, c.claim.rate) == (0.0, 0.0)


def test_targets_that_are_refused() -> None:
    with pytest.raises(RdbenchError, match="positive"):
        BlahutArimoto().solve_distortion(line(), 0.0)
    with pytest.raises(RdbenchError, match=r"asks for beta = .*too coarse"):
        BlahutArimoto(max_points=300).solve_distortion(line(), 1e-4)
    with pytest.raises(RdbenchError, match="needs a finite support or a density"):
        BlahutArimoto().solve_distortion(sampled(gaussian(1), SquaredError(), 1), 0.1)

    with pytest.raises(RdbenchError, match=r"needs R\^d as reproduction space"):
        BlahutArimoto().solve_distortion(replace(line(), alphabet=torch.ones(2, 1, dtype=F64)), 0.5)
    with pytest.raises(RdbenchError, match=r"needs squared error or .* \(not hamming\)"):
        BlahutArimoto().solve_distortion(line(Hamming()), 0.5)
    assert list(BlahutArimoto().fit(line(Hamming()), [], seeded(), FakeMonitor())) == []
    with pytest.raises(RdbenchError, match="stopped"):
        BlahutArimoto().solve_distortion(line(), 0.1, FakeMonitor(limit=0))


def made_of(distortion: Callable[[float], float]) -> Callable[[float], TestChannel]:
    atom = Atoms(torch.zeros(1, 1, dtype=F64), torch.zeros(1, dtype=F64))

    def solve(beta: float) -> TestChannel:
        claim = Claim(0.0, distortion(beta), "estimate")
        return TestChannel(beta, atom, claim, lambda x, k, g: torch.zeros(len(x), k, 1))

    return solve


@pytest.mark.parametrize("guess", [1e-6, 1.0, 1e6])
def test_the_root_search_on_laws_of_its_own(guess: float) -> None:
    found = at_distortion(made_of(lambda b: 1.0 / (1.0 + b) ** 2), 0.04, guess)
    assert found.beta == pytest.approx(4.0, rel=1e-5)
    # a jump from 0.5 to 0.1 at beta = 3 has no slope for 0.2: the ends share the time
    jump = at_distortion(made_of(lambda b: 0.5 if b < 3.0 else 0.1), 0.2, guess)
    assert jump.claim.distortion == pytest.approx(0.2, rel=1e-12)
    assert jump.beta == pytest.approx(3.0, rel=1e-9)
    with pytest.raises(RdbenchError, match=r"0\.05 is not reached"):
        at_distortion(made_of(lambda b: 0.1 + 1.0 / (1.0 + b)), 0.05, guess)
