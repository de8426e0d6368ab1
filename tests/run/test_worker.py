"""A cell from the inside: streams, clock, views, audits that fail."""

from __future__ import annotations

import importlib
import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pebble import ProcessExpired
from torch import Generator

from rdbench import registry
from rdbench.distortions import Hamming
from rdbench.run.clock import FitClock
from rdbench.run.compose import cell_status, compose
from rdbench.run.monitor import CellMonitor
from rdbench.run.plan import Cell, make_plan
from rdbench.run.process import is_out_of_memory
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord, PointRecord, TracePoint
from rdbench.run.spool import Spool, SpoolWriter, read_spool
from rdbench.run.views import make_view
from rdbench.run.worker import Job, solve
from rdbench.types import Audited, Problem, RdbenchError, TestChannel

CPU = torch.device("cpu")


def cell(spec: str = "toy", **changes: Any) -> Cell:
    plan = make_plan([registry.load_suite("toy_coin")], [registry.choose(spec)], **changes)
    return plan.cells[0]


@dataclass
class FakeAudit:
    """Finds a gap and remembers the streams it was given."""

    lagrangian: float = 1.0
    gap: float = 0.25
    fails_at: int | None = None
    calls: int = 0
    draws: tuple[float, ...] = ()

    def __call__(self, channel: TestChannel, *_: Any, generator: Any, **__: Any) -> Audited:
        self.calls += 1
        self.draws += (float(torch.rand((), generator=generator)),)
        if self.calls == self.fails_at:
            raise ArithmeticError("no\nluck")
        f = self.lagrangian
        gap = self.gap if math.isfinite(f) else math.nan
        return Audited(channel.beta, f, f, f, gap, gap, gap, 0.0, "exact", "fake", 1.0)


SIZES = dict.fromkeys(("quick", "default", "full"))


def record_of(folder: Path, audit: FakeAudit, which: Cell) -> CellRecord:
    job = Job(which, folder / "spool.jsonl")
    solve(job, audit, SIZES)
    spool = read_spool(job.spool)
    job.spool.unlink()
    return compose(which, spool, None, None, gather("cpu", 1, 1))


