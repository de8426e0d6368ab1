"""``rdbench paper``: run the cells of papers that are not stored, then draw and compare."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from rdbench.cli import parse
from rdbench.cli.looks import looks_of
from rdbench.cli.messages import warn
from rdbench.cli.options import PaperOptions
from rdbench.cli.progress import Progress, announce, console, interrupted
from rdbench.cli.truth import TruthSources
from rdbench.report.files import write_whole
from rdbench.reproduce import paper as papers
from rdbench.reproduce.across import Compared, across, counts
from rdbench.reproduce.cells import Planned, find, planned, to_run
from rdbench.reproduce.figures import draw_curves, draw_settings
from rdbench.reproduce.files import save_numbers, save_tables
from rdbench.reproduce.numbers import read_elsewhere
from rdbench.reproduce.page import Material, page
from rdbench.reproduce.paper import Drawing, Found, Paper
from rdbench.reproduce.published import compare, sheet
from rdbench.reproduce.settings import SIDE_BY_SIDE, settings_tables
from rdbench.reproduce.tables import NOTES, part_table
from rdbench.run.plan import Cell
from rdbench.run.pool import Settings, is_done, run_cells
from rdbench.run.provenance import gather
from rdbench.run.store import RECORDS, Loaded, Store, load
from rdbench.types import RdbenchError

TIMEOUT_S = 3600.0
"""Of fitting, per cell, as in `rdbench run`; four times as long with ``--run-all``."""

INTERRUPTED = 130


def execute(options: PaperOptions) -> int:
    """Carry the request out and return the exit code.

    Raises:
        RdbenchError: bad input, before anything runs.
    """
    names = papers.names() if options.name in (None, "all") else [str(options.name)]
    chosen = {name: papers.load(name) for name in names}
    out = console()
    if options.out is None:
        if options.name is not None:
            raise RdbenchError(
                f"give --out, the folder for the figures: rdbench paper {options.name} --out DIR"
            )
        for name, paper in chosen.items():
            out.print(f"{name}  {paper.title}", markup=False, soft_wrap=True)
        return 0
    _check(options, options.out)
    if options.name not in (None, "all"):
        (paper,) = chosen.values()
        return _reproduce(paper, options, options.out, out)[0]
    worst = 0
    compared: dict[str, Compared] = {}
    for name, paper in chosen.items():  # each in a folder of its own
        code, compared[name] = _reproduce(paper, options, options.out / name, out)
        worst = max(worst, code)
        if worst == INTERRUPTED:
            return worst
    if not options.dry_run:
        _report_all(compared, options, options.out, out)
    return worst


def _report_all(
    compared: Mapping[str, Compared], options: PaperOptions, folder: Path, out: Console
) -> None:
    """The one table over all papers."""
    table = across(compared, options.units)
    files = save_tables([table], table.title, folder)
    links = ", ".join(f"[{path.suffix[1:]}]({path.name})" for path in files[:-1])
    blocks = [
        "# Published numbers of all papers, and ours",
        f"`{_command(options)}` runs what is missing and writes this page; every paper has a "
        "folder with its own.",
        counts(compared),
        f"**{table.title}** ({links})",
        table.text("md").rstrip(),
        *table.notes,
    ]
    page = write_whole(("\n\n".join(blocks) + "\n").encode(), folder / "README.md")
    out.print(f"{len(files) + 1} files in {folder}; read {page}", markup=False, soft_wrap=True)


def _reproduce(
    paper: Paper, options: PaperOptions, folder: Path, out: Console
) -> tuple[int, Compared]:
    """Run what is missing of one paper, write its files into ``folder``; the exit code."""
    results = options.results or folder / "records"
    plans = planned(paper, full=options.full or options.run_all)
    compare(paper, [])  # a fault in the paper's data is told before anything runs
    held = load(results) if (results / RECORDS).exists() else Loaded()
    for line in held.warnings:
        warn(line)
    running = [plan for plan in plans if plan.runs]
    if options.run_all:  # the settings of many hours last, in the paper's order
        running = [replace(plan, runs=True) for plan in plans]
        running.sort(key=lambda plan: plan.part.name == SIDE_BY_SIDE)
    wanted = {cell.id: cell for plan in running for cell in plan.cells}
    groups = to_run(running, held.records)
    missing = [cell for cells in groups.values() for cell in cells]
    announce(list(wanted.values()), missing, results, out, listed=options.dry_run)
    if options.dry_run:
        return 0, Compared(())
    records = held.records
    if missing:  # opened only to be written to: from records all may be read-only
        store = Store(results)
        try:
            if not _run(groups, store, options, out):
                return INTERRUPTED, Compared(())
            store.refresh()
            records = store.records
        finally:
            store.close()
    found = find(plans, records.values())
    unfinished = [name for name in wanted if not is_done(records.get(name))]
    compared = Compared(tuple(compare(paper, found)), tuple(read_elsewhere(paper.published)))
    complete = _report(paper, found, plans, compared, options, folder, out)
    return (0 if complete and not unfinished else 1), compared


def _check(options: PaperOptions, folder: Path) -> None:
    parse.units(options.units)
    parse.at_least_one("--jobs", options.jobs)
    parse.at_least_one("--threads", options.threads)
    if options.results is not None and not load(options.results).records:
        raise RdbenchError(
            f"no records in {options.results / RECORDS}; leave --results out to start from nothing"
        )
    if folder.exists() and not folder.is_dir():
        raise RdbenchError(f"cannot write in --out {folder}: it is a file; give a folder")
    if options.dry_run:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        why = problem.strerror or problem
        raise RdbenchError(f"cannot write in --out {folder}: {why}") from problem


def _run(groups: dict[int, list[Cell]], store: Store, options: PaperOptions, out: Console) -> bool:
    """Run the cells, those that keep more draws last; False where it was interrupted."""
    provenance = gather("cpu", options.threads, options.jobs)
    cells = [cell for draws in sorted(groups) for cell in groups[draws]]
    progress = Progress(cells, options.jobs, options.units, out)
    timeout = 4.0 * TIMEOUT_S if options.run_all else TIMEOUT_S
    try:
        with progress:
            for draws in sorted(groups):
                settings = Settings(provenance, options.jobs, options.threads, timeout, draws=draws)
                run_cells(groups[draws], store, settings, progress)
    except KeyboardInterrupt:
        interrupted(progress.count, len(cells))
        return False
    return True


def _report(
    paper: Paper,
    found: list[Found],
    plans: list[Planned],
    numbers: Compared,
    options: PaperOptions,
    folder: Path,
    out: Console,
) -> bool:
    """Write everything; what cannot be made is told, costs nothing else, and gives False."""
    problems: list[str] = []

    def attempt(what: str, make: Callable[[], list[Path]]) -> list[Path]:
        try:
            return make()
        except (RdbenchError, KeyboardInterrupt):
            raise
        except Exception as problem:
            problems.append(f"{what}: {type(problem).__name__}: {problem}")
            return []

    folder.mkdir(parents=True, exist_ok=True)
    units = options.units
    looks = looks_of([record for one in found for record in one.records])
    compared = sheet(numbers.rows, units)
    sheets = [
        *([compared] if compared.rows else []),
        *(part_table(one, units) for one in found if one.part.name != SIDE_BY_SIDE),
        *settings_tables(found, paper, plans, units, full=options.full or options.run_all),
    ]
    drawing = Drawing(found, folder, looks, units, TruthSources())
    draw = paper.figures or draw_curves
    pictures = attempt("figures", lambda: draw(drawing))
    pictures += attempt("side by side", lambda: draw_settings(drawing))
    tables = save_tables(sheets, paper.title, folder, common=NOTES)
    data = save_numbers(found, folder)
    command = _command(options)
    material = Material(
        paper, tuple(found), tuple(sheets), tuple(pictures), command, units, numbers.elsewhere,
        tuple(problems),
    )  # fmt: skip
    text = write_whole(page(material).encode(), folder / "README.md")
    for line in problems:
        warn(f"not made: {line}")
    count = len(pictures) + len(tables) + len(data) + 1
    out.print(f"{count} files in {folder}; read {text}", markup=False, soft_wrap=True)
    return not problems


def _command(options: PaperOptions) -> str:
    """The command that writes the same files again."""
    words = ["rdbench", "paper", *([options.name] if options.name else [])]
    words += ["--full"] if options.full or options.run_all else []
    words += ["--jobs", str(options.jobs)] if options.jobs > 1 else []
    words += ["--out", str(options.out)]
    words += ["--results", str(options.results)] if options.results is not None else []
    words += ["--units", options.units] if options.units != "nats" else []
    return shlex.join(words)
