"""Several target rates with one slope: the estimator is asked once, every rate has its row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from rdbench import registry
from rdbench.audit import SIZES, audit
from rdbench.distortions import TableDistortion
from rdbench.run.compose import Death, compose
from rdbench.run.ladders import merged
from rdbench.run.limits import Limits
from rdbench.run.plan import Cell, make_plan
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord
from rdbench.run.spool import read_spool
from rdbench.run.worker import Job, solve
from rdbench.sources.finite import bernoulli
from rdbench.types import Bracket, Case, OutOfRange, Problem, Suite, TruthPoint

LOG2 = math.log(2.0)
INF = math.inf


@dataclass(frozen=True)
class Erasures:
    """R(D) = (1 - D) log 2: one slope for all rates, told with the last digits in doubt."""

    kind: ClassVar[str] = "closed form"
    citation: str = "by hand"
    validity: str = "every beta > 0"

    def point(self, beta: float) -> TruthPoint:
        if not beta > 0.0:
            raise OutOfRange("beta must be positive")
        f = Bracket.exact(min(beta, LOG2))
        return TruthPoint(beta, f, Bracket(0.0, LOG2), Bracket(0.0, 1.0))

    def rate(self, distortion: float) -> Bracket:
        return Bracket.exact(max(0.0, 1.0 - distortion) * LOG2)

    def slope(self, rate: float) -> float:
        if not 0.0 < rate < LOG2:
            raise OutOfRange("no such rate")
        return LOG2 * (1.0 + 1e-12 * rate)


PROBLEM = Problem(
    bernoulli(0.5),
    TableDistortion([[0.0, INF, 1.0], [INF, 0.0, 1.0]]),  # type: ignore[arg-type]
)
CASE = Case("erasures", PROBLEM, Erasures(), (0.1, 0.3, 0.5))
SUITE = Suite("straight", 1, "a straight line", lambda _: (CASE,))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load_suite", lambda name: SUITE)


def plan_of(**how: object) -> Cell:
    choice = registry.choose("blahut_arimoto")
    return make_plan([SUITE], [choice], **how).cells[0]  # type: ignore[arg-type]


def record_of(folder: Path, cell: Cell, calls: list[float]) -> CellRecord:
    def counted(channel, *rest, **more):
        calls.append(channel.beta)
        return audit(channel, *rest, **more)

    job = Job(cell, folder / "spool.jsonl")
    solve(job, counted, SIZES)
    return compose(cell, read_spool(job.spool), Death(0), Limits(), gather("cpu", 1, 1))


def test_every_target_rate_has_its_row(tmp_path: Path) -> None:
    """It said that the slope was yielded twice, exit code 1."""
    cell = plan_of(budgets=["quick"])
    assert cell.target_rates == (0.1, 0.3, 0.5)
    assert len(cell.slopes) == 1
    calls: list[float] = []
    record = record_of(tmp_path, cell, calls)
    assert record.status == "ok"
    assert [row.target_rate for row in record.points] == [0.1, 0.3, 0.5]
    assert [row.status for row in record.points] == ["ok"] * 3
    assert len(calls) == 1  # audited once
    first = record.points[0]
    assert first.gap == pytest.approx(0.0, abs=1e-7)
    assert {(row.beta, row.gap, row.rate) for row in record.points} == {
        (first.beta, first.gap, first.rate)
    }


def test_a_straight_piece_beside_another_slope(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Erasures, "slope", lambda self, rate: LOG2 if rate < 0.4 else 2.0)
    cell = plan_of(budgets=["quick"])
    assert cell.betas == (LOG2, LOG2, 2.0)
    assert cell.slopes == (LOG2, 2.0)
    calls: list[float] = []
    record = record_of(tmp_path, cell, calls)
    assert [row.target_rate for row in record.points] == [0.1, 0.3, 0.5]
    assert [row.beta for row in record.points] == [LOG2, LOG2, 2.0]
    assert len(calls) == 2
    assert record.points[2].rate == pytest.approx(LOG2, abs=1e-6)


def test_rows_that_share_a_slope_are_part_of_the_identity() -> None:
    assert plan_of(rates=[0.1, 0.3]).id != plan_of(rates=[0.1, 0.5]).id
    assert plan_of(rates=[0.3, 0.1, 0.3]).id == plan_of(rates=[0.1, 0.3]).id


@pytest.mark.parametrize("betas", [[0.5, 0.5, 2.0], [0.5, 0.5 * (1.0 + 1e-12), 2.0]])
def test_slopes_given_twice_are_run_once(tmp_path: Path, betas: list[float]) -> None:
    cell = plan_of(betas=betas, budgets=["quick"])
    assert cell.betas == (0.5, 2.0)
    calls: list[float] = []
    record = record_of(tmp_path, cell, calls)
    assert [row.status for row in record.points] == ["ok", "ok"]
    assert len(calls) == 2


def test_merged_slopes() -> None:
    """Slopes that float32 could not tell apart are one, the least of them; all others stay."""
    near = 3.0 * (1.0 + 1e-9)
    assert merged([near, 1.0, 3.0, 2.0]) == [3.0, 1.0, 3.0, 2.0]
    assert merged([0.0, 1e-300, 1.0, 1.0 + 2e-6]) == [0.0, 1e-300, 1.0, 1.0 + 2e-6]
    # a chain of close slopes does not run away
    chain = [1.0 + 6e-7 * i for i in range(5)]
    assert merged(chain) == [chain[0], chain[0], chain[2], chain[2], chain[4]]
