"""Numbers that no channel can have are named; what chance does to an optimal one is not."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

from rdbench.audit import SIZES
from rdbench.audit.possible import impossibility
from rdbench.audit.symbols import draw_symbols
from rdbench.distortions import SquaredError, TableDistortion
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.types import Atoms, Audited, Problem

SOURCE = scalar_gaussian()
REFERENCE = WaterFilling(SOURCE)
BETA = REFERENCE.slope(1.0)
TRUTH = REFERENCE.point(BETA)
PROBLEM = Problem(SOURCE, SquaredError())


def _point(**changes: float) -> Audited:
    """The optimum itself, with intervals of .01."""
    fields: dict[str, Any] = {
        "beta": BETA,
        "lagrangian": TRUTH.lagrangian.mid,
        "rate": TRUTH.rate.mid,
        "distortion": TRUTH.distortion.mid,
        "gap": 0.0,
        "gap_lo": -0.01,
        "gap_hi": 0.01,
        "rate_error": 0.0,
        "rate_half": 0.01,
        "distortion_half": 0.01,
        "side": "exact",
        "method": "by hand",
        "ess": 1.0,
    }
    return Audited(**{**fields, **changes})


def test_the_optimum_and_what_chance_makes_of_it_are_possible() -> None:
    assert impossibility(_point(), REFERENCE, PROBLEM) == ""
    assert impossibility(_point(gap=-0.012, gap_lo=-0.022, gap_hi=-0.002), REFERENCE, PROBLEM) == ""
    assert impossibility(_point(rate=-0.01, distortion=2.0), REFERENCE, PROBLEM) == ""
    nothing = _point(gap=math.nan, gap_lo=math.nan, gap_hi=math.nan, rate=math.nan,
                     distortion=math.nan)  # fmt: skip
    assert impossibility(nothing, REFERENCE, PROBLEM) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gap": -0.05, "gap_lo": -0.06, "gap_hi": -0.04}, "F(q) is below F*"),
        ({"gap": math.nan, "gap_lo": -0.06, "gap_hi": -0.04}, "F(q) is below F*"),
        ({"rate": -0.1, "distortion": 2.0}, "R = -0.1 +- 0.01 nats is below 0"),
        ({"distortion": -0.1}, "D = -0.1 +- 0.01 is below 0"),
        ({"distortion": 0.05}, "nats is below R(D)"),
        ({"rate": 0.7}, "nats is below R(D)"),
    ],
)
def test_each_impossible_number_is_named(changes: dict[str, float], words: str) -> None:
    found = impossibility(_point(**changes), REFERENCE, PROBLEM)
    assert found.startswith("impossible: ")
    assert words in found


def test_a_channel_that_replays_the_audit_s_stream_is_named(run: Any, channel: Any) -> None:
    """Atoms at the audit's own symbols: R + beta D comes out nats below the truth."""
    source = vector_gaussian(10)
    reference = WaterFilling(source)
    beta = reference.slope(12.0)
    problem = Problem(source, SquaredError())
    size = dataclasses.replace(SIZES["quick"], paper_draws=0, conditional_symbols=0)
    x = draw_symbols(problem, size.symbols, Generator().manual_seed(7)).x
    atoms = Atoms(x, torch.full((len(x),), -math.log(len(x)), dtype=torch.float64))
    replaying = channel(beta, atoms)
    found = run(replaying, problem, reference, size=size, seed=7)
    assert found.gap < -1.0
    assert "F(q) is below F*" in impossibility(found, reference, problem)
    other = run(replaying, problem, reference, size=size, seed=8)
    assert impossibility(other, reference, problem) == ""


def test_a_table_with_negative_entries_has_its_own_floor() -> None:
    """rho less 1: D = -.9 is possible, D = -1.1 is not."""
    letters = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    source = FiniteSource("coin", letters, torch.full((2,), 0.5, dtype=torch.float64))
    problem = Problem(source, TableDistortion(-torch.eye(2, dtype=torch.float64)))
    reference = Certified(problem, 1e-9)
    rate = math.log(2.0) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert impossibility(_point(rate=rate + 0.01, distortion=-0.9), reference, problem) == ""
    found = impossibility(_point(rate=0.7, distortion=-1.1), reference, problem)
    assert "D = -1.1 +- 0.01 is below -1" in found


def test_an_optimal_channel_is_never_impossible(run: Any, channel: Any) -> None:
    """The exact q of a Gaussian as fine atoms: 100 audits, none refused."""
    variance = SOURCE.stds[0] ** 2 - 0.5 / BETA
    points = torch.linspace(-8.0, 8.0, 801, dtype=torch.float64)[:, None]
    atoms = Atoms(points, torch.log_softmax(-0.5 * points[:, 0].square() / variance, 0))
    size = dataclasses.replace(SIZES["quick"], symbols=640, paper_draws=0, conditional_symbols=0)
    for seed in range(100):
        found = run(channel(BETA, atoms), PROBLEM, REFERENCE, size=size, seed=seed)
        assert impossibility(found, REFERENCE, PROBLEM) == ""
        assert abs(found.gap) < 1e-6


@pytest.mark.parametrize("beta", [3.0, 30.0])
def test_a_grid_that_ends_in_the_tail_is_not_shown_below_the_truth(
    run: Any, channel: Any, beta: float
) -> None:
    """Its f is below f* by the mass it lacks, at every symbol that is drawn."""
    variance = SOURCE.stds[0] ** 2 - 0.5 / beta
    end = 6.6 * math.sqrt(float(variance))
    points = torch.linspace(-end, end, 1001, dtype=torch.float64)[:, None]
    atoms = Atoms(points, torch.log_softmax(-0.5 * points[:, 0].square() / variance, 0))
    for seed in range(3):
        found = run(channel(beta, atoms), PROBLEM, REFERENCE, seed=seed)
        assert abs(found.gap) < 1e-9
        assert found.gap_lo <= 0.0 <= found.gap_hi


def test_no_committed_record_is_impossible_in_its_gap() -> None:
    """The gate costs the stored runs nothing: gap_hi falls below zero by 2.6e-5 at most."""
    import json

    root = Path(__file__).parents[2] / "results"
    if not root.exists():
        pytest.skip("no stored results beside the tests")
    seen = 0
    for path in root.glob("*/records*.jsonl"):
        for line in path.read_text().splitlines():
            for point in json.loads(line)["points"]:
                if point["status"] == "ok" and point.get("gap_hi") is not None:
                    seen += 1
                    assert point["gap_hi"] > -1e-4
    assert seen > 1000
