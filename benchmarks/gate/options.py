"""The command line of the gate, checked before anything is run."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

from benchmarks._cases import CASES
from benchmarks.gate.accuracy import Cell
from benchmarks.gate.errors import BadInput

LEFT_OUT = {("laplacian-d6", name) for name in ("beta_vae", "ebrd", "mixture_em", "nerd")}
"""The cells that cost the most, half of the whole, and scatter the most; ``--all`` has them."""
OFFSET = 1_000_000
"""Between the seeds of the two sides where they are to differ."""


@dataclass(frozen=True)
class Options:
    """The gate's options, with the metrics that they choose."""

    base: str
    head: str | None
    metrics: frozenset[str]
    cells: tuple[Cell, ...]
    """The cells that have to be run for the metrics."""
    tolerance: float
    """Nats by which a gap may grow; gaps of the quick budget mostly scatter by less."""
    ratio: float
    """HEAD's time over BASE's that is allowed."""
    seed: int
    """Of the first look; the next ones confirm."""
    offset: int
    """Added to HEAD's seeds; other than zero only to measure the gate's own false alarms."""
    allow_missing: bool
    json: Path | None
    verbose: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (--help lists what is valid)")


def parse(arguments: Sequence[str]) -> Options:
    """Read and check.

    Raises:
        BadInput: one line that says what is valid.
    """
    parser = _Parser(
        prog="python -m benchmarks.gate",
        description="Is HEAD less accurate or slower than BASE? Exit codes: 0 no, 1 yes, 2 bad "
        "input, 3 the environment is broken, 130 interrupted. See docs/gate.md.",
    )
    add = parser.add_argument
    add("base", metavar="BASE", help="the commit to compare with")
    add("head", metavar="HEAD", nargs="?", help="a commit; without it, the working tree")
    add("--only", metavar="GLOBS", help="metrics whose names match, e.g. gap/paper-d2,fit/")
    add("--all", action="store_true", help="the cells as well that the default leaves out as slow")
    add("--seed", type=int, default=0, help="of the first look (%(default)s)")
    add("--tolerance", type=float, default=0.005, metavar="NATS",
        help="by which a gap may grow (%(default)s, and 5%% of BASE's gap)")  # fmt: skip
    add("--ratio", type=float, default=1.25,
        help="HEAD's time / BASE's that is allowed (%(default)s)")  # fmt: skip
    add("--allow-missing", action="store_true", help="what HEAD does not have is no regression")
    add("--independent-seeds", action="store_true",
        help="other seeds for HEAD; measures how quiet the gate is on equal commits")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write everything that was found")
    add("--verbose", action="store_true", help="list every metric, not only what is not ok")
    got = parser.parse_args(arguments)
    if got.seed < 0:
        raise BadInput(f"--seed takes a whole number, 0 or more, got {got.seed}")
    if not (math.isfinite(got.tolerance) and got.tolerance >= 0.0):
        raise BadInput(f"--tolerance takes nats, 0 or more, got {got.tolerance}")
    if not (math.isfinite(got.ratio) and got.ratio >= 1.0):
        raise BadInput(f"--ratio takes a number, 1 or more, got {got.ratio}")
    if got.json is not None and not got.json.resolve().parent.is_dir():
        raise BadInput(f"--json {got.json}: its folder does not exist")
    metrics, cells = choose(got.only, got.all)
    offset = OFFSET if got.independent_seeds else 0
    return Options(
        got.base, got.head, metrics, cells, got.tolerance, got.ratio, got.seed, offset,
        got.allow_missing, got.json, got.verbose,
    )  # fmt: skip


def choose(only: str | None, everything: bool) -> tuple[frozenset[str], tuple[Cell, ...]]:
    """The metrics whose names match one of the comma-separated globs anywhere, and their cells.

    Raises:
        BadInput: nothing matches.
    """
    cells = [Cell(case, name) for case in CASES for name in case.estimators]
    if not everything and only is None:
        cells = [cell for cell in cells if (cell.case.name, cell.estimator) not in LEFT_OUT]
    metrics = {cell: (*cell.gaps, cell.fit) for cell in cells}
    globs = [f"*{glob.strip()}*" for glob in (only or "").split(",")]
    wanted = frozenset(
        name
        for names in metrics.values()
        for name in names
        if any(fnmatchcase(name, glob) for glob in globs)
    )
    if not wanted:
        names = metrics[cells[0]]
        raise BadInput(
            f"--only {only} matches no metric; valid: a part or a glob of a name such as "
            f"{names[0]} or {names[-1]}; cases: {', '.join(case.name for case in CASES)}"
        )
    return wanted, tuple(cell for cell in cells if wanted & set(metrics[cell]))
