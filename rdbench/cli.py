"""The command line, and the one place where running and reporting meet.

Exit codes: 0 done, 1 some points failed (or a record could not be kept), 2 bad input, 130
interrupted. Heavy modules are imported inside the commands: ``--help`` and ``list`` are quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rdbench.run.records import CellRecord

app = typer.Typer(
    name="rdbench",
    help="Trustworthy benchmarks of rate-distortion estimators. Rates in nats, distortion "
    "summed over dimensions, gap = F(q) - F*(beta).",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)

Results = Annotated[Path, typer.Option(help="The results folder.", metavar="DIR")]
Units = Annotated[str, typer.Option(help="nats or bits, in what is printed and drawn.")]
_RESULTS = Path("rdbench-results")


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every complaint is one line on stderr."""
    command = typer.main.get_command(app)
    try:
        code = command.main(args=args, prog_name="rdbench", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # `rdbench list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as problem:
        return _explain(problem)
    return code if isinstance(code, int) else 0


def _explain(problem: Exception) -> int:
    """Exit code of a known kind of problem, told in one line; others keep their traceback."""
    # Each is looked up where it was imported: importing torch to say "no such option" takes 1.4 s.
    types, store = sys.modules.get("rdbench.types"), sys.modules.get("rdbench.run.store")
    if types is not None and isinstance(problem, types.RdbenchError):
        return _complain(str(problem), 2)
    if store is not None and isinstance(problem, store.StoreError):
        return _complain(str(problem), 1)
    if type(problem).__name__ == "Abort":
        return _complain("interrupted", 130)
    usage = getattr(problem, "format_message", None)  # typer's, wherever it keeps the class
    if usage is not None:
        if type(problem).__name__ == "NoArgsIsHelpError":
            print(usage())
            return 2
        return _complain(usage(), 2)
    raise problem


def _complain(line: str, code: int) -> int:
    print(f"rdbench: {' '.join(line.split())}", file=sys.stderr)
    return code


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        from rdbench.version import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def run(
    suite: Annotated[str, typer.Option(help="Suites, a,b or all.", metavar="NAMES")],
    dims: Annotated[
        str | None, typer.Option(help="Dimensions, such as 2,5,10.", metavar="LIST")
    ] = None,
    estimators: Annotated[
        str | None,
        typer.Option(
            help="Such as 'ebrd,nerd:paper,wgd[particles=4000]' (quoted). Default: all.",
            metavar="SPECS",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Such as 0,1,2.", metavar="LIST")] = "0",
    rates: Annotated[
        str | None,
        typer.Option(help="Target rates in nats instead of each case's own.", metavar="LIST"),
    ] = None,
    betas: Annotated[
        str | None, typer.Option(help="Slopes instead of rates.", metavar="LIST")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="quick, default or full: scales steps and samples, not seconds.")
    ] = "default",
    cases: Annotated[
        str | None, typer.Option(help="Only cases of that name (or suite/name).", metavar="GLOB")
    ] = None,
    n_train: Annotated[
        int | None,
        typer.Option(help="Train on so many fixed draws, not on fresh ones.", metavar="N"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Cells at the same time.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each cell.")] = 1,
    timeout: Annotated[
        float, typer.Option(help="Seconds of fitting that a cell may take.", metavar="SECONDS")
    ] = 3600.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    results: Results = _RESULTS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run what is stored as well.")] = False,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace",
            help="Audit checkpoints of the fits as well, the clock standing still: accuracy "
            "against time, in `rdbench export --what traces`.",
        ),
    ] = False,
    draws: Annotated[
        int,
        typer.Option(
            help="Keep so many draws of p(y|x) with every slope, for pictures (d = 1, 2).",
            metavar="N",
        ),
    ] = 24,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry",
            help="Run cells with not_converged slopes again, too. (Timeouts, crashes and errors "
            "are run again anyway.)",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do every check, list the cells, run nothing.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(help="Only the i-th of n parts of the cells.", metavar="i/n")
    ] = None,
    units: Units = "nats",
) -> None:
    """Run estimators on suites; what is stored already is not run again."""
    try:
        from rdbench.cli_run import Request, execute

        request = Request(
            suite=suite,
            dims=dims,
            estimators=estimators,
            seeds=seeds,
            rates=rates,
            betas=betas,
            budget=budget,
            cases=cases,
            n_train=n_train,
            jobs=jobs,
            threads=threads,
            timeout=timeout,
            device=device,
            results=results,
            fresh=fresh,
            trace=trace,
            draws=draws,
            retry=retry,
            dry_run=dry_run,
            shard=shard,
            units=units,
        )
        code = execute(request)
    except KeyboardInterrupt:  # outside the cells; typer would end mutely
        code = _complain("interrupted", 130)
    raise typer.Exit(code)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="suites, estimators or cases.")] = "all",
) -> None:
    """List suites and estimators (or the cases of all suites)."""
    from rdbench.cli_show import show_list

    show_list(what)


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A suite or an estimator.", metavar="NAME")],
) -> None:
    """What a suite contains, or what an estimator does and which parameters it takes."""
    from rdbench.cli_show import show_info

    show_info(name)


