"""Two narrow far modes: lambda has the shape of the Shannon bound on the gap between them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from rdbench.certify.described import described
from rdbench.certify.duals import dual_of
from rdbench.certify.line import certify_line
from rdbench.certify.line.densities import line_density
from rdbench.certify.store import to_plain
from rdbench.distortions import SquaredError
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Problem
from rdbench.verify import Verdict

Judge = Callable[[dict[str, Any]], Verdict]
BETA = 1.0


@pytest.fixture(scope="module")
def far_modes() -> dict[str, Any]:
    source = GaussianMixture(
        torch.tensor([0.5, 0.5]),
        torch.tensor([[-19.0], [21.0]]),
        torch.tensor([[[0.04]], [[4.0]]]),
    )
    problem, density = Problem(source, SquaredError()), line_density(source)
    assert density is not None
    found = certify_line(density, BETA, 1e-4)
    claim = {**to_plain(found), "lambda": dual_of(problem, found)}
    rung = {"rate": 1.2, "certificate": claim}
    return {"format": 1, "case": "far", "problem": described(problem), "rungs": [rung]}


def test_it_is_narrow_and_verified_and_the_sum_of_the_modes(
    far_modes: dict[str, Any], judge: Judge
) -> None:
    found = judge(far_modes)
    claim = far_modes["rungs"][0]["certificate"]
    assert found.state == "verified"
    assert claim["hi"] - claim["lo"] < 1e-4
    assert len(claim["lambda"]["gaps"]) == 1
    # Modes that far apart need one bit more than each alone: the half whose sd .2 is below the
    # water costs beta var, the other is solved alone.
    wide = certify_line(_normal(2.0), BETA, 1e-6)
    narrow = BETA * 0.04
    halves = torch.log(torch.tensor(2.0)).item() + 0.5 * (narrow + 0.5 * (wide.lo + wide.hi))
    assert claim["lo"] - 1e-4 <= halves <= claim["hi"] + 1e-4


def _normal(std: float) -> Any:
    mean, covariance = torch.tensor([[0.0]]), torch.tensor([[[std**2]]])
    return line_density(GaussianMixture(torch.ones(1), mean, covariance))


@pytest.mark.parametrize(
    "change",
    [
        lambda dual: dual.pop("gaps") and dual.pop("gap_kappa"),
        lambda dual: dual.update(gap_kappa=[k * 1e6 for k in dual["gap_kappa"]]),
        lambda dual: dual.update(gaps=[[b, a] for a, b in dual["gaps"]]),
        lambda dual: dual.update(gaps=[[a - 60.0, b] for a, b in dual["gaps"]]),
        lambda dual: dual.update(gaps=[[a, b - 8.0] for a, b in dual["gaps"]]),
    ],
    ids=["no gap", "a large kappa", "ends swapped", "beyond the core", "a gap too short"],
)
def test_a_planted_error_of_the_gap_is_rejected(
    far_modes: dict[str, Any], judge: Judge, change: Callable[[dict[str, Any]], Any]
) -> None:
    content = copy.deepcopy(far_modes)
    change(content["rungs"][0]["certificate"]["lambda"])
    assert judge(content).state == "rejected"
