"""Some of the records: by case, by estimator."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from rdbench.outcomes import RdbenchError, unknown
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord


def selected(
    records: Sequence[CellRecord], cases: str | None = None, estimators: Sequence[str] | None = None
) -> tuple[list[CellRecord], list[str]]:
    """The records of some cases and estimators, and the labels of the latter in the order given.

    Args:
        records: the cells to choose from.
        cases: a pattern such as ``paper*`` of the names of cases, or of SUITE/NAME; None for all.
        estimators: labels such as ``nerd:paper``, or patterns such as ``nerd*``; None for all, in
            order of their labels.

    Raises:
        RdbenchError: a pattern or a label that no record fits.
    """
    if cases is not None:
        names = {(one.suite, one.case) for one in records}
        fitting = {(s, c) for s, c in names if any(fnmatchcase(n, cases) for n in (c, f"{s}/{c}"))}
        if not fitting:
            raise unknown("case", cases, sorted({c for _, c in names}))
        records = [one for one in records if (one.suite, one.case) in fitting]
    stored = sorted({estimator_label(one) for one in records})
    if estimators is None:
        return list(records), stored
    if not estimators:
        raise RdbenchError(f"no estimator given; stored: {', '.join(stored)}")
    labels: dict[str, None] = {}
    for wanted in estimators:
        # A label may have brackets, which a pattern would take for a set of letters.
        found = [one for one in stored if one == wanted or fnmatchcase(one, wanted)]
        if not found:
            raise unknown("stored estimator", wanted, stored)
        labels |= dict.fromkeys(found)
    return [one for one in records if estimator_label(one) in labels], list(labels)
