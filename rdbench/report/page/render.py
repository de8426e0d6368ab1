"""The page as one file: template, style, scripts and data, with a policy that lets nothing in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2

from rdbench.report.files import write_whole
from rdbench.report.page.content import page_data
from rdbench.report.page.facts import facts
from rdbench.report.page.kept import MOST_POINTS, kept
from rdbench.report.page.pack import script_json
from rdbench.report.page.problems import Finite
from rdbench.report.series import Sources
from rdbench.report.style import Look
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord
from rdbench.version import __version__

SCRIPTS = (
    "dom", "numbers", "data", "folds", "filters", "chooser", "address", "answers", "overview",
    "board", "points", "scales", "marks", "frame", "curve", "gaps", "claims", "costs", "race",
    "suites", "samples", "cases", "failures", "cells", "main",
)  # fmt: skip
"""The scripts in the order in which they become one."""
TITLE = "Rate-distortion estimators, audited"


def render(
    records: Sequence[CellRecord],
    title: str | None = None,
    units: str = "nats",
    looks: Mapping[str, Look] | None = None,
    warnings: Sequence[str] = (),
    sources: Sources | None = None,
    finite: Finite | None = None,
) -> str:
    """The page of ``records``; equal records give an equal page.

    Args:
        records: finished cells, in any order; none gives a page that says so.
        title: the heading; a plain one by default.
        units: in which the page opens, ``nats`` or ``bits``; a reader can switch.
        looks: colours and markers that estimators ask for, by name.
        warnings: what could not be read of the results; shown on the page.
        sources: where more of the truth is known than the records say.
        finite: whether the source of a case has finitely many points, where that is known.

    Raises:
        RdbenchError: an unknown unit.
    """
    nats_per(units)
    data = page_data(records, looks, units, sources, finite)
    style = _source("page.css")
    script = _script()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_source("page.html")).render(
        title=title or TITLE,
        facts=facts(records),
        warnings=warnings,
        left_out=_left_out(records),
        version=__version__,
        policy=_policy(style, script),
        style=style,
        script=script,
        data=script_json(data),
    )


def write(page: str, out: Path) -> int:
    """Write the page whole or not at all, and return its size in bytes.

    Raises:
        RdbenchError: it cannot be written.
    """
    raw = page.encode("utf-8", "replace")  # half a surrogate pair is no UTF-8
    write_whole(raw, out)
    return len(raw)


def _left_out(records: Sequence[CellRecord]) -> str:
    """What the page does not hold, in words; empty where it holds everything."""
    found = kept(records)
    if found.seeds is None:
        return ""
    points = sum(len(records[place].points) for place in found.places)
    total = sum(len(record.points) for record in records)
    seeds = "seed" if found.seeds == 1 else f"{found.seeds} seeds"
    return (
        f"This page leaves out {len(records) - len(found.places):,} of {len(records):,} cells: it "
        f"holds at most {MOST_POINTS:,} points one by one, and of {total:,} these are the "
        f"{points:,} of the first {seeds} of every estimator on every case. Its pictures, points "
        "and cells are of those; its choices, leaderboards and failures are of all."
    )


def _script() -> str:
    """All scripts as one function, and what calls it."""
    parts = [_source(f"{name}.js") for name in SCRIPTS]
    return "\n".join(['"use strict";', "function page() {", *parts, "}", _source("start.js")])


def _policy(style: str, script: str) -> str:
    """The content security policy: nothing but our own style and script, and no string as HTML."""
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _source(name: str) -> str:
    return (files("rdbench.report.page") / name).read_text(encoding="utf-8")
