"""The tables committed in results/ are those that the present code makes of the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reference.cells import not_run, planned
from benchmarks.reference.plan import parts, wished
from benchmarks.reference.statements import fields, impossible
from benchmarks.reference.text import not_run_page, readme
from rdbench.report.tables import metric_table
from rdbench.run.store import load

RESULTS = Path(__file__).resolve().parent.parent / "results"
METRICS = ("gap", "worst_gap", "claim_excess", "conditional_error", "cpu_s")


@pytest.mark.parametrize("metric", METRICS)
def test_the_tables_of_the_reference_run_are_those_of_its_records(metric: str) -> None:
    records = list(load(RESULTS / "reference").records.values())
    made = metric_table(records, metric, "suite,case,estimator", "md", "nats").text
    assert (RESULTS / "reference" / f"{metric}.md").read_text() == made.rstrip("\n") + "\n"


def test_every_number_of_the_page_of_the_reference_run_is_computed_from_its_records() -> None:
    records = load(RESULTS / "reference").records
    assert (RESULTS / "reference" / "README.md").read_text() == readme(list(records.values()))


def test_what_of_the_plan_is_not_run_is_said() -> None:
    records = load(RESULTS / "reference").records
    said = (RESULTS / "reference" / "not_run.md").read_text()
    left = not_run(planned(parts()), planned(wished()), records.values())
    assert said == not_run_page(left)


PAPERS = sorted(path.parent for path in RESULTS.glob("papers/*/records/records.jsonl"))


@pytest.mark.parametrize(
    "folder", ["reference", "paper/records", *(str(path.relative_to(RESULTS)) for path in PAPERS)]
)
def test_every_committed_record_can_be_read(folder: str) -> None:
    loaded = load(RESULTS / folder)
    assert loaded.warnings == []
    assert loaded.records


@pytest.mark.parametrize(
    "folder",
    ["reference", "paper/records", "race", *(str(path.relative_to(RESULTS)) for path in PAPERS)],
)
def test_no_committed_row_is_one_that_cannot_be(folder: str) -> None:
    assert impossible(fields(list(load(RESULTS / folder).records.values()))) == []
