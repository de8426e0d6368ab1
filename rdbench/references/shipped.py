"""The certified values that come with the package: one JSON table for each case.

A table holds the slopes of the target rates and, for every slope, a certificate with its two
neighbours (their brackets alone), each under its content key: a table that was computed for
another problem or another version of the solvers is not found, it never answers.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from rdbench.certify.certificate import Certificate
from rdbench.certify.rates import Known
from rdbench.certify.store import from_plain, to_plain

_PACKAGE = "rdbench.references.data"


@dataclass(frozen=True)
class Table:
    """The shipped values of one case."""

    slopes: dict[str, float] = field(default_factory=dict)
    """Slope by rate (as `rate_name` writes it)."""
    centres: dict[str, Certificate] = field(default_factory=dict)
    """Certificates with their atoms, by content key."""
    sides: dict[str, Known] = field(default_factory=dict)
    """Neighbours, by content key."""


def rate_name(rate: float) -> str:
    """A target rate as the key of a table."""
    return format(rate, ".9g")


@functools.cache
def shipped(case: str) -> Table:
    """The table of a case; empty where none is shipped."""
    (file,) = shipped_file(case) or (None,)
    return read_table(json.loads(file.read_text())) if file is not None else Table()


def shipped_file(case: str) -> tuple[Path, ...]:
    """The file of a case's table; empty where none is shipped."""
    file = Path(str(resources.files(_PACKAGE))) / f"{case}.json"
    return (file,) if case and file.is_file() else ()


def read_table(plain: dict[str, Any]) -> Table:
    """A table from JSON values."""
    rungs = plain["rungs"]
    return Table(
        {rate_name(r["rate"]): r["certificate"]["beta"] for r in rungs},
        {r["key"]: from_plain(r["certificate"]) for r in rungs},
        {s["key"]: Known(s["beta"], s["lo"], s["hi"]) for r in rungs for s in r["sides"]},
    )


def plain_rung(
    rate: float, key: str, centre: Certificate, sides: dict[str, Known]
) -> dict[str, Any]:
    """One rung of a table as JSON values; of bounds without the marginal, which is no optimum."""
    plain = to_plain(centre)
    if centre.kind == "bounds":
        plain |= {"points": [], "weights": []}
    return {
        "rate": rate,
        "key": key,
        "certificate": plain,
        "sides": [{"key": k, "beta": s.beta, "lo": s.lo, "hi": s.hi} for k, s in sides.items()],
    }
