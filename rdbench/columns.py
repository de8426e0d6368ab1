"""Every column of the tidy export, once: its name, its unit, what it says and where it is shown.

Records, export, tables, the report page and the documentation read this table; a new field of a
record is a line here. ``python -m rdbench.columns`` prints the table of docs/tables.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "whole", "number", "yes or no", "mapping"]
"""How a value is stored; a mapping is exported as JSON on one line."""
Part = Literal["cell", "cost", "provenance", "point", "checkpoint", "derived"]
"""The struct of `rdbench.run.records` that holds the field; ``derived`` values follow from others
or belong to rows that are no struct of their own."""
Unit = Literal["", "nats", "as rho", "nats per rho", "s", "MB", "fraction"]
"""``as rho``: of the distortion measure, summed over dimensions. Only nats are ever converted."""


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        name: in the export.
        part: where records keep it.
        kind: of its values.
        meaning: in one sentence, for readers of the export.
        unit: of a number.
        field: its name in the record where that differs.
        label: its heading where people read; by default the name without underscores.
    """

    name: str
    part: Part
    kind: Kind
    meaning: str
    unit: Unit = ""
    field: str = ""
    label: str = ""

    @property
    def source(self) -> str:
        """The name of the field in its struct."""
        return self.field or self.name

    @property
    def heading(self) -> str:
        """The title where people read."""
        return self.label or self.name.replace("_", " ")


HEAD = (
    Column("suite", "cell", "text", "the suite of the case"),
    Column("suite_version", "cell", "whole", "the version of the suite"),
    Column("case", "cell", "text", "the case: a source, a distortion measure and a ladder"),
    Column("cell", "cell", "text", "the identity of the run of one ladder"),
    Column("dim", "cell", "whole", "the dimension of the source"),
    Column("distortion", "cell", "text", "the distortion measure"),
    Column("estimator", "cell", "text", "the name of the estimator"),
    Column("preset", "cell", "text", "its preset"),
    Column("params", "cell", "mapping", "the hyper-parameters set on the command line"),
    Column("seed", "cell", "whole", "the seed of the run"),
    Column("budget", "cell", "text", "the budget of the run"),
    Column("n_train", "cell", "whole", "the size of the training set; empty for fresh draws"),
)
"""Of every row: the problem, and the estimator that was run on it."""