@pytest.mark.usefixtures("plugged")
def test_an_audit_that_fails_is_the_error_of_that_slope_alone(tmp_path: Path) -> None:
    record = record_of(tmp_path, FakeAudit(fails_at=2), cell())
    assert [p.status for p in record.points] == ["ok", "error", "ok", "ok"]
    bad = record.points[1]
    assert bad.reason == "audit: ArithmeticError: no luck"
    assert bad.claimed_rate is not None  # the claim is kept
    assert record.status == "error"


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("audit", "says"),
    [
        (FakeAudit(lagrangian=math.nan), "audited Lagrangian is nan"),
        (FakeAudit(lagrangian=math.inf), "audited Lagrangian is inf"),
        (FakeAudit(gap=-5.6), "impossible: F(q) is below F*: the gap is at most -5.6 nats"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_channel_can_have_is_an_error(tmp_path: Path, audit: FakeAudit, says: str) -> None:
    record = record_of(tmp_path, audit, cell())
    assert record.status == "error"
    assert {p.status for p in record.points} == {"error"}
    assert says in record.reason
    if audit.gap < 0.0:
        assert {p.gap for p in record.points} == {-5.6}  # its numbers are kept


@pytest.mark.usefixtures("plugged")
def test_the_audit_stream_is_of_the_slope_and_the_seed_not_of_the_estimator(
    tmp_path: Path,
) -> None:
    def draws(spec: str, seed: int) -> tuple[float, ...]:
        audit = FakeAudit()
        record_of(tmp_path, audit, cell(spec, seeds=[seed]))
        return audit.draws

    first = draws("toy", 0)
    assert len(set(first)) == 4
    assert draws("toy[draws=50]", 0) == first
    assert set(draws("toy", 1)).isdisjoint(first)


@dataclass(frozen=True)
class Line:
    """Uniform draws, or none that is a number."""

    broken: bool = False
    name: str = "line"
    dim: int = 1

    def sample(self, n: int, generator: Generator) -> torch.Tensor:
        draws = torch.rand(n, 1, generator=generator, dtype=torch.float64)
        return draws * torch.nan if self.broken else draws


def view_of(source: Any, *needs: Any, n_train: int | None = None) -> Any:
    stream = Generator().manual_seed(3)
    return make_view(Problem(source, Hamming()), frozenset(needs), stream, CPU, n_train)


def test_draws_that_are_no_numbers_are_told_in_one_line() -> None:
    view, _ = view_of(Line(broken=True))
    with pytest.raises(RdbenchError, match="not finite"):
        view.sample(2)
    with pytest.raises(RdbenchError, match="not finite"):
        view_of(Line(broken=True), n_train=3)


@pytest.mark.usefixtures("plugged")
def test_a_view_shows_nothing_but_what_is_granted() -> None:
    source = importlib.import_module("toy_plugin").Coin()
    view, counter = view_of(source)
    assert (view.log_prob, view.support, view.pmf) == (None, None, None)
    assert view.sample(5).shape == (5, 1)
    view.sample(2)
    assert counter.drawn == 7
    granted, _ = view_of(source, "support")
    assert granted.support.tolist() == source.support.tolist()


def test_a_fixed_training_set_is_all_there_is() -> None:
    view, counter = view_of(Line(), "density", n_train=20)
    assert len(set(view.sample(500).flatten().tolist())) == 20
    assert counter.drawn == 20
    assert view.n_train == 20
    assert view.log_prob is None  # asked for, but this source has none


def test_the_clock_counts_only_while_it_runs() -> None:
    clock = FitClock()
    time.sleep(0.05)
    assert clock.wall_s == 0.0
    with clock.running():
        block = torch.ones(256 << 20, dtype=torch.uint8)  # touched while it runs
        with clock.paused():
            peak = clock.peak_rss_mb
            before = clock.wall_s
            time.sleep(1.0)
            assert clock.wall_s == before
        del block
    small = FitClock()
    with small.running():
        pass
    assert clock.wall_s < 1.0 + before  # the pause was not counted
    assert peak - small.peak_rss_mb > 20.0  # the peak is of the segment, not of the life-time


def test_the_deadline_is_armed_only_while_the_clock_runs() -> None:
    clock = FitClock(timeout=50.0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    with clock.running():
        assert 40.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50.0
        with clock.paused():
            assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0


def test_the_clock_is_spent_shortly_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = FitClock(timeout=10.0)
    clock.start()
    answers = []
    for now[0] in (8.9, 9.1, 10.1):
        answers.append((clock.spent, clock.expired))
    clock.stop()
    assert answers == [(False, False), (True, False), (True, True)]


@pytest.mark.usefixtures("plugged")
def test_a_checkpoint_is_audited_with_the_clock_standing_still(tmp_path: Path) -> None:
    clock = FitClock()
    spool = SpoolWriter(tmp_path / "spool")

    def look(_: TestChannel, wall: float, cpu: float) -> TracePoint:
        time.sleep(0.05)
        return TracePoint(beta=1.0, wall_s=wall, cpu_s=cpu, gap=0.5)

    monitor = CellMonitor(0.25, clock, spool, look, traced=True)
    untraced = CellMonitor(0.25, clock, spool, look)
    plugin = importlib.import_module("toy_plugin")
    points = torch.zeros(1, 1, dtype=torch.float64)
    channels: Sequence[TestChannel] = [plugin.two_atoms(1.0, points, 1.0)]
    assert monitor.effort == 0.25
    built = []

    def build() -> Sequence[TestChannel]:
        built.append(clock.wall_s)
        return channels

    with clock.running():
        assert monitor.checkpoint(build)  # too early: nobody looks
        assert not built
        end = time.process_time() + 0.06
        while time.process_time() < end:
            pass
        assert untraced.checkpoint(build)
        assert not built
        before = clock.wall_s
        assert monitor.checkpoint(build)
        assert clock.wall_s < before + 0.05
        assert monitor.checkpoint(build)  # looks are spaced in CPU time
        assert monitor.advance(0.75)
    assert len(built) == 1
    spool.close()
    found = read_spool(tmp_path / "spool")
    assert [t.gap for t in found.trace] == [0.5]
    assert found.stage.done == 0.75


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        (-signal.SIGKILL, "crashed", "memory runs out"),
        (-signal.SIGSEGV, "crashed", "SIGSEGV"),
        (-signal.SIGALRM, "timeout", "killed after 7 s"),
        (0, "crashed", "exit code 0"),
        (3, "crashed", "exit code 3"),
    ],
)
def test_how_a_process_died_is_told(code: int, status: str, says: str) -> None:
    one, expired = cell(), cast(Any, ProcessExpired)
    record = compose(one, Spool(), expired("gone", code=code), 7.0, gather("cpu", 1, 1))
    assert record.status == status
    assert says in record.reason
    assert [p.beta for p in record.points] == list(one.betas)
    assert {p.status for p in record.points} == {status}


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        (["ok", "unsupported", "not_converged"], "ok"),
        (["unsupported", "not_converged"], "not_converged"),
        (["unsupported", "unsupported"], "unsupported"),
        (["ok", "error"], "error"),
        (["ok", "error", "timeout", "crashed"], "crashed"),
        (["timeout", "out_of_memory"], "out_of_memory"),
    ],
)
def test_the_status_of_a_cell(rows: list[Any], status: str) -> None:
    points = [PointRecord(beta=float(i), status=s) for i, s in enumerate(rows)]
    assert cell_status(points) == status


def test_memory_errors_are_known_by_type_and_by_torchs_words() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
