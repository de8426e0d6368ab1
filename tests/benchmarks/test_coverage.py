"""The audit's own tables go on where they were, under the names that are committed."""

import csv
from functools import partial
from pathlib import Path

import pytest

from benchmarks.coverage import __main__ as coverage

COMMITTED = Path(__file__).resolve().parents[2] / "results" / "audit"


def test_a_row_that_is_there_is_not_computed_again(monkeypatch, tmp_path):
    computed = []

    def work(case, q):
        computed.append(f"{case} {q}")
        return [{"case": case, "q": q, "error": "0.1"}]

    def table():
        for case, q in (("a", "atoms"), ("a", "gaussian"), ("b", "atoms")):
            yield f"{case} {q}", partial(work, case, q)

    monkeypatch.setitem(coverage.TABLES, "rates", table)
    (tmp_path / "rates.csv").write_text("case,q,error\na,gaussian,0.2\n")
    coverage.compute("rates", tmp_path)
    coverage.compute("rates", tmp_path)
    assert computed == ["a atoms", "b atoms"]
    assert (tmp_path / "rates.md").read_text().splitlines() == [
        "| case | q | error |",
        "| --- | --- | --- |",
        "| a | gaussian | 0.2 |",
        "| a | atoms | 0.1 |",
        "| b | atoms | 0.1 |",
    ]


@pytest.mark.parametrize("name", ["coverage", "rates", "mixtures"])  # `heavy` trains first
def test_what_is_committed_is_known_by_its_name_and_readable(name):
    with (COMMITTED / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {coverage._key(row) for row in rows} <= {key for key, _ in coverage.TABLES[name]()}
    assert coverage.markdown(rows) == (COMMITTED / f"{name}.md").read_text()
