"""The head of the page: how many results there are, and when, where and by what they were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord


def facts(records: Sequence[CellRecord]) -> dict[str, Any]:
    """The facts of all records: counts, times (ISO 8601), commits, versions, machines, seeds.

    Seconds are CPU seconds of the fits and wall-clock seconds of the audits, summed over cells,
    None where none is known. ``statuses`` counts points, ``empty_statuses`` cells without any.
    """
    made = [record.provenance for record in records]
    points = [point for record in records for point in record.points]
    return {
        "suites": len({record.suite for record in records}),
        "cases": len({(record.suite, record.case) for record in records}),
        "estimators": len({estimator_label(record) for record in records}),
        "cells": len(records),
        "points": len(points),
        "statuses": dict(Counter(point.status for point in points).most_common()),
        "empty_cells": sum(not record.points for record in records),
        "empty_statuses": dict(Counter(r.status for r in records if not r.points).most_common()),
        "started": min((one.started for one in made if one.started), default=None),
        "finished": max((one.finished for one in made if one.finished), default=None),
        "commits": [
            f"{commit[:12]}{' with changes' if dirty else ''}"
            for commit, dirty in sorted({(one.commit, bool(one.dirty)) for one in made})
        ],
        "versions": sorted({_versions(one.versions) for one in made}),
        "machines": sorted({f"{one.processor}, {one.platform}, {one.device}" for one in made}),
        "threads": sorted({one.threads for one in made}),
        "jobs": sorted({one.jobs for one in made}),
        "seeds": sorted({record.seed for record in records}),
        "budgets": sorted({record.budget for record in records}),
        "n_train": sorted({r.n_train for r in records if r.n_train is not None}),
        "fit_s": _total([record.cost.cpu_s for record in records]),
        "audit_s": _total([point.audit_s for point in points]),
    }


def _total(seconds: Sequence[float | None]) -> float | None:
    """The sum of what is known, None where nothing is."""
    known = [one for one in seconds if one is not None]
    return sum(known) if known else None


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
