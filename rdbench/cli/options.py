"""The options of every command: a frozen dataclass each, whose docstring is the command's help.

A field is an option (an argument where it says so), its default the option's default. Nothing
heavy is imported here, so that ``--help`` is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer

from rdbench import registry


def _option(
    default: Any,
    help: str,
    metavar: str | None = None,
    *,
    complete: Callable[[str], list[str]] | None = None,
    argument: bool = False,
) -> Any:
    """A field that is an option; a flag where the default is False.

    Args:
        default: MISSING for an option that has to be given.
        help: one or two sentences.
        metavar: what stands for the value in the help.
        complete: shell completion of what was typed so far.
        argument: an argument instead of an option.
    """
    kind: Any = typer.Argument if argument else typer.Option
    told = kind(help=help, metavar=metavar, autocompletion=complete)
    return field(default=default, metadata={"typer": told, "flag": default is False})


def _last_of(*kinds: registry.Kind) -> Callable[[str], list[str]]:
    """Shell completion of the last name in a comma-separated list."""

    def complete(incomplete: str) -> list[str]:
        *before, last = incomplete.split(",")
        names = [name for kind in kinds for name in registry.names(kind) if name.startswith(last)]
        return [",".join([*before, name]) for name in names]

    return complete


_suites = partial(
    _option,
    help="Suites, such as planar,scalar, or all.",
    metavar="NAMES",
    complete=_last_of("suite"),
)
_results = partial(_option, Path("rdbench-results"), "The results folder.", "DIR")
_units = partial(_option, "nats", "nats or bits, in what is printed and drawn.")
_cases = partial(
    _option, None, "Only cases whose name, or SUITE/NAME, matches, such as 'paper*'.", "GLOB"
)
_stored = partial(
    _option,
    None,
    "Only these, as they are stored, such as ebrd,nerd:paper or 'wgd*'.",
    "NAMES",
)
_points = partial(
    _option,
    None,
    "Operational points of codecs, drawn and measured beside R(D): a CSV file with the columns "
    "name, rate, distortion and, if you like, rate_unit, distortion_unit. For one case.",
    "FILE",
)
_points_units = partial(
    _option,
    "nats,sum",
    "Units of --points where the file does not say: nats, bits, bpp (bits per dimension) or "
    "nats/dim; sum, mse or psnr:PEAK. Such as bpp,psnr:255.",
    "UNITS",
)
_axes = partial(
    _option,
    None,
    "Units of the axes of R(D), as for --points-units. Default: those of --units, sum.",
    "UNITS",
)
_jobs = partial(_option, 1, "Cells that run at the same time.")
_threads = partial(_option, 1, "Threads of each cell.")
_dry_run = partial(_option, False, "Check everything and list the cells; run and write nothing.")
_verbose = partial(
    _option,
    False,
    "Show all columns; otherwise those that fit the terminal, one line per row.",
)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Run estimators on suites, or on data of your own; stored cells are not run again."""

    suite: str | None = _suites(None)
    data: str | None = _option(
        None,
        "Instead of suites, data of your own: .npy, .npz, .csv, .parquet, .pt (tensors) or a "
        "folder of pictures. Rows are symbols, columns dimensions. FILE:NAME for an array of an "
        "archive.",
        "FILE",
    )
    of: str = _option(
        "population",
        "Of data: population (the rows are a sample: a fifth is held out, and every audit is on "
        "it) or rows (the rows are the source: sums are exact).",
    )
    groups: str | None = _option(
        None, "Of data: the column that says which rows belong together.", "COLUMN"
    )
    distortion: str = _option(
        "squared_error",
        "Of data: squared_error, absolute_error, hamming, FILE.npy (a table of letters) or "
        "FILE.py:NAME.",
    )
    patches: int | None = _option(None, "Of pictures: the side of their patches.", "N")
    dims: str | None = _option(None, "Dimensions, such as 2,5,10 or 2-4.", "LIST")
    estimators: str | None = _option(
        None,
        "Such as 'ebrd,nerd:paper,wgd[particles=4000]' (in quotes), FILE.py:CLASS or all. "
        "Default: all but lower bounds; on data those that take seconds.",
        "SPECS",
        complete=_last_of("estimator"),
    )
    seeds: str = _option("0", "Such as 0,1,2 or 0-2.", "LIST")
    rates: str | None = _option(None, "Target rates in nats, instead of each case's own.", "LIST")
    distortions: str | None = _option(
        None, "Target distortions, instead of target rates, in the units of the source.", "LIST"
    )
    betas: str | None = _option(None, "Slopes beta, instead of target rates.", "LIST")
    budget: str = _option(
        "default",
        "quick, default or full: scales training steps and samples. Or CPU seconds of the fit of "
        "a ladder, such as 20s: the scale is then found by short fits. Several: 5s,20s,80s.",
        "LIST",
    )
    cases: str | None = _cases()
    n_train: int | None = _option(
        None, "Train on N fixed samples, instead of new ones at every step.", "N"
    )
    jobs: int = _jobs()
    threads: int = _threads()
    executor: str = _option(
        "local", "local (this machine) or dask (the workers of a Dask cluster)."
    )
    scheduler: str | None = _option(
        None,
        "Of dask: the address of its scheduler. Default: a cluster on this machine, of --jobs "
        "workers.",
        "ADDRESS",
    )
    timeout: float = _option(3600.0, "Seconds that the fit of a cell may take.", "SECONDS")
    audit_timeout: float = _option(1800.0, "Seconds that one audit may take.", "SECONDS")
    device: str = _option("cpu", "cpu or cuda.")
    results: Path = _results()
    fresh: bool = _option(False, "Re-run cells that already have results.")
    trace: bool = _option(
        False,
        "Audit the checkpoints of every fit as well (this time is not counted): accuracy against "
        "time, shown by `rdbench export --what traces`.",
    )
    draws: int = _option(
        24, "Keep N draws of every channel p(y|x), for pictures (dimensions 1 and 2).", "N"
    )
    retry: bool = _option(
        False,
        "Re-run cells with slopes that did not converge. (Timeouts, crashes and errors are always "
        "re-run.)",
    )
    dry_run: bool = _dry_run()
    sandwich: bool = _option(
        False,
        "Give every estimator of upper bounds its lower twin, NAME+lower: R(D) from both sides.",
    )
    shard: str | None = _option(None, "Run only the i-th of n parts of the cells.", "i/n")
    points: Path | None = _points()
    points_units: str = _points_units()
    units: str = _units()
    verbose: bool = _verbose()


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """List suites and estimators, or the cases of all suites."""

    what: str = _option("all", "suites, estimators or cases.", "WHAT", argument=True)


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """All about one suite, or about one estimator."""

    name: str = _option(
        MISSING,
        "A suite or an estimator.",
        "NAME",
        complete=_last_of("suite", "estimator"),
        argument=True,
    )


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """All results as tidy rows, in nats."""

    results: Path = _results()
    format: str | None = _option(None, "csv or parquet. Default: by the ending of --out, else csv.")
    what: str = _option("points", "points, blocks, traces, cells or draws.")
    out: Path | None = _option(None, "Default: CSV to standard output.", "FILE")


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """One metric as a table for a paper, a page or a spreadsheet."""

    results: Path = _results()
    format: str | None = _option(
        None, "md, latex, csv or html. Default: by the ending of --out, else md."
    )
    metric: str = _option("gap", "gap, median_gap, good_to, cpu_s, ...")
    by: str = _option("case,estimator", "Columns that identify a row.")
    against: str | None = _option(
        None,
        "Instead of a metric: each gap minus the gap of this estimator (such as nerd:paper), "
        "paired on the same source symbols.",
        "NAME",
    )
    pivot: bool = _option(
        False, "A column for each estimator, a row for each case (or what else --by names)."
    )
    cases: str | None = _cases()
    estimators: str | None = _option(
        None,
        "Only these, such as ebrd,nerd:paper or 'wgd*'; with --pivot in this order. Bold is the "
        "best of them.",
        "NAMES",
    )
    out: Path | None = _option(None, "Default: standard output.", "FILE")
    caption: str | None = _option(
        None, "LaTeX: puts the table in a float with this caption, which is plain text.", "TEXT"
    )
    label: str | None = _option(None, "LaTeX: what \\ref{...} calls the table.", "NAME")
    standalone: bool = _option(
        False, "LaTeX: a document that compiles by itself, not a part of one."
    )
    units: str = _units()
    verbose: bool = _verbose()


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """R(D) from both sides: R at given D or D at given R, who says so, and how far codecs are."""

    results: Path = _results()
    cases: str | None = _cases()
    estimators: str | None = _stored()
    distortions: str | None = _option(
        None, "Distortions D (summed) at which R is wanted. Default: those of the results.", "LIST"
    )
    rates: str | None = _option(
        None, "Rates at which D is wanted, in nats (bits with --units bits).", "LIST"
    )
    points: Path | None = _points()
    points_units: str = _points_units()
    out: Path | None = _option(None, "A picture as well: PDF, PNG or SVG by the ending.", "FILE")
    axes: str | None = _axes()
    units: str = _units()


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """Draw any selection of the results again, as a figure for a paper."""

    out: Path = _option(MISSING, "The figure: PDF, PNG or SVG by the ending.", "FILE")
    results: Path = _results()
    suite: str | None = _option(None, "Only these suites, such as planar,scalar.", "NAMES")
    cases: str | None = _cases()
    estimators: str | None = _stored()
    seeds: str | None = _option(None, "Only these seeds, such as 0,1,2 or 0-2.", "LIST")
    panels: str = _option(
        "band,gap",
        "What to draw of a case, from top to bottom: band (R(D) between its bounds), excess "
        "(R - R(D)), gap (F(q) - F*).",
        "LIST",
    )
    points: Path | None = _points()
    points_units: str = _points_units()
    axes: str | None = _axes()
    title: str | None = _option(None, "The title. Default: the suites.")
    units: str = _units()


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """One self-contained HTML page of all results; it needs no network."""

    out: Path = _option(Path("report.html"), "The page.", "FILE")
    results: Path = _results()
    title: str | None = _option(None, "The title of the page.")
    units: str = _units()


