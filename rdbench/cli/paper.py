"""``rdbench paper``: run what a recipe needs and is not stored, then draw and tell."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console

from rdbench.cli import parse
from rdbench.cli.looks import looks_of
from rdbench.cli.messages import warn
from rdbench.cli.options import PaperOptions
from rdbench.cli.progress import Progress, console, interrupted, list_cells
from rdbench.cli.truth import TruthSources
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


def execute(options: PaperOptions, recipe: Recipe = RECIPE) -> int:
    """Carry the request out and return the exit code.

    Raises:
        RdbenchError: bad input, before anything runs.
    """
    out = console()
    _check(options)
    plans = planned(recipe, full=options.full)
    folder = _results(options)
    held = load(folder) if (folder / RECORDS).exists() else Loaded()
    for line in held.warnings:
        warn(line)
    wanted = {cell.id: cell for plan in plans if plan.runs for cell in plan.cells}
    groups = to_run(plans, held.records)
    missing = [cell for cells in groups.values() for cell in cells]
    # Opened only to be written to: a dry run leaves no file, and from records all may be read-only.
    store = Store(folder) if missing and not options.dry_run else None
    out.print(
        f"{len(wanted)} cells, {len(wanted) - len(missing)} stored already, {len(missing)} to run; "
        f"results in {folder}",
        markup=False,
        soft_wrap=True,
    )
    if options.dry_run:
        list_cells(list(wanted.values()), missing, out)
        for name in experiments.missing(folder):
            out.print(f"experiment {name}  to run", markup=False)
        return 0
    records = held.records
    if store is not None:
        try:
            if not _run(groups, store, options, out):
                return 130
            store.refresh()
            records = store.records
        finally:
            store.close()
    found = find(plans, records.values())
    unfinished = [name for name in wanted if not is_done(records.get(name))]
    complete = _report(found, plans, recipe, options, out)
    return 0 if complete and not unfinished else 1


def _check(options: PaperOptions) -> None:
    parse.one_of("--units", options.units, ("nats", "bits"))
    parse.at_least_one("--jobs", options.jobs)
    parse.at_least_one("--threads", options.threads)
    if options.results is not None and not load(options.results).records:
        raise RdbenchError(
            f"no records in {options.results / RECORDS}; leave --results out to start from nothing"
        )
    if options.out.exists() and not options.out.is_dir():
        raise RdbenchError(f"cannot write in --out {options.out}: it is a file; give a folder")
    if options.dry_run:
        return
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=options.out):
            pass
    except OSError as problem:
        why = problem.strerror or problem
        raise RdbenchError(f"cannot write in --out {options.out}: {why}") from problem


def _results(options: PaperOptions) -> Path:
    return options.out / "records" if options.results is None else options.results


def _run(groups: dict[int, list[Cell]], store: Store, options: PaperOptions, out: Console) -> bool:
    """Run the cells, those that keep more draws last; False where it was interrupted."""
    provenance = gather("cpu", options.threads, options.jobs)
    cells = [cell for draws in sorted(groups) for cell in groups[draws]]
    progress = Progress(cells, options.jobs, options.units, out)
    try:
        with progress:
            for draws in sorted(groups):
                settings = Settings(
                    provenance, options.jobs, options.threads, TIMEOUT_S, draws=draws
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
    options: PaperOptions,
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

    units, folder = options.units, options.out
    looks = looks_of([record for one in found for record in one.records])
    sheets = [
        *(part_table(one, units) for one in found if any(one.part.name == p.name
          for p in recipe.parts)),
        *settings_tables(found, recipe, shared_slopes(plans), units, full=options.full),
    ]  # fmt: skip
    pictures = (
        attempt("figures", lambda: save_figures(found, folder, looks, units, TruthSources())) or []
    )
    pictures += attempt("side by side", lambda: side_by_side(found, folder, looks, units)) or []

    def tell(line: str) -> None:
        out.print(line, markup=False, soft_wrap=True)

    torch.set_num_threads(options.threads)  # the experiments run here, in no process of their own
    kept = _results(options)
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
        command=_command(options),
        units=units,
        warnings=tuple(problems),
    )
    text = save_text(page(material), folder / "README.md")
    for line in problems:
        warn(f"not made: {line}")
    tell(f"{len(pictures) + len(tables) + len(numbers) + 1} files in {folder}; read {text}")
    return not problems


def _command(options: PaperOptions) -> str:
    words = ["rdbench", "paper", "--out", str(options.out)]
    words += ["--results", str(options.results)] if options.results is not None else []
    words += ["--full"] if options.full else []
    words += ["--units", options.units] if options.units != "nats" else []
    return shlex.join(words)
