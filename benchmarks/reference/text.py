"""The pages around the statements. No number is written by hand here."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reference.cells import Missing
from benchmarks.reference.statements import (
    BAD,
    USELESS,
    below_zero,
    failures_list,
    fields,
    impossible,
    kinds_table,
    leaders_table,
    the_run,
)
from rdbench.run.records import CellRecord

_HEAD = """# The reference run

At the default budget, one thread a cell. This page is computed from the records: change
nothing in it by hand (`python -m benchmarks.reference page`).

```
make reference      # runs what is missing, then makes the tables and the page; go on after Ctrl-C
```

| file | what it is |
|---|---|
| `records.jsonl` | every cell, failures included: `rdbench export --results results/reference` |
| [report.html](report.html) | all of it as one page: download it and open it |
| [worst_gap.md](worst_gap.md), [gap.md](gap.md) | the largest and the mean gap over the ladder |
| [claim_excess.md](claim_excess.md) | what is claimed less what the audit finds |
| [conditional_error.md](conditional_error.md) | the error of p(y\\|x) where the best is known |
| [cpu_s.md](cpu_s.md) | CPU seconds of a fit, one ladder, without the audit |
| [not_run.md](not_run.md) | what has no record, yet or at all |
| `figures/` | a picture of every suite |
| `points.parquet`, [dictionary.md](dictionary.md) | every point, and what its columns mean |
| `manifest.json` | versions, commits and checksums |

Gaps in nats per symbol, over the whole ladder of a case and all its seeds; [a, b] is a 95%
interval, ≤ an upper end where the audit bounds the gap from above only
([how to read the tables](../../docs/tables.md)).

## The run

"""
_KINDS = """
## Which one to use

Ranked by the number of cases on which an estimator is best or not shown to be worse, then by its
largest gap on all cases of the kind; three at most. Estimators that the plan has not run there yet
cannot be named ([not_run.md](not_run.md)).

"""
_LEADERS = f"""
## Which estimator is best on which case

The first name has the smallest mean gap of those with a gap at every slope; the others in its
field are not shown to be worse by the paired interval on the same symbols. Points where the fit
moved nothing have no rank. Seeds that all have are compared. Gap and cost are of the first name.
Who lacks a gap somewhere cannot be first; where its points are as good, it is named beside.
"Nobody": even the first is more than {USELESS:g} nats off at some rate.

"""
_FAILURES = f"""
## Where each fails

Within {BAD:g} nats: the upper end of the largest gap over the ladder is; more than that: its lower
end is. What lies between is counted in neither.

"""
_FALSE = """
## Rows that cannot be

R or D below zero, or below the curve, by more than their 95% intervals allow, which some points on
the curve do by chance:

"""
_BELOW = f"""
Gaps more than {BAD:g} nats below zero, whose interval alone says something (a lower bound above the
truth, where the audit's draws miss the largest c):

"""
_NOT_RUN = """# What is not run

Cells without a record. `planned`: `make reference` runs them. `cut`: five hours of two cores do not
last for them (`benchmarks/reference/plan.py`). Neither: the suite `paper`, which is in
[results/paper](../paper/README.md), and the presets `paper`, which are in
[results/papers](../papers/README.md).

| | suite | estimator | cases | seeds |
|---|---|---|---|---|
"""


def readme(records: Sequence[CellRecord]) -> str:
    """README.md of the run."""
    found = fields(records)
    false = impossible(found)
    rows = _list(false) + _BELOW + _list(below_zero(found))
    return (
        _HEAD + the_run(records) + _KINDS + kinds_table(found) + _LEADERS + leaders_table(found)
        + _FAILURES + failures_list(found) + _FALSE + rows
    )  # fmt: skip


def _list(rows: Sequence[str]) -> str:
    return "".join(f"- {row}\n" for row in rows) or "None.\n"


def not_run_page(rows: Sequence[Missing]) -> str:
    """not_run.md: a line for every suite and estimator."""
    return _NOT_RUN + "".join(
        f"| {'planned' if row.planned else 'cut'} | {row.suite} | `{row.estimator}` "
        f"| {', '.join(row.cases)} | {', '.join(map(str, row.seeds))} |\n"
        for row in rows
    )