POINT = (
    Column("beta", "point", "number", "the slope β = −dR/dD", "nats per rho", label="β"),
    Column("target_rate", "point", "number", "the rate that the slope was chosen for", "nats"),
    Column("target_distortion", "point", "number", "the distortion that the slope was chosen for",
           "as rho"),
    Column("status", "point", "text", "`ok`, `not_converged`, `unsupported`, `timeout`, `crashed`, "
           "`error` or `out_of_memory`"),
    Column("reason", "point", "text", "why the status is not `ok`, or what to know of the point"),
    Column("claimed_rate", "point", "number", "R̂ by the estimator's own formula", "nats"),
    Column("claimed_distortion", "point", "number", "D̂ by the estimator's own formula", "as rho"),
    Column("claimed_lagrangian", "point", "number", "F_lo as the estimator of a lower bound finds "
           "it", "nats"),
    Column("claimed_side", "point", "text", "whether the estimator calls its claim `exact`, "
           "`upper`, `lower` or an `estimate`"),
    Column("claimed_gap", "derived", "number", "C − F\\* with C = R̂ + βD̂, by the middle of the "
           "bracket on F\\*; of a lower bound F\\* − C with C = `claimed_lagrangian`", "nats"),
    Column("claim_excess", "derived", "number", "C − `lagrangian`, of a lower bound "
           "`lagrangian` − C; negative: better than found", "nats"),
    Column("claim", "derived", "text", "the verdict on the claim"),
    Column("rate", "point", "number", "the audited R", "nats"),
    Column("distortion_value", "point", "number", "the audited D", "as rho", "distortion",
           "distortion"),
    Column("lagrangian", "point", "number", "the audited F(q); of a lower bound F_lo", "nats"),
    Column("lagrangian_lo", "point", "number", "lower end of its 95% interval: what is trusted of "
           "a lower bound, R ≥ `lagrangian_lo` − βD", "nats"),
    Column("lagrangian_hi", "point", "number", "upper end of the same interval", "nats"),
    Column("evidence", "point", "text", "how that is known: `closed form`, `certified` (exact sums "
           "and a rigorous maximum), `searched` (exact sums, a maximum that was searched for) or "
           "`sampled`"),
    Column("gap", "point", "number", "the audited F(q) − F\\*: the score; of a lower bound "
           "F\\* − F_lo", "nats"),
    Column("gap_lo", "point", "number", "lower end of its 95% interval, the bracket on F\\* "
           "included", "nats"),
    Column("gap_hi", "point", "number", "upper end of the same interval", "nats"),
    Column("gap_paper_protocol", "point", "number", "the gap by Appendix A of the EBRD paper",
           "nats"),
    Column("n_paper_protocol", "point", "whole", "its number N of draws of q"),
    Column("log_n_paper_protocol", "derived", "number", "log N, which its rate never exceeds",
           "nats"),
    Column("paper_protocol_saturated", "derived", "yes or no", "whether the true rate exceeds "
           "log N"),
    Column("truth_lo", "point", "number", "lower end of the bracket on F\\*", "nats"),
    Column("truth_hi", "point", "number", "upper end of the bracket on F\\*", "nats"),
    Column("truth_kind", "point", "text", "how the truth is known: `closed form`, `certified`, "
           "`bounds`, ..."),
    Column("rate_lo", "point", "number", "lower end of the bracket on R\\*", "nats"),
    Column("rate_hi", "point", "number", "upper end of the bracket on R\\*", "nats"),
    Column("dist_lo", "point", "number", "lower end of the bracket on D\\*", "as rho"),
    Column("dist_hi", "point", "number", "upper end of the bracket on D\\*", "as rho"),
    Column("side", "point", "text", "what the interval of the gap is of: `exact`, F(q) itself; "
           "`upper`, only `gap_hi` is meant; `estimate`, neither end is guaranteed; "
           "`lower`, of F\\* − F_lo, a lower bound"),
    Column("audit_method", "point", "text", "the method of the audit"),
    Column("ess", "point", "number", "effective sample size of the audit", "fraction", label="ESS"),
    Column("rate_error", "point", "number", "R − R(D), the middle of a difference of brackets",
           "nats"),
    Column("rate_error_lo", "point", "number", "lower end of that difference", "nats"),
    Column("rate_error_hi", "point", "number", "upper end of that difference", "nats"),
    Column("rate_half", "point", "number", "half the width of the 95% interval of `rate`", "nats"),
    Column("distortion_half", "point", "number", "half the width of the 95% interval of "
           "`distortion_value`", "as rho"),
    Column("gap_common_se", "point", "number", "the standard error of `gap` that all blocks share: "
           "log Z, draws of q", "nats"),
    Column("q_is", "point", "text", "the family of q; `its start` where the fit moved nothing",
           label="q is"),
    Column("started_from", "point", "text", "the reproduction marginal that the fit began from"),
    Column("gain", "point", "number", "F(start) − F(q), on the same symbols", "nats",
           label="gain over start"),
    Column("gain_lo", "point", "number", "lower end of its 95% interval", "nats"),
    Column("gain_hi", "point", "number", "upper end of its 95% interval", "nats"),
    Column("conditional_kind", "point", "text", "`boltzmann` or `encoder`"),
    Column("conditional_error", "point", "number", "energy distance of p(y\\|x) to the optimal "
           "one, relative to the spread of that", "fraction"),
    Column("conditional_lo", "point", "number", "lower end of its 95% interval", "fraction"),
    Column("conditional_hi", "point", "number", "upper end of its 95% interval", "fraction"),
    Column("conditional_floor", "point", "number", "the error that exact draws exceed in 5% of "
           "cases", "fraction"),
    Column("mode_mass_error", "point", "number", "the largest error of the probability of a mode",
           "fraction"),
)  # fmt: skip
"""Of one slope: the claim, the audit and the truth."""

