"""``rdbench run``: check everything, run what is missing, show what was found."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rdbench import cli_parse as parse
from rdbench import registry
from rdbench.run.plan import BUDGETS, Cell, Plan, make_plan
from rdbench.run.plan import shard as take_shard
from rdbench.run.pool import InFlight, Settings, is_done, run_cells
from rdbench.run.progress import Forecast, clock, outcome
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord
from rdbench.run.store import Store
from rdbench.types import RdbenchError

if TYPE_CHECKING:
    from rdbench.report.style import Look


@dataclass(frozen=True)
class Request:
    """The options of ``rdbench run`` as they were typed."""

    suite: str
    dims: str | None
    estimators: str | None
    seeds: str
    rates: str | None
    betas: str | None
    budget: str
    cases: str | None
    n_train: int | None
    jobs: int
    threads: int
    timeout: float
    device: str
    results: Path
    fresh: bool
    trace: bool
    draws: int
    retry: bool
    dry_run: bool
    shard: str | None
    units: str


def execute(request: Request) -> int:
    """Carry the request out and return the exit code.

    Raises:
        RdbenchError: bad input, before anything runs.
    """
    # in a file or a pipe nothing is cut to the width of a screen
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    plan = _plan(request)
    cells = list(plan.cells)
    if request.shard is not None:
        cells = take_shard(cells, *parse.shard(request.shard))
    store = Store(request.results)
    for line in store.warnings:
        _warn(line)
    for line in plan.notes:
        print(f"rdbench: note: {line}", file=sys.stderr)
    missing = [
        cell
        for cell in cells
        if request.fresh or not is_done(store.records.get(cell.id), retry=request.retry)
    ]
    out.print(
        f"{len(cells)} cells, {len(cells) - len(missing)} stored already, {len(missing)} to run; "
        f"results in {request.results}",
        markup=False,
        soft_wrap=True,
    )
    untraced = sum(not store.records[c.id].trace for c in cells if c not in missing)
    if request.trace and untraced:
        print(
            f"rdbench: note: {untraced} of the stored cells have no trace; --fresh runs them again",
            file=sys.stderr,
        )
    if request.dry_run:
        _list_cells(cells, {cell.id for cell in missing}, out)
        return 0
    if missing:
        settings = Settings(
            gather(request.device, request.threads, request.jobs),
            request.jobs,
            request.threads,
            request.timeout,
            request.trace,
            request.draws,
        )
        reporter = _Reporter(missing, request.jobs, request.units, out)
        try:
            with reporter:
                run_cells(missing, store, settings, reporter)
        except KeyboardInterrupt:
            print(
                f"rdbench: interrupted, {reporter.count} of {len(missing)} cells done and kept; "
                "the same command goes on from there",
                file=sys.stderr,
            )
            return 130
    store.refresh()
    records = [store.records[cell.id] for cell in cells if cell.id in store.records]
    store.close()
    _show(records, request, out)
    return 0 if all(is_done(record) for record in records) else 1


def _plan(request: Request) -> Plan:
    if request.rates is not None and request.betas is not None:
        raise RdbenchError("give --rates or --betas, not both")
    parse.one_of("--budget", request.budget, tuple(BUDGETS))
    parse.one_of("--units", request.units, ("nats", "bits"))
    parse.at_least_one("--jobs", request.jobs)
    parse.at_least_one("--threads", request.threads)
    if request.draws < 0:
        raise RdbenchError(f"--draws takes a number of draws, 0 or more, got {request.draws}")
    if request.n_train is not None:
        parse.at_least_one("--n-train", request.n_train)
    if not (math.isfinite(request.timeout) and request.timeout > 0.0):
        raise RdbenchError(f"--timeout takes a positive number of seconds, got {request.timeout}")
    _check_device(request.device)
    if request.shard is not None:
        parse.shard(request.shard)
    dims = None if request.dims is None else parse.integers("--dims", request.dims, 1)
    seeds = parse.integers("--seeds", request.seeds, 0)
    rates = None if request.rates is None else parse.positive_numbers("--rates", request.rates)
    betas = None if request.betas is None else parse.positive_numbers("--betas", request.betas)
    return make_plan(
        registry.load_suites(request.suite),
        registry.choose_all(request.estimators),
        dims=dims,
        cases=request.cases,
        seeds=seeds,
        rates=rates,
        betas=betas,
        budget=request.budget,
        n_train=request.n_train,
        device=request.device,
    )


def _check_device(device: str) -> None:
    parse.one_of("--device", device, ("cpu", "cuda"))
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise RdbenchError("--device cuda: torch finds no CUDA device here; valid: cpu")


def _list_cells(cells: Sequence[Cell], missing: set[str], out: Console) -> None:
    for cell in cells:
        state = "to run" if cell.id in missing else "stored"
        slopes = f"{len(cell.betas)} slope{'s' if len(cell.betas) > 1 else ''}"
        out.print(f"{cell.id}  {state}  {cell.title}  {slopes}", markup=False, soft_wrap=True)


class _Reporter:
    """Progress: one live line on a terminal, plain lines elsewhere."""

    def __init__(self, cells: Sequence[Cell], jobs: int, units: str, out: Console) -> None:
        self.count = 0
        self._total = len(cells)
        self._forecast = Forecast(cells, jobs)
        self._units = units
        self._per_nat = 1.0 if units == "nats" else 1.0 / math.log(2.0)
        self._out = out
        self._began = time.perf_counter()
        self._live = Live(console=out, transient=True, auto_refresh=False)

    def __enter__(self) -> _Reporter:
        if self._out.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._out.is_terminal:
            self._live.stop()

    def finished(self, cell: Cell, record: CellRecord, seconds: float | None) -> None:
        """Print one cell."""
        self.count += 1
        self._forecast.done(cell, seconds)
        words = outcome(record, self._per_nat, self._units)
        if seconds is None:
            words += " (by another run)"
        head = self._head([])
        self._out.print(f"{head}  {cell.title}: {words}", markup=False, soft_wrap=True)

    def tick(self, in_flight: Sequence[InFlight]) -> None:
        """Renew the live line."""
        if not self._out.is_terminal:
            return
        now = time.perf_counter()
        flying = [(flight, now - flight.since) for flight in in_flight]
        current = ", ".join(
            f"{flight.cell.title} ({flight.stage.name} {flight.stage.done:.0%}, {clock(took)})"
            for flight, took in flying
        )
        text = Text(f"{self._head(flying)}  {current}", no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)

    def _head(self, flying: Sequence[tuple[InFlight, float]]) -> str:
        left = self._forecast.left_s(flying)
        return (
            f"[{self.count}/{self._total}] elapsed {clock(time.perf_counter() - self._began)}, "
            f"left {'?' if left is None else '~' + clock(left)}"
        )


def _show(records: Sequence[CellRecord], request: Request, out: Console) -> None:
    """Table and picture; nothing that goes wrong here may cost the run, which is stored."""
    try:
        from rdbench.report.tables import print_summary

        print_summary(records, request.units, out)
    except Exception as problem:
        _warn(f"no table: {type(problem).__name__}: {problem}")
    try:
        from rdbench.report.figures import save_run_figures

        folder = request.results / "figures"
        for path in save_run_figures(records, folder, request.units, _looks(records)):
            out.print(f"picture: {path}", markup=False, soft_wrap=True)
    except Exception as problem:
        _warn(f"no picture: {type(problem).__name__}: {problem}")


def _looks(records: Sequence[CellRecord]) -> dict[str, Look]:
    """The colours and markers that the estimators ask for."""
    from rdbench.report.style import Look

    names = sorted({record.estimator for record in records})
    infos = {name: registry.load_estimator(name).info for name in names}
    return {name: Look(info.colour, info.marker) for name, info in infos.items()}


def _warn(line: str) -> None:
    print(f"rdbench: warning: {' '.join(line.split())}", file=sys.stderr)
