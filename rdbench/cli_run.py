"""``rdbench run``: check everything, run what is missing, show what was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from rdbench import cli_parse as parse
from rdbench import registry
from rdbench.cli_progress import (
    Progress,
    console,
    interrupted,
    list_cells,
    looks_of,
    note,
    warn,
)
from rdbench.cli_truth import TruthSources
from rdbench.run.plan import BUDGETS, Plan, make_plan
from rdbench.run.plan import shard as take_shard
from rdbench.run.pool import Settings, is_done, run_cells
from rdbench.run.provenance import gather
from rdbench.run.records import CellRecord
from rdbench.run.store import Store
from rdbench.types import RdbenchError


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
    out = console()
    plan = _plan(request)
    cells = list(plan.cells)
    if request.shard is not None:
        cells = take_shard(cells, *parse.shard(request.shard))
    store = Store(request.results)
    for line in store.warnings:
        warn(line)
    for line in plan.notes:
        note(line)
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
        note(f"{untraced} of the stored cells have no trace; --fresh runs them again")
    if request.dry_run:
        list_cells(cells, missing, out)
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
        progress = Progress(missing, request.jobs, request.units, out)
        try:
            with progress:
                run_cells(missing, store, settings, progress)
        except KeyboardInterrupt:
            return interrupted(progress.count, len(missing))
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


def _show(records: Sequence[CellRecord], request: Request, out: Console) -> None:
    """Table and picture; nothing that goes wrong here may cost the run, which is stored."""
    try:
        from rdbench.report.tables import print_summary

        print_summary(records, request.units, out)
    except Exception as problem:
        warn(f"no table: {type(problem).__name__}: {problem}")
    try:
        from rdbench.report.figures import save_run_figures

        saved = save_run_figures(
            records,
            request.results / "figures",
            request.units,
            looks_of(records),
            TruthSources(),
            variants(request),
        )
        for path in saved:
            out.print(f"picture: {path}", markup=False, soft_wrap=True)
    except Exception as problem:
        warn(f"no picture: {type(problem).__name__}: {problem}")


def variants(request: Request) -> dict[str, str]:
    """By suite, the options that set this run apart from one of the suite as it is.

    They are part of the names of the pictures, so that no run replaces the picture of another.
    """
    rates = None if request.rates is None else parse.positive_numbers("--rates", request.rates)
    betas = None if request.betas is None else parse.positive_numbers("--betas", request.betas)
    dims = None if request.dims is None else parse.integers("--dims", request.dims, 1)
    seeds = parse.integers("--seeds", request.seeds, 0)
    found = {}
    for suite in registry.load_suites(request.suite):
        options = {
            "dims": _listed(None if dims and tuple(dims) == suite.default_dims else dims),
            "cases": request.cases,
            "estimators": request.estimators if request.estimators != "all" else None,
            "rates": _listed(rates),
            "betas": _listed(betas),
            "seeds": _listed(None if seeds == [0] else seeds),
            "n-train": request.n_train,
            "budget": request.budget if request.budget != "default" else None,
            "device": request.device if request.device != "cpu" else None,
            "shard": request.shard,
            "units": request.units if request.units != "nats" else None,
        }
        found[suite.name] = "-".join(f"{k}={v}" for k, v in options.items() if v is not None)
    return found


def _listed(values: Sequence[float] | None) -> str | None:
    return None if values is None else ",".join(f"{value:.12g}" for value in values)
