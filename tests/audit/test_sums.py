"""Sums over atoms where distortions have an offset or are infinite, and over Gaussian mixtures:
against plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rdbench.audit.sums import atoms, gaussians, plug_in
from rdbench.distortions import TableDistortion
from rdbench.inference.particles import conditional, exact_point
from rdbench.inference.plug_in import appendix_a
from rdbench.types import Atoms, Gaussians

INF = math.inf
P = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
X = torch.arange(3, dtype=torch.float64)[:, None]
Q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
TABLE = [[0.0, 1.0, 0.5, INF], [INF, 0.25, 1.0, 0.75], [0.5, INF, 0.0, 2.0]]


def plain_sums(beta: float) -> tuple[float, float]:
    """F and D by loops, what is forbidden left out."""
    f = d = 0.0
    for i, row in enumerate(TABLE):
        terms = [
            (float(w) * math.exp(-beta * r), r) for w, r in zip(Q, row, strict=True) if r < INF
        ]
        z = sum(t for t, _ in terms)
        f -= float(P[i]) * math.log(z)
        d += float(P[i]) * sum(t * r for t, r in terms) / z
    return f, d


def law() -> Atoms:
    letters = torch.arange(4, dtype=torch.float64)[:, None]
    return Atoms(letters, Q.log())


@pytest.mark.parametrize("beta", [0.0, 0.7, 5.0])
def test_forbidden_letters_cost_nothing_and_stay_forbidden(beta: float) -> None:
    """0 times infinity was NaN in D, and at beta = 0 in F."""
    rho = TableDistortion(TABLE)  # type: ignore[arg-type]
    f, d = plain_sums(beta)
    found = atoms(law(), rho, X, P, beta, 1e6)
    assert float(P @ found.potential) == pytest.approx(f, abs=1e-14)
    assert float(P @ found.distortion) == pytest.approx(d, abs=1e-14)
    # the plug-in on draws that have exactly these frequencies
    draws = law().points.repeat_interleave(torch.tensor([1, 2, 3, 4]), 0)
    plugged = plug_in(draws, rho, X, P, beta, exact_draws=True)
    assert float(P @ plugged.potential) == pytest.approx(f, abs=1e-14)
    assert float(P @ plugged.distortion) == pytest.approx(d, abs=1e-14)
    copies = X.repeat_interleave(torch.tensor([2, 5, 3]), 0)
    for rate, distortion in (
        exact_point(law(), rho, copies, beta),
        appendix_a(rho, copies, draws, beta),
    ):
        assert distortion == pytest.approx(d, abs=1e-14)
        assert rate == pytest.approx(f - beta * d, abs=1e-14)
    y = conditional(law(), rho, beta)(X, 2000, torch.Generator().manual_seed(0))[..., 0]
    for i, row in enumerate(TABLE):
        counts = np.bincount(y[i].long().numpy(), minlength=4) / 2000
        weights = np.array(
            [
                float(w) * math.exp(-beta * r) if r < INF else 0.0
                for w, r in zip(Q, row, strict=True)
            ]
        )
        assert np.abs(counts - weights / weights.sum()).max() < 0.05
        assert (counts[weights == 0.0] == 0.0).all()


def test_an_offset_moves_d_by_itself() -> None:
    """exp(. - log Z) sums to one within 1e-10 where beta rho is 2e6; times rho that is 1e-4."""
    beta, offset = 2.0, 1e6
    rho = TableDistortion(torch.tensor(TABLE, dtype=torch.float64) + offset)
    f, d = plain_sums(beta)
    found = atoms(law(), rho, X, P, beta, 1e6)
    assert float(P @ found.distortion) - offset == pytest.approx(d, abs=2e-9)
    assert float(P @ found.potential) - beta * offset == pytest.approx(f, abs=2e-9)


def test_a_marginal_without_an_allowed_letter_has_infinite_f() -> None:
    one = Atoms(torch.tensor([[3.0]], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    found = atoms(one, TableDistortion(TABLE), X, P, 1.0, 1e6)  # type: ignore[arg-type]
    assert float(found.potential[0]) == INF
    assert float(found.potential[1]) == pytest.approx(0.75)


@pytest.mark.parametrize("beta", [1e-9, 0.3, 4.0, 1e6])
def test_a_singular_mixture_is_summed_as_a_grid_of_its_points_would_be(beta: float) -> None:
    """One component lies on a line, one is an atom: against sums over a fine grid of both."""
    weights = torch.tensor([0.7, 0.3], dtype=torch.float64)
    means = torch.tensor([[1.0, -2.0], [0.5, 0.25]], dtype=torch.float64)
    along = torch.tensor([0.6, 0.8], dtype=torch.float64)
    covs = torch.stack([2.0 * torch.outer(along, along), torch.zeros(2, 2, dtype=torch.float64)])
    x = torch.tensor([[0.0, 0.0], [2.0, -1.0], [30.0, 5.0], [1.0, -2.0]], dtype=torch.float64)
    found = gaussians(Gaussians(weights, means, covs), x, None, beta, 1e6)
    t = np.linspace(-30.0, 30.0, 2_000_001)
    step = t[1] - t[0]
    for i, at in enumerate(x.numpy()):
        y = means[0].numpy() + math.sqrt(2.0) * t[:, None] * along.numpy()
        rho = np.append(((at - y) ** 2).sum(1), ((at - means[1].numpy()) ** 2).sum())
        density = 0.7 * step * np.exp(-0.5 * t**2) / math.sqrt(2.0 * math.pi)
        log_terms = np.log(np.append(density, 0.3)) - beta * rho
        top = log_terms.max()
        terms = np.exp(log_terms - top)
        f = -(top + math.log(terms.sum()))
        d = float(terms @ rho / terms.sum())
        assert float(found.potential[i]) == pytest.approx(f, rel=1e-7, abs=1e-9)
        assert float(found.distortion[i]) == pytest.approx(d, rel=1e-6, abs=1e-9)


def test_draws_of_a_mixture_have_its_moments() -> None:
    weights = torch.tensor([0.25, 0.75], dtype=torch.float64)
    means = torch.tensor([[4.0, 0.0], [0.0, -4.0]], dtype=torch.float64)
    covs = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 9.0]]], dtype=torch.float64)
    y = Gaussians(weights, means, covs).sample(200_000, torch.Generator().manual_seed(1))
    apart = means - weights @ means
    wanted = (weights[:, None, None] * covs).sum(0) + (weights[:, None] * apart).T @ apart
    torch.testing.assert_close(y.mean(0), weights @ means, atol=0.03, rtol=0.0)
    torch.testing.assert_close(torch.cov(y.T), wanted, atol=0.1, rtol=0.0)