@dataclass(frozen=True, kw_only=True)
class PaperOptions:
    """Reproduce a paper: its figures, and its numbers beside ours."""

    name: str | None = _option(None, "A paper, or all. Default: all.", "NAME", argument=True)
    out: Path | None = _option(
        None,
        "The folder for figures, tables and the page; each of several papers has a folder below "
        "it, beside one table over all. Without this option the papers are listed.",
        "DIR",
    )
    results: Path | None = _option(
        None,
        "The results folder. Default: records, in the folder of each paper.",
        "DIR",
    )
    full: bool = _option(
        False,
        "Also show published settings and three seeds where they are stored; they take hours and "
        "are not run.",
    )
    run_all: bool = _option(
        False, "As --full, and run what is missing of them, the cells of many hours last."
    )
    jobs: int = _jobs()
    threads: int = _threads()
    dry_run: bool = _dry_run()
    units: str = _units()


@dataclass(frozen=True, kw_only=True)
class CertifyOptions:
    """Compute the certified truth again, or check it."""

    suite: str = _suites("all")
    cases: str = _option("*", "Only tables whose name matches.", "GLOB")
    out: Path | None = _option(None, "The folder for the tables.", "DIR")
    report: Path | None = _option(None, "The folder for the readable summary.", "DIR")
    check: bool = _option(False, "Compute shipped certificates again and compare.")
    sample: int | None = _option(
        None, "With --check: only N certificates, chosen at random. Default: all.", "N"
    )
    seconds: float = _option(float("inf"), "With --check: CPU seconds it may take.")
    seed: int = _option(0, "With --check: chooses the certificates.")


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Check certificates without the solvers: exits with 1 if one does not follow."""

    files: list[Path] | None = _option(None, "Files of certificates.", "FILE...", argument=True)
    all: bool = _option(False, "Those that are shipped: 21 minutes, one thread.")
    cases: str = _option("*", "Only cases whose name matches.", "GLOB")


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Check an estimator: exits with 1 and says what is wrong."""

    target: str = _option(
        MISSING,
        "MODULE:CLASS, FILE.py:CLASS, or a registered name or name:preset.",
        "MODULE:CLASS",
        complete=_last_of("estimator"),
        argument=True,
    )
    seed: int = _option(0, "The seed of data, fits and audits.")
    effort: float = _option(0.1, "Multiplies the work of the fits; 1 is a full fit.")
    only: str | None = _option(None, "Only these checks, such as units,budget.", "LIST")


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """Combine results folders; the newest record of a cell wins."""

    folders: list[Path] = _option(MISSING, "Results folders.", "DIR...", argument=True)
    into: Path = _option(MISSING, "The folder that receives their results.", "DIR")


COMMANDS: dict[str, type] = {
    "run": RunOptions,
    "list": ListOptions,
    "info": InfoOptions,
    "export": ExportOptions,
    "table": TableOptions,
    "answer": AnswerOptions,
    "figure": FigureOptions,
    "report": ReportOptions,
    "paper": PaperOptions,
    "certify": CertifyOptions,
    "verify": VerifyOptions,
    "check": CheckOptions,
    "merge": MergeOptions,
}
"""By name; ``execute`` in the module of that name carries a command out."""
