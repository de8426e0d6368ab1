"""``rdbench paper``: run what a recipe needs and is not stored, then draw and tell."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console

from rdbench import cli_parse as parse
from rdbench.cli_progress import Progress, console, interrupted, list_cells, looks_of, warn
from rdbench.cli_truth import TruthSources
from rdbench.paper import experiments
from rdbench.paper.cells import Found, Planned, find, planned, to_run
from rdbench.paper.figures import save_figures, side_by_side
from rdbench.paper.findings import findings
from rdbench.paper.output import save_numbers, save_tables, save_text
from rdbench.paper.page import Material, page
from rdbench.paper.side_by_side import shared_slopes
from rdbench.paper.side_by_side import side_by_side as settings_tables
from rdbench.paper.tables import NOTES, part_table
from rdbench.run.plan import Cell
from rdbench.run.pool import Settings, is_done, run_cells
from rdbench.run.provenance import gather
from rdbench.run.store import RECORDS, Loaded, Store, load
from rdbench.suites._recipe import Recipe
from rdbench.suites.paper import RECIPE
from rdbench.types import RdbenchError

TIMEOUT_S = 3600.0
"""Of fitting, per cell, as in `rdbench run`."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Request:
    """The options of ``rdbench paper`` as they were typed."""

    out: Path
    results: Path | None
    full: bool
    jobs: int
    threads: int
    dry_run: bool
    units: str


def execute(request: Request, recipe: Recipe = RECIPE) -> int:
    """Carry the request out and return the exit code.

    Raises:
        RdbenchError: bad input, before anything runs.
    """
    out = console()
    _check(request)
    plans = planned(recipe, full=request.full)
    folder = _results(request)
    held = load(folder) if (folder / RECORDS).exists() else Loaded()
    for line in held.warnings:
        warn(line)
    wanted = {cell.id: cell for plan in plans if plan.runs for cell in plan.cells}
    groups = to_run(plans, held.records)
    missing = [cell for cells in groups.values() for cell in cells]
    # Opened only to be written to: a dry run leaves no file, and from records all may be read-only.
    store = Store(folder) if missing and not request.dry_run else None
    out.print(
        f"{len(wanted)} cells, {len(wanted) - len(missing)} stored already, {len(missing)} to run; "
        f"results in {folder}",
        markup=False,
        soft_wrap=True,
    )
    if request.dry_run:
        list_cells(list(wanted.values()), missing, out)
        for name in experiments.missing(folder):
            out.print(f"experiment {name}  to run", markup=False)
        return 0
    records = held.records
    if store is not None:
        try:
            if not _run(groups, store, request, out):
                return 130
            store.refresh()
            records = store.records
        finally:
            store.close()
    found = find(plans, records.values())
    unfinished = [name for name in wanted if not is_done(records.get(name))]
    complete = _report(found, plans, recipe, request, out)
    return 0 if complete and not unfinished else 1


def _check(request: Request) -> None:
    parse.one_of("--units", request.units, ("nats", "bits"))
    parse.at_least_one("--jobs", request.jobs)
    parse.at_least_one("--threads", request.threads)
    if request.results is not None and not load(request.results).records:
        raise RdbenchError(
            f"no records in {request.results / RECORDS}; leave --results out to start from nothing"
        )
    if request.out.exists() and not request.out.is_dir():
        raise RdbenchError(f"cannot write in --out {request.out}: it is a file; give a folder")
    if request.dry_run:
        return
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=request.out):
            pass
    except OSError as problem:
        why = problem.strerror or problem
        raise RdbenchError(f"cannot write in --out {request.out}: {why}") from problem


def _results(request: Request) -> Path:
    return request.out / "records" if request.results is None else request.results


def _run(groups: dict[int, list[Cell]], store: Store, request: Request, out: Console) -> bool:
    """Run the cells, those that keep more draws last; False where it was interrupted."""
    provenance = gather("cpu", request.threads, request.jobs)
    cells = [cell for draws in sorted(groups) for cell in groups[draws]]
    progress = Progress(cells, request.jobs, request.units, out)
    try:
        with progress:
            for draws in sorted(groups):
                settings = Settings(
                    provenance, request.jobs, request.threads, TIMEOUT_S, draws=draws
                )
                run_cells(groups[draws], store, settings, progress)
    except KeyboardInterrupt:
        interrupted(progress.count, len(cells))
        return False
    return True


def _report(
    found: Sequence[Found],
    plans: Sequence[Planned],
    recipe: Recipe,
    request: Request,
    out: Console,
) -> bool:
    """Write everything; what cannot be made is told, costs nothing else, and gives False."""
    problems: list[str] = []

    def attempt(what: str, make: Callable[[], Made]) -> Made | None:
        try:
            return make()
        except (RdbenchError, KeyboardInterrupt):
            raise
        except Exception as problem:
            problems.append(f"{what}: {type(problem).__name__}: {problem}")
            return None

    units, folder = request.units, request.out
    looks = looks_of([record for one in found for record in one.records])
    sheets = [
        *(part_table(one, units) for one in found if any(one.part.name == p.name
          for p in recipe.parts)),
        *settings_tables(found, recipe, shared_slopes(plans), units, full=request.full),
    ]  # fmt: skip
    pictures = (
        attempt("figures", lambda: save_figures(found, folder, looks, units, TruthSources())) or []
    )
    pictures += attempt("side by side", lambda: side_by_side(found, folder, looks, units)) or []

    def tell(line: str) -> None:
        out.print(line, markup=False, soft_wrap=True)

    torch.set_num_threads(request.threads)  # the experiments run here, in no process of their own
    kept = _results(request)
    ran = attempt("experiments", lambda: experiments.run_experiments(kept, 0, tell, warn=warn))
    said: list[str] = []
    if ran is not None:
        pictures += attempt("experiments", lambda: experiments.save(ran, folder, units)) or []
        said = experiments.findings(ran)
    tables = save_tables(sheets, recipe.title, folder, common=NOTES)
    numbers = save_numbers(found, folder)
    material = Material(
        recipe=recipe,
        found=tuple(found),
        findings=tuple(findings(recipe, found, units)),
        sheets=tuple(sheets),
        experiments=tuple(said),
        pictures=tuple(pictures),
        command=_command(request),
        units=units,
        warnings=tuple(problems),
    )
    text = save_text(page(material), folder / "README.md")
    for line in problems:
        warn(f"not made: {line}")
    tell(f"{len(pictures) + len(tables) + len(numbers) + 1} files in {folder}; read {text}")
    return not problems


def _command(request: Request) -> str:
    words = ["rdbench", "paper", "--out", str(request.out)]
    words += ["--results", str(request.results)] if request.results is not None else []
    words += ["--full"] if request.full else []
    words += ["--units", request.units] if request.units != "nats" else []
    return shlex.join(words)
