"""A cell from the inside: streams, clock, views, audits that fail."""

from __future__ import annotations

import importlib
import math
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator

from rdbench import registry
from rdbench.distortions import Hamming
from rdbench.run import clock as clock_module
from rdbench.run.clock import FitClock, noted_in
from rdbench.run.compose import Death, cell_status, compose
from rdbench.run.limits import Limits, over
from rdbench.run.monitor import CellMonitor
from rdbench.run.plan import Cell, make_plan
from rdbench.run.process import is_out_of_memory
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord, PointRecord, TracePoint
from rdbench.run.spool import Spool, SpoolWriter, read_spool
from rdbench.run.views import make_view
from rdbench.run.watch import Reading, read_watch
from rdbench.run.worker import Job, solve
from rdbench.types import Audited, Problem, RdbenchError, TestChannel

CPU = torch.device("cpu")
NO_LUCK = ArithmeticError("no\nluck")


def cell(spec: str = "toy", **changes: Any) -> Cell:
    plan = make_plan([registry.load_suite("toy_coin")], [registry.choose(spec)], **changes)
    return plan.cells[0]


@dataclass
class FakeAudit:
    """Finds a gap and remembers the streams it was given."""

    lagrangian: float = 1.0
    gap: float = 0.25
    fails_at: int | None = None
    failure: Exception = NO_LUCK
    calls: int = 0
    draws: tuple[float, ...] = ()

    def __call__(self, channel: TestChannel, *_: Any, generator: Any, **__: Any) -> Audited:
        self.calls += 1
        self.draws += (float(torch.rand((), generator=generator)),)
        if self.calls == self.fails_at:
            raise self.failure
        f = self.lagrangian
        gap = self.gap if math.isfinite(f) else math.nan
        return Audited(channel.beta, f, f, f, gap, gap, gap, 0.0, "exact", "fake", 1.0)


SIZES = dict.fromkeys(("quick", "default", "full"))


def record_of(folder: Path, audit: FakeAudit, which: Cell) -> CellRecord:
    job = Job(which, folder / "spool.jsonl")
    solve(job, audit, SIZES)
    spool = read_spool(job.spool)
    job.spool.unlink()
    return compose(which, spool, Death(0), Limits(), gather("cpu", 1, 1))


@pytest.mark.usefixtures("plugged")
def test_a_device_without_memory_is_out_of_memory_in_fit_and_audit(tmp_path: Path) -> None:
    record = record_of(tmp_path, FakeAudit(), cell("toy[mode=device_hog]"))
    assert record.status == "out_of_memory"
    assert {p.status for p in record.points} == {"out_of_memory"}
    full = torch.OutOfMemoryError("CUDA out of memory")
    record = record_of(tmp_path, FakeAudit(fails_at=2, failure=full), cell())
    assert record.status == "out_of_memory"
    assert [p.status for p in record.points] == ["ok", "out_of_memory", "ok", "ok"]


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


def test_the_parent_reads_the_clock_and_sees_no_child_of_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "watch"
    assert read_watch(path) is None
    monkeypatch.setattr(clock_module, "_watches", [])
    noted_in(path)
    assert read_watch(path) is not None
    clock = FitClock()
    clock.start()
    first = read_watch(path)
    assert first is not None
    assert (first.fitting, first.before) == (True, 0.0)
    assert 0.0 <= time.monotonic() - first.since < 5.0
    time.sleep(0.01)
    with clock.paused():
        paused = read_watch(path)
    assert paused is not None
    assert not paused.fitting
    again = read_watch(path)
    assert again is not None
    assert again.fitting
    assert again.before == clock._wall >= 0.01
    child = os.fork()
    if child == 0:
        clock.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert read_watch(path) == again


@pytest.mark.parametrize(
    ("reading", "left", "which"),
    [
        (None, 60.0 - 5.0, "rest"),  # nobody has begun since it was handed over
        (Reading(False, 12.0, 2.5), 60.0 - 3.0, "rest"),
        (Reading(True, 12.0, 2.5), 7.0 - 2.5 - 3.0, "fit"),
        (Reading(True, 10.0, 2.5), -0.5, "fit"),
    ],
)
def test_the_limit_that_counts_is_that_of_what_the_cell_does(
    reading: Reading | None, left: float, which: str
) -> None:
    assert Limits(7.0, 60.0).left(reading, 10.0, 15.0) == pytest.approx(left)
    assert over(reading) == which
    if which == "fit":
        assert Limits(None, 60.0).left(reading, 10.0, 15.0) == math.inf


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
def test_a_checkpoint_is_audited_with_the_clock_standing_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0  # seconds, of both kinds: a busy machine decides nothing
    monkeypatch.setattr("rdbench.run.clock._cpu_s", lambda: now)
    monkeypatch.setattr("rdbench.run.clock.time", SimpleNamespace(perf_counter=lambda: now))
    clock = FitClock()
    spool = SpoolWriter(tmp_path / "spool")

    def look(_: TestChannel, wall: float, cpu: float) -> TracePoint:
        nonlocal now
        now += 50.0
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
        now += 0.06
        assert untraced.checkpoint(build)
        assert not built
        assert monitor.checkpoint(build)
        assert clock.wall_s == clock.cpu_s == pytest.approx(0.06)
        assert monitor.checkpoint(build)  # looks are spaced in CPU time
        assert monitor.advance(0.75)
    assert len(built) == 1
    spool.close()
    found = read_spool(tmp_path / "spool")
    assert [t.gap for t in found.trace] == [0.5]
    assert found.stage.done == 0.75


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("death", "status", "says"),
    [
        (Death(-signal.SIGKILL), "crashed", "memory runs out"),
        (Death(-signal.SIGSEGV), "crashed", "SIGSEGV"),
        (Death(-signal.SIGALRM), "crashed", "SIGALRM"),  # the cell's own
        (Death(-signal.SIGKILL, "fit"), "timeout", "killed after 7 s of fitting"),
        (Death(None, "rest"), "timeout", "killed after 60 s during the start"),
        (Death(None), "crashed", "that started it"),
        (Death(0), "crashed", "exit code 0"),
        (Death(3), "crashed", "exit code 3"),
    ],
)
def test_how_a_process_died_is_told(death: Death, status: str, says: str) -> None:
    one = cell()
    record = compose(one, Spool(), death, Limits(7.0, 60.0), gather("cpu", 1, 1))
    assert record.status == status
    assert says in record.reason
    assert record.cost.wall_s == (7.0 if death.over == "fit" else None)
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
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"))
    assert not is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED"))
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
