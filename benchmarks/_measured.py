"""One measured run of every case, which the suites of accuracy, cost and memory read.

asv calls ``measured`` once per commit, in the commit's own environment, and hands its answer to
every benchmark of the modules that name it ``setup_cache`` (asv knows a set-up by the module and
line of its function, so that several modules share it).
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks._cases import BANDS, CASES, ESTIMATORS, CaseFailed, exported, run

Row = dict[str, str]
Measured = dict[str, Any]
"""``points``, ``cells``, ``traces``: rows of the export; ``cases``, ``estimators``: those that were
run; ``failures``: what the command line said of a case that did not end well, by case."""

CASE_NAMES = tuple(case.name for case in CASES)
TRACED = ("laplacian-squared", "ramp-d5")
"""Cases whose fits are looked at on the way. Looks cost as much as fits, and elsewhere far more."""
_BY_NAME = {case.name: case for case in CASES}


def measured() -> Measured:
    """Run every case once with seed 0 and the quick budget.

    The environment's ``RDBENCH_ASV_CASES`` (names with commas) leaves only some, for a dry run.

    Raises:
        CaseFailed: it names a case that there is none of.
    """
    only = os.environ.get("RDBENCH_ASV_CASES", ",".join(CASE_NAMES)).split(",")
    if unknown := [name for name in only if name not in CASE_NAMES]:
        raise CaseFailed(f"RDBENCH_ASV_CASES: {unknown} not among {', '.join(CASE_NAMES)}")
    has = [name for name in ESTIMATORS if find_spec(f"rdbench.estimators.{name}")]
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        for case in (_BY_NAME[name] for name in only):
            names = [name for name in case.estimators if name in has]
            try:
                run(sys.executable, case, results, estimators=names, trace=case.name in TRACED)
            except CaseFailed as error:  # the others are measured all the same
                failures[case.name] = str(error)
        tables = {
            what: exported(sys.executable, results, what) for what in ("points", "cells", "traces")
        }
    return {**tables, "cases": only, "estimators": has, "failures": failures}


measured.timeout = 3600  # type: ignore[attr-defined]  # seconds; asv looks for it here


class PerCase:
    """The common part of the suites that read the measured run."""

    params: tuple[tuple[object, ...], ...] = (ESTIMATORS, CASE_NAMES)
    param_names: tuple[str, ...] = ("estimator", "case")
    timeout = 60
    version = "1"

    def setup(self, have: Measured, estimator: str, case: str, *_: object) -> None:
        """Refuse what is not there to be measured, which asv shows as n/a.

        Raises:
            NotImplementedError: the estimator does not answer this case, or the commit has none.
        """
        if estimator not in _BY_NAME[case].estimators:
            raise NotImplementedError(f"{estimator} is not run on {case}")
        if case not in have["cases"]:
            raise NotImplementedError(f"{case} was left out")
        if estimator not in have["estimators"]:
            raise NotImplementedError(f"this commit has no {estimator}")


def rows(have: Measured, table: str, estimator: str, case: str) -> list[Row]:
    """The rows of one estimator on one case; none is a failure.

    Raises:
        CaseFailed: there are none, with what the command line said.
    """
    found = [row for row in have[table] if (row["estimator"], row["case"]) == (estimator, case)]
    if not found:
        raise CaseFailed(have["failures"].get(case, f"{table}: no row of {estimator} on {case}"))
    return found


def point(have: Measured, estimator: str, case: str, band: str) -> Row:
    """The audited point of one band; one without a gap is a failure.

    Raises:
        CaseFailed: there is no such point, or it has no gap, with its reason.
    """
    rate = _BY_NAME[case].rates[BANDS.index(band)]
    for row in rows(have, "points", estimator, case):
        if math.isclose(float(row["target_rate"]), rate, rel_tol=1e-6):
            if math.isfinite(number(row, "gap")) and math.isfinite(number(row, "gap_hi")):
                return row
            raise CaseFailed(f"{estimator} on {case}, R = {rate}: {row['status']}: {row['reason']}")
    raise CaseFailed(f"no row of {estimator} on {case} at R = {rate}")


def number(row: Row, column: str) -> float:
    """A cell of the export; NaN where it is empty."""
    return float(row[column]) if row[column] else math.nan


def cost(have: Measured, estimator: str, case: str, column: str) -> float:
    """The cost of the fit of a case; one that missed a rate is not cheap, it is a failure.

    Raises:
        CaseFailed: there is no such cell, or a rate of it has no gap.
    """
    for band in BANDS:
        point(have, estimator, case, band)
    (cell,) = rows(have, "cells", estimator, case)
    value = number(cell, column)
    if not math.isfinite(value):
        raise CaseFailed(f"{estimator} on {case}: no {column}")
    return value