@app.command()
def export(
    results: Results = _RESULTS,
    format_: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
    what: Annotated[str, typer.Option(help="points, blocks, traces, cells or draws.")] = "points",
    out: Annotated[
        Path | None, typer.Option(help="Default: CSV to standard output.", metavar="FILE")
    ] = None,
) -> None:
    """Tidy rows of everything stored, in nats."""
    from rdbench.report.export import frame, write

    write(frame(_stored(results), what), format_, out)


@app.command()
def table(
    results: Results = _RESULTS,
    format_: Annotated[str, typer.Option("--format", help="md, latex, csv or html.")] = "md",
    metric: Annotated[str, typer.Option(help="gap, median_gap, good_to, cpu_s, ...")] = "gap",
    by: Annotated[str, typer.Option(help="Columns that make a row.")] = "case,estimator",
    against: Annotated[
        str | None,
        typer.Option(
            help="Instead of a metric: the gap of each less that of this estimator (a label such "
            "as nerd:paper), in pairs on the same symbols.",
            metavar="NAME",
        ),
    ] = None,
    units: Units = "nats",
) -> None:
    """One metric as a table for a paper, a page or a spreadsheet."""
    if against is not None:
        from rdbench.cli_progress import note
        from rdbench.report.against import against_table

        if metric != "gap":
            raise typer.BadParameter(f"--against compares gaps: drop --metric {metric}")
        found = against_table(_stored(results), against, by, format_, units)
        print(found.text.rstrip("\n"))
        for line in found.notes:
            note(line)
        return
    from rdbench.report.tables import metric_table

    print(metric_table(_stored(results), metric, by, format_, units).rstrip("\n"))


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="The page.", metavar="FILE")] = Path("report.html"),
    results: Results = _RESULTS,
    title: Annotated[str | None, typer.Option(help="The title of the page.")] = None,
    units: Units = "nats",
) -> None:
    """One self-contained HTML page of everything stored; it needs no network."""
    from rdbench.cli_report import Request, execute

    raise typer.Exit(execute(Request(results, out, title, units)))


@app.command()
def paper(
    name: Annotated[
        str | None, typer.Argument(help="A paper, or all. Default: all.", metavar="[NAME]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder of figures, tables and the page; with several papers, one below it "
            "for each. Without it: list the papers.",
            metavar="DIR",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="The results folder. Default: records below --out.", metavar="DIR"),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Show published settings and three seeds, too, where they are stored: they take "
            "hours and are not run.",
        ),
    ] = False,
    jobs: Annotated[int, typer.Option(help="Cells at the same time.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each cell.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do every check, list the cells, run nothing.")
    ] = False,
    units: Units = "nats",
) -> None:
    """A paper's figures and tables, its numbers beside ours, running what is missing."""
    try:
        from rdbench.cli_paper import Request, execute

        code = execute(Request(name, out, results, full, jobs, threads, dry_run, units))
    except KeyboardInterrupt:
        code = _complain("interrupted", 130)
    raise typer.Exit(code)


@app.command()
def certify(
    suite: Annotated[str, typer.Option(help="Suites, a,b or all.", metavar="NAMES")] = "all",
    cases: Annotated[str, typer.Option(help="Only tables of that name.", metavar="GLOB")] = "*",
    out: Annotated[
        Path | None, typer.Option(help="The folder that takes the tables.", metavar="DIR")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="The folder of the readable table.", metavar="DIR")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compute shipped certificates again; do they agree?")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(help="With --check: so many at random. Default: all.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="With --check: CPU seconds that may be spent.")
    ] = float("inf"),
    seed: Annotated[int, typer.Option(help="With --check: which ones.")] = 0,
) -> None:
    """Compute the certified truth of the suites again, or check what is shipped."""
    from rdbench.cli_certify import Request, execute

    raise typer.Exit(execute(Request(suite, cases, out, report, check, sample, seconds, seed)))


@app.command()
def check(
    target: Annotated[
        str,
        typer.Argument(
            help="MODULE:CLASS, FILE.py:CLASS, or a registered name or name:preset.",
            metavar="MODULE:CLASS",
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of data, fits and audits.")] = 0,
    effort: Annotated[
        float, typer.Option(help="What the fits multiply their work by; 1 is a full fit.")
    ] = 0.1,
    only: Annotated[
        str | None, typer.Option(help="Only these checks, such as units,budget.", metavar="LIST")
    ] = None,
) -> None:
    """Check an estimator of yours; says what is wrong in words, exits with 1 if something is."""
    from rdbench.cli_check import Request, execute

    raise typer.Exit(execute(Request(target, seed, effort, only)))


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Results folders.", metavar="DIR...")],
    into: Annotated[Path, typer.Option(help="The folder that takes them.", metavar="DIR")],
) -> None:
    """Put the results of several folders into one; the newest row of a cell wins."""
    from rdbench.run.store import merge as merge_stores

    for done in merge_stores(folders, into):
        _warn(done.warnings)
        print(
            f"{done.folder}: {done.read} cells read, {done.new} new, {done.newer} newer, "
            f"{done.skipped} already there"
        )


def _stored(results: Path) -> list[CellRecord]:
    from rdbench.run.store import load

    loaded = load(results)
    _warn(loaded.warnings)
    return list(loaded.records.values())


def _warn(warnings: Sequence[str]) -> None:
    for line in warnings:
        print(f"rdbench: warning: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
