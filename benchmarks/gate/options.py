"""The command line of the gate, checked before anything is run."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.gate.compare import Settings
from benchmarks.gate.errors import BadInput

BUDGETS = ("quick", "default", "full")


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    base: str
    head: str | None
    only: str | None
    everything: bool
    accuracy: bool
    times: bool
    settings: Settings
    allow_missing: bool
    json: Path | None
    keep: bool
    verbose: bool


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (--help lists what is valid)")


def parse(arguments: Sequence[str]) -> Options:
    """Read and check.

    Raises:
        BadInput: one line that says what is valid.
    """
    usual = Settings()
    parser = _Parser(
        prog="python -m benchmarks.gate",
        description="Is HEAD less accurate or slower than BASE? Exit codes: 0 no, 1 yes, 2 bad "
        "input, 3 the environment is broken, 130 interrupted. See docs/gate.md.",
    )
    add = parser.add_argument
    add("base", metavar="BASE", help="the commit to compare with")
    add("head", metavar="HEAD", nargs="?", help="a commit; without it, the working tree")
    add("--only", metavar="GLOBS", help="metrics whose names match, e.g. gap/paper-d2,kernel/*")
    add("--all", action="store_true", help="the cells as well that the default leaves out as slow")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--accuracy-only", action="store_true", help="no times")
    kind.add_argument("--times-only", action="store_true", help="no gaps")
    add("--seed", type=int, default=usual.seed, help="of the first look (%(default)s)")
    add("--confirming-seeds", type=int, default=usual.confirming, metavar="N",
        help="that look again at what seems worse (%(default)s)")  # fmt: skip
    add("--budget", choices=BUDGETS, default=usual.budget, help="of the fits (%(default)s)")
    add("--tolerance", type=float, default=usual.tolerance, metavar="NATS",
        help="by which a gap may grow (%(default)s, and 5%% of BASE's gap)")  # fmt: skip
    add("--ratio", type=float, default=usual.ratio,
        help="HEAD's time / BASE's that is allowed (%(default)s)")  # fmt: skip
    add("--allow-missing", action="store_true", help="what HEAD does not have is no regression")
    add("--independent-seeds", action="store_true",
        help="other seeds for HEAD; measures how quiet the gate is on equal commits")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write everything that was found")
    add("--keep", action="store_true", help="keep the sources and the records in .asv/gate")
    add("--verbose", action="store_true", help="list every metric, not only what is not ok")
    got = parser.parse_args(arguments)
    if got.seed < 0:
        raise BadInput(f"--seed takes a whole number, 0 or more, got {got.seed}")
    if got.confirming_seeds < 2:
        raise BadInput(f"--confirming-seeds takes 2 or more, got {got.confirming_seeds}")
    if not (math.isfinite(got.tolerance) and got.tolerance >= 0.0):
        raise BadInput(f"--tolerance takes nats, 0 or more, got {got.tolerance}")
    if not (math.isfinite(got.ratio) and got.ratio >= 1.0):
        raise BadInput(f"--ratio takes a number, 1 or more, got {got.ratio}")
    if got.json is not None and not got.json.resolve().parent.is_dir():
        raise BadInput(f"--json {got.json}: its folder does not exist")
    settings = Settings(
        tolerance=got.tolerance,
        ratio=got.ratio,
        budget=got.budget,
        seed=got.seed,
        confirming=got.confirming_seeds,
        offset=OFFSET if got.independent_seeds else 0,
    )
    return Options(
        got.base,
        got.head,
        got.only,
        got.all,
        not got.times_only,
        not got.accuracy_only,
        settings,
        got.allow_missing,
        got.json,
        got.keep,
        got.verbose,
    )


OFFSET = 1_000_000
"""Between the seeds of the two sides where they are to differ."""
