"""What every command takes: its options as a frozen dataclass, the shared ones written once.

A field is an option (or an argument), its default the option's default. Nothing heavy is imported
here, so that ``--help`` is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rdbench import registry


def _last_of(kinds: tuple[registry.Kind, ...]) -> Callable[[str], list[str]]:
    """Shell completion of the last name in a comma-separated list."""

    def complete(incomplete: str) -> list[str]:
        *before, last = incomplete.split(",")
        names = [name for kind in kinds for name in registry.names(kind) if name.startswith(last)]
        return [",".join([*before, name]) for name in names]

    return complete


_SUITES = _last_of(("suite",))
_ESTIMATORS = _last_of(("estimator",))

Results = Annotated[Path, Option(help="The results folder.", metavar="DIR")]
Units = Annotated[str, Option(help="nats or bits, in what is printed and drawn.")]
Verbose = Annotated[
    bool,
    Option(
        "--verbose", help="All columns; otherwise a terminal shows those that fit, a line a row."
    ),
]
Suites = Annotated[
    str,
    Option(help="Suites, such as planar,scalar, or all.", metavar="NAMES", autocompletion=_SUITES),
]
Jobs = Annotated[int, Option(help="Cells that run at the same time.")]
Threads = Annotated[int, Option(help="Threads of each cell.")]
DryRun = Annotated[
    bool, Option("--dry-run", help="Check everything and list the cells; run and write nothing.")
]
RESULTS = Path("rdbench-results")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of ``rdbench run``, as they were typed."""

    suite: Suites
    dims: Annotated[
        str | None, Option(help="Dimensions, such as 2,5,10 or 2-4.", metavar="LIST")
    ] = None
    estimators: Annotated[
        str,
        Option(
            help="Such as 'ebrd,nerd:paper,wgd[particles=4000]' (in quotes), FILE.py:CLASS or all.",
            metavar="SPECS",
            autocompletion=_ESTIMATORS,
        ),
    ] = "all"
    seeds: Annotated[str, Option(help="Such as 0,1,2 or 0-2.", metavar="LIST")] = "0"
    rates: Annotated[
        str | None, Option(help="Target rates in nats, instead of each case's own.", metavar="LIST")
    ] = None
    betas: Annotated[
        str | None, Option(help="Slopes beta, instead of target rates.", metavar="LIST")
    ] = None
    budget: Annotated[
        str, Option(help="quick, default or full: scales training steps and samples, not seconds.")
    ] = "default"
    cases: Annotated[
        str | None, Option(help="Only cases with this name, or SUITE/NAME.", metavar="GLOB")
    ] = None
    n_train: Annotated[
        int | None,
        Option(help="Train on N fixed samples, instead of new ones at every step.", metavar="N"),
    ] = None
    jobs: Jobs = 1
    threads: Threads = 1
    timeout: Annotated[
        float, Option(help="Seconds that the fit of a cell may take.", metavar="SECONDS")
    ] = 3600.0
    device: Annotated[str, Option(help="cpu or cuda.")] = "cpu"
    results: Results = RESULTS
    fresh: Annotated[bool, Option("--fresh", help="Re-run cells that already have results.")] = (
        False
    )
    trace: Annotated[
        bool,
        Option(
            "--trace",
            help="Audit the checkpoints of every fit as well, with its clock stopped: accuracy "
            "against time, shown by `rdbench export --what traces`.",
        ),
    ] = False
    draws: Annotated[
        int,
        Option(
            help="Keep N draws of every channel p(y|x), for pictures (dimensions 1 and 2).",
            metavar="N",
        ),
    ] = 24
    retry: Annotated[
        bool,
        Option(
            "--retry",
            help="Re-run cells with slopes that did not converge. (Timeouts, crashes and errors "
            "are always re-run.)",
        ),
    ] = False
    dry_run: DryRun = False
    shard: Annotated[
        str | None, Option(help="Run only the i-th of n parts of the cells.", metavar="i/n")
    ] = None
    units: Units = "nats"
    verbose: Verbose = False


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """The argument of ``rdbench list``."""

    what: Annotated[str, Argument(help="suites, estimators or cases.", metavar="[WHAT]")] = "all"


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """The argument of ``rdbench info``."""

    name: Annotated[
        str,
        Argument(
            help="A suite or an estimator.",
            metavar="NAME",
            autocompletion=_last_of(("suite", "estimator")),
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of ``rdbench export``, as they were typed."""

    results: Results = RESULTS
    format: Annotated[
        str | None, Option(help="csv or parquet. Default: by the ending of --out, else csv.")
    ] = None
    what: Annotated[str, Option(help="points, blocks, traces, cells or draws.")] = "points"
    out: Annotated[Path | None, Option(help="Default: CSV to standard output.", metavar="FILE")] = (
        None
    )


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The options of ``rdbench table``, as they were typed."""

    results: Results = RESULTS
    format: Annotated[
        str | None, Option(help="md, latex, csv or html. Default: by the ending of --out, else md.")
    ] = None
    metric: Annotated[str, Option(help="gap, median_gap, good_to, cpu_s, ...")] = "gap"
    by: Annotated[str, Option(help="The columns that tell the rows apart.")] = "case,estimator"
    against: Annotated[
        str | None,
        Option(
            help="Instead of a metric: each gap minus the gap of this estimator (such as "
            "nerd:paper), paired on the same source symbols.",
            metavar="NAME",
        ),
    ] = None
    out: Annotated[Path | None, Option(help="Default: standard output.", metavar="FILE")] = None
    units: Units = "nats"
    verbose: Verbose = False


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """The options of ``rdbench report``, as they were typed."""

    out: Annotated[Path, Option(help="The page.", metavar="FILE")] = Path("report.html")
    results: Results = RESULTS
    title: Annotated[str | None, Option(help="The title of the page.")] = None
    units: Units = "nats"


@dataclass(frozen=True, kw_only=True)
class PaperOptions:
    """The argument and options of ``rdbench paper``, as they were typed."""

    name: Annotated[
        str | None, Argument(help="A paper, or all. Default: all.", metavar="[NAME]")
    ] = None
    out: Annotated[
        Path | None,
        Option(
            help="The folder for figures, tables and the page; of several papers each has one "
            "below it. Without this option the papers are listed.",
            metavar="DIR",
        ),
    ] = None
    results: Annotated[
        Path | None,
        Option(help="The results folder. Default: DIR/records, DIR as in --out.", metavar="DIR"),
    ] = None
    full: Annotated[
        bool,
        Option(
            "--full",
            help="Also show published settings and three seeds where they are stored; they take "
            "hours and are not run here.",
        ),
    ] = False
    jobs: Jobs = 1
    threads: Threads = 1
    dry_run: DryRun = False
    units: Units = "nats"


@dataclass(frozen=True, kw_only=True)
class CertifyOptions:
    """The options of ``rdbench certify``, as they were typed."""

    suite: Suites = "all"
    cases: Annotated[str, Option(help="Only tables with this name.", metavar="GLOB")] = "*"
    out: Annotated[Path | None, Option(help="The folder for the tables.", metavar="DIR")] = None
    report: Annotated[
        Path | None, Option(help="The folder for the readable summary.", metavar="DIR")
    ] = None
    check: Annotated[
        bool, Option("--check", help="Compute shipped certificates again and compare.")
    ] = False
    sample: Annotated[
        int | None,
        Option(help="With --check: N certificates at random. Default: all.", metavar="N"),
    ] = None
    seconds: Annotated[float, Option(help="With --check: CPU seconds it may take.")] = float("inf")
    seed: Annotated[int, Option(help="With --check: chooses the certificates.")] = 0


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """The argument and options of ``rdbench check``, as they were typed."""

    target: Annotated[
        str,
        Argument(
            help="MODULE:CLASS, FILE.py:CLASS, or a registered name or name:preset.",
            metavar="MODULE:CLASS",
            autocompletion=_ESTIMATORS,
        ),
    ]
    seed: Annotated[int, Option(help="The seed of data, fits and audits.")] = 0
    effort: Annotated[float, Option(help="Multiplies the work of the fits; 1 is a full fit.")] = 0.1
    only: Annotated[
        str | None, Option(help="Only these checks, such as units,budget.", metavar="LIST")
    ] = None


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """The arguments of ``rdbench merge``."""

    folders: Annotated[list[Path], Argument(help="Results folders.", metavar="DIR...")]
    into: Annotated[Path, Option(help="The folder that receives their results.", metavar="DIR")]
