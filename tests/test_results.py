"""The tables committed in results/ are those that the present code makes of the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbench.report.tables import metric_table
from rdbench.run.store import load

RESULTS = Path(__file__).resolve().parent.parent / "results"
METRICS = ("gap", "worst_gap", "claim_excess", "conditional_error", "cpu_s")


@pytest.mark.parametrize("metric", METRICS)
def test_the_tables_of_the_reference_run_are_those_of_its_records(metric: str) -> None:
    records = list(load(RESULTS / "reference").records.values())
    made = metric_table(records, metric, "suite,case,estimator", "md", "nats").text
    assert (RESULTS / "reference" / f"{metric}.md").read_text() == made.rstrip("\n") + "\n"


PAPERS = sorted(path.parent for path in RESULTS.glob("papers/*/records/records.jsonl"))


@pytest.mark.parametrize(
    "folder", ["reference", "paper/records", *(str(path.relative_to(RESULTS)) for path in PAPERS)]
)
def test_every_committed_record_can_be_read(folder: str) -> None:
    loaded = load(RESULTS / folder)
    assert loaded.warnings == []
    assert loaded.records