AUDIT_S = Column("audit_s", "point", "number", "seconds of the audit of the point", "s")
"""In a table of cells: of all its points."""
_CLOCKS = (
    Column("wall_s", "cost", "number", "wall-clock seconds of the fit of the ladder", "s"),
    Column(
        "cpu_s",
        "cost",
        "number",
        "CPU seconds of the fit of the ladder, those of the processes that it starts included",
        "s",
    ),
)
_COUNTS = (
    Column(
        "peak_rss_mb",
        "cost",
        "number",
        "peak memory of the fit, of all its processes together",
        "MB",
    ),
    Column("n_source_samples", "cost", "whole", "source symbols that the fit drew"),
    Column("gradient_steps", "cost", "whole", "gradient steps of the fit"),
    Column("n_parameters", "cost", "whole", "parameters of the model"),
    Column("effort", "cost", "number", "the multiplier of the estimator's steps and samples"),
)
COST = (*_CLOCKS, *_COUNTS)
"""Of the whole fit of a ladder, repeated on its rows: never sum it over rows."""
MACHINE = (
    Column("device", "provenance", "text", "`cpu` or `cuda`"),
    Column("threads", "provenance", "whole", "threads of the cell"),
    Column("jobs", "provenance", "whole", "cells that ran at the same time, at most"),
    Column("commit", "provenance", "text", "the commit of the code"),
    Column("dirty", "provenance", "yes or no", "whether the code had uncommitted changes"),
    Column("schema", "cell", "whole", "the schema of the record"),
    Column("versions", "provenance", "mapping", "the versions of the packages"),
)
"""Where and by what a row was made."""
ORIGIN = (
    Column("processor", "provenance", "text", "the processor"),
    Column("platform", "provenance", "text", "the operating system"),
    Column("started", "provenance", "text", "when the cell started, ISO 8601"),
    Column("finished", "provenance", "text", "when the cell ended, ISO 8601"),
)
CELL = (
    Column("status", "cell", "text", "the worst status of the points, or how the process ended"),
    Column("reason", "cell", "text", "why the status is not `ok`"),
    Column("n_points", "derived", "whole", "the points of the ladder"),
    Column("n_ok", "derived", "whole", "those that are `ok`"),
    Column("good_to", "derived", "number", "the highest rate up to which every `gap_hi` ≤ 0.05 "
           "nats", "nats"),
)  # fmt: skip
FIELDS = (
    Column("fields", "cell", "mapping", "every hyper-parameter as it was used"),
    Column(
        "data",
        "cell",
        "mapping",
        "data of one's own: the file, what its rows stand for, the distortion measure, a digest",
    ),
    Column("estimator_file", "cell", "text", "the file of an estimator given as FILE.py:CLASS"),
    Column("traceback", "cell", "text", "the traceback of a cell that failed"),
)
BLOCK = (
    Column("block", "derived", "whole", "a block of the audit's symbols, counted from 0"),
    Column("gap_block", "derived", "number", "the mean of f − f\\* over it", "nats"),
)
CHECKPOINT = (
    Column("beta", "checkpoint", "number", "the slope", "nats per rho"),
    Column("wall_s", "checkpoint", "number", "wall-clock seconds of fitting until then", "s"),
    Column("cpu_s", "checkpoint", "number", "CPU seconds of fitting until then", "s"),
    Column("gap", "checkpoint", "number", "the audited gap at the checkpoint", "nats"),
    Column("gap_lo", "checkpoint", "number", "lower end of its 95% interval", "nats"),
    Column("gap_hi", "checkpoint", "number", "upper end of its 95% interval", "nats"),
)
DRAW = (
    Column("law", "derived", "text", "`conditional`, of p(y\\|x) at a fixed symbol, or `joint`"),
    Column("symbol", "derived", "whole", "the number of the fixed symbol"),
    Column("x1", "derived", "number", "a coordinate of the symbol", "as rho"),
    Column("x2", "derived", "number", "its other one", "as rho"),
    Column("y1", "derived", "number", "a coordinate of the reproduction", "as rho"),
    Column("y2", "derived", "number", "its other one", "as rho"),
)


def of_point(*names: str) -> tuple[Column, ...]:
    """Columns of ``POINT`` by name, in the order of ``names``."""
    known = {column.name: column for column in POINT}
    return tuple(known[name] for name in names)


TABLES: Mapping[str, tuple[Column, ...]] = {
    "points": (*HEAD, *POINT, *_CLOCKS, AUDIT_S, *_COUNTS, *MACHINE),
    "blocks": (
        *HEAD, *of_point("beta", "target_rate"), *BLOCK, *of_point("gap_common_se", "side"),
    ),
    "cells": (*HEAD, *CELL, *_CLOCKS, AUDIT_S, *_COUNTS, *MACHINE, *ORIGIN, *FIELDS),
    "traces": (*HEAD, *CHECKPOINT, *MACHINE),
    "draws": (*HEAD, *of_point("beta", "target_rate"), *DRAW),
}  # fmt: skip
"""The tables of ``rdbench export --what`` and their columns, in order."""


def markdown() -> str:
    """The table of all columns for the documentation: every column of every table, once."""
    tables: dict[Column, list[str]] = {}
    for table, columns in TABLES.items():
        for column in columns:
            tables.setdefault(column, []).append(table)
    rows = ["| column | of | unit | meaning |", "|---|---|---|---|"]
    for column, found in tables.items():
        where = "all" if len(found) == len(TABLES) else ", ".join(found)
        rows.append(f"| `{column.name}` | {where} | {column.unit} | {column.meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
