"""One cell in a process of its own: fit, audit what is yielded, note it at once.

`run_cell` returns nothing; everything it finds is in the spool, because the process may be gone
before it could return.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Generator

from rdbench import registry
from rdbench.fitting import answers
from rdbench.fitting.settings import reseeding
from rdbench.fitting.support import meant
from rdbench.outcomes import one_line
from rdbench.run import points
from rdbench.run.ambient import Ambient, ambient, under
from rdbench.run.budgets import EFFORTS, effort_for, seconds_of, size_of
from rdbench.run.clock import FitClock, noted_in
from rdbench.run.draws import keep
from rdbench.run.guarded import guarded
from rdbench.run.monitor import CellMonitor, TryMonitor
from rdbench.run.plan import Cell, case_of
from rdbench.run.process import is_out_of_memory, lift_memory_limit, set_up
from rdbench.run.records import Cost, PointRecord, TracePoint
from rdbench.run.sealed import seal
from rdbench.run.seeds import seed_for
from rdbench.run.spool import End, Expected, Point, Spent, SpoolWriter, Stage
from rdbench.run.views import Counter, make_view
from rdbench.types import Audited, Case, DualBound, Estimator, Refusal, Status, TestChannel

AuditFunction = Callable[..., Audited]


@dataclass(frozen=True)
class Job:
    """A cell and how to run it; none of the latter is part of its identity."""

    cell: Cell
    spool: Path
    """What it finds; `watch`, `output` and its temporary files are beside it."""
    threads: int = 1
    timeout: float | None = None
    trace: bool = False
    """Whether checkpoints are audited."""
    draws: int = 0
    """How many draws of p(y|x) are kept with every row, for pictures."""
    memory_limit: int | None = None
    """Bytes of data this process may add to what it has; None for no limit."""

    @property
    def watch(self) -> Path:
        """Where the parent reads how long the fit has taken."""
        return self.spool.with_name("watch")

    @property
    def output(self) -> Path:
        """What the cell prints."""
        return self.spool.with_name("output")


def run_cell(job: Job) -> None:
    """Run one cell in this process, which it makes its own (limits, threads, temporary files)."""
    noted_in(job.watch)
    set_up(job.threads, job.memory_limit, job.spool.parent)
    from rdbench.audit import SIZES, audit

    solve(job, audit, SIZES)


def solve(job: Job, audit: AuditFunction, sizes: Any) -> None:
    """Fit and audit; whatever goes wrong is a line of the spool.

    Args:
        job: the cell.
        audit: `rdbench.audit.audit`.
        sizes: budget name -> size of the audit.
    """
    spool = SpoolWriter(job.spool)
    try:
        end = _solve(job, spool, audit, sizes)
    except BaseException as problem:  # SystemExit too: an estimator may not end the worker mutely
        lift_memory_limit()
        spool.write(_failure(problem))
    else:
        spool.write(end)
    finally:
        spool.close()


def _solve(job: Job, spool: SpoolWriter, audit: AuditFunction, sizes: Any) -> End:
    untouched = ambient()  # before anything of an estimator's is imported
    cell = job.cell
    case = case_of(cell)
    rows = {
        beta: points.expected(case, beta, rate)
        # rows that share a slope are copied from this one when the record is composed
        for beta, rate in zip(cell.betas, cell.target_rates, strict=True)
    }
    for row in rows.values():
        spool.write(Expected(row), sync=False)
    estimator = registry.rebuild(cell.estimator, cell.fields, cell.estimator_file)
    return _CellRun(job, case, rows, spool, audit, sizes, untouched).fit(estimator)


def _failure(problem: BaseException) -> End:
    status: Status = "out_of_memory" if is_out_of_memory(problem) else "error"
    return End(status, one_line(problem), "".join(traceback.format_exception(problem)))


class _CellRun:
    """The state that the steps of one cell share."""

    def __init__(
        self,
        job: Job,
        case: Case,
        rows: dict[float, PointRecord],
        spool: SpoolWriter,
        audit: AuditFunction,
        sizes: Any,
        untouched: Ambient,
    ) -> None:
        self.cell = job.cell
        self.case = case
        self.rows = rows
        self.spool = spool
        self.audit = audit
        self.sizes = sizes
        self.draws = job.draws
        self.device = torch.device(job.cell.device)
        self.clock = FitClock(job.timeout)
        # Sealed: the estimator holds the monitor, and this method the problem and the truth.
        look = seal(self.look)
        effort = EFFORTS.get(job.cell.budget, math.nan)  # of seconds: found before the fit
        self.monitor = CellMonitor(effort, self.clock, spool, look, job.trace)
        self.drawn = Counter()
        self.answered: set[float] = set()
        self.untouched = untouched

    def stream(self, *purpose: Any) -> Generator:
        """The generator of one purpose; no two purposes share one."""
        names = (self.cell.suite, self.cell.case, self.cell.seed, *purpose)
        return Generator(device=self.device).manual_seed(seed_for(*names))

    def fit(self, estimator: Estimator) -> End:
        """Take the estimator's answers one by one until it has no more."""
        cell, slopes = self.cell, self.cell.slopes
        view, self.drawn = make_view(
            self.case.problem, estimator.info.needs, self.stream("data"), self.device, cell.n_train
        )
        seconds = seconds_of(cell.budget)
        if seconds is not None:
            self.spool.write(Stage("fit"), sync=False)
            self.monitor.effort = effort_for(seconds, partial(self.try_out, estimator))
        # A lower twin begins from the seed of its upper estimator.
        name = cell.estimator.removesuffix(registry.LOWER)
        own = self.stream(name, reseeding(estimator, cell.fields), "fit")
        faults: list[str] = []
        yielded = 0
        self.spool.write(Stage("fit"), sync=False)
        try:
            with self.clock.running():
                found: Iterator[Any] = answers(estimator, view, slopes, own, self.monitor)
            while not self.clock.expired:
                with self.clock.running():
                    try:
                        answer = next(found)
                    except StopIteration:
                        break
                yielded += 1
                self.spool.write(Stage("audit", len(self.answered) / len(slopes)), sync=False)
                fault = self.take(answer)
                if fault:
                    faults.append(fault)
                if yielded > 2 * len(slopes) + 8:
                    faults.append(f"it yielded {yielded} answers for {len(slopes)} slopes")
                    break
                self.note_cost()
                self.spool.write(Stage("fit", len(self.answered) / len(slopes)), sync=False)
        finally:
            self.clock.stop()
            self.note_cost()
        if faults:
            return End("error", "; ".join(faults)[:500])
        unanswered = len(self.answered) < len(slopes)
        if unanswered and (self.clock.expired or self.monitor.told_to_stop):
            return End("timeout", f"stopped by the time budget after {self.clock.wall_s:.3g} s")
        return End()

    def try_out(self, estimator: Estimator, effort: float) -> None:
        """A fit whose answers are thrown away, on draws of its own."""
        streams = [self.stream(use, "effort", repr(effort)) for use in ("data", "fit")]
        needs, n_train = estimator.info.needs, self.cell.n_train
        view, _ = make_view(self.case.problem, needs, streams[0], self.device, n_train)
        with FitClock(self.clock.timeout).running():  # it, too, is killed at the timeout
            for _ in answers(estimator, view, self.cell.slopes, streams[1], TryMonitor(effort)):
                pass

    def take(self, answer: Any) -> str:
        """Audit and note one answer; return what is wrong with it as a whole, if anything."""
        if not isinstance(answer, (TestChannel, DualBound, Refusal)):
            return f"it yielded a {type(answer).__name__}, not a TestChannel or a Refusal"
        beta = meant(answer.beta, self.cell.slopes)
        if beta is None:
            return f"it yielded beta {answer.beta!r}, which is not among the slopes asked for"
        if beta in self.answered:
            row = points.ended(self.rows[beta], "error", "it yielded this slope twice")
        elif isinstance(answer, Refusal):
            row = self.refused(beta, answer)
        else:
            with under(self.untouched):
                row = self.judged(beta, answer)
        self.answered.add(beta)
        self.rows[beta] = row
        self.spool.write(Point(row))
        return ""

    def refused(self, beta: float, refusal: Refusal) -> PointRecord:
        """The row of a refusal."""
        if refusal.status not in ("unsupported", "not_converged", "error"):
            reason = f"it refused with status {refusal.status!r}: {refusal.reason}"
            return points.ended(self.rows[beta], "error", reason)
        return points.ended(self.rows[beta], refusal.status, refusal.reason)

    def judged(self, beta: float, channel: TestChannel | DualBound) -> PointRecord:
        """The row of a channel or a dual bound: its claim and its audit."""
        blank = self.rows[beta]
        fault = points.fault_of(channel)
        if fault:
            return points.ended(blank, "error", fault)
        row = points.claimed(blank, channel)
        channel = guarded(channel, self.stream(beta, "channel"))
        found: Audited | None = None
        began = time.perf_counter()
        try:
            found = self.audit(
                channel,
                self.case.problem,
                self.case.reference,
                size=self.sizes[size_of(self.cell.budget)],
                generator=self.stream(beta, "audit", 0),
            )
        except Exception as problem:
            status: Status = "out_of_memory" if is_out_of_memory(problem) else "error"
            row = points.ended(row, status, f"audit: {one_line(problem)}"[:500])
        else:
            row = points.audited(row, found, time.perf_counter() - began)
        fault = points.bad_numbers(channel, found) or self.impossible(found)
        if fault and row.status in ("ok", "not_converged"):
            row = points.ended(row, "error", fault)
        if row.status == "ok" and self.monitor.told_to_stop:
            row = points.ended(row, "timeout", "stopped early by the time budget")
        return row if isinstance(channel, DualBound) else self.with_draws(row, beta, channel)

    def impossible(self, found: Audited | None) -> str:
        """The impossible values that were found, in words; empty where there are none."""
        from rdbench.audit.possible import impossibility

        if found is None:
            return ""
        return impossibility(found, self.case.reference, self.case.problem)

    def with_draws(self, row: PointRecord, beta: float, channel: TestChannel) -> PointRecord:
        """The row with its draws; a channel that cannot be drawn from keeps its row as it is."""
        cell = self.cell
        shared = seed_for(cell.suite, cell.case, "draws")
        try:
            found = keep(
                channel,
                self.case.problem,
                self.draws,
                Generator(device=self.device).manual_seed(shared),
                self.stream(beta, cell.estimator, "draws"),
            )
        except Exception:
            return row
        return msgspec.structs.replace(row, draws=found)

    def look(self, channel: TestChannel, wall: float, cpu: float) -> TracePoint:
        """A cheap audit of a checkpoint, on a stream of its own."""
        beta = float(channel.beta)
        try:
            with under(self.untouched):
                found = self.audit(
                    guarded(channel, self.stream(beta, "channel", "trace")),
                    self.case.problem,
                    self.case.reference,
                    size=self.sizes["quick"],
                    generator=self.stream(beta, "trace"),
                )
        except Exception:  # a checkpoint is a look, not a result: it may fail
            found = None
        if found is None or self.impossible(found):
            return TracePoint(beta=beta, wall_s=wall, cpu_s=cpu)
        return TracePoint(
            beta=beta,
            wall_s=wall,
            cpu_s=cpu,
            gap=points.number(found.gap),
            gap_lo=points.number(found.gap_lo),
            gap_hi=points.number(found.gap_hi),
        )

    def note_cost(self) -> None:
        """Write what the fit has consumed so far."""
        cost = Cost(
            wall_s=self.clock.wall_s,
            cpu_s=self.clock.cpu_s,
            peak_rss_mb=self.clock.peak_rss_mb,
            n_source_samples=self.drawn.drawn,
            gradient_steps=self.monitor.gradient_steps,
            n_parameters=self.monitor.parameters,
            effort=self.monitor.effort,
        )
        self.spool.write(Spent(cost), sync=False)
