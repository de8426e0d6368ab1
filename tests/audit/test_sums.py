"""Sums over atoms where distortions have an offset or are infinite: against plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rdbench.audit.sums import atoms, plug_in
from rdbench.distortions import TableDistortion
from rdbench.inference.particles import conditional, exact_point
from rdbench.inference.plug_in import appendix_a
from rdbench.types import Atoms

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
