"""Files that commands write: in the format of their ending, and never over the records."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from rdbench.cli import main
from rdbench.run.store import FILES


@pytest.mark.parametrize(("name", "read"), [("y.csv", pd.read_csv), ("y.parquet", pd.read_parquet)])
def test_the_ending_gives_the_format_of_an_export(results, tmp_path, name, read):
    assert main(["export", "--results", str(results), "--out", str(tmp_path / name)]) == 0
    assert list(read(tmp_path / name)["rate"]) == [1.5, 3.0]


@pytest.mark.parametrize(
    ("name", "has"), [("t.md", "| "), ("t.tex", r"\toprule"), ("t.html", "<table"), ("t.csv", ",")]
)
def test_the_ending_gives_the_format_of_a_table(results, tmp_path, capsys, name, has):
    assert main(["table", "--results", str(results), "--out", str(tmp_path / name)]) == 0
    assert has in (tmp_path / name).read_text()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["export", "--out", "y.xlsx"], "by its ending; valid: .csv, .parquet"),
        (["export", "--out", "y"], "by its ending; valid: .csv, .parquet"),
        (["export", "--out", "y.csv", "--format", "parquet"], "contradict"),
        (["export", "--format", "xlsx"], "unknown format 'xlsx'; valid: csv, parquet"),
        (["table", "--out", "t.pdf"], "by its ending; valid: .md, .tex, .csv, .html"),
        (["table", "--out", "nowhere/t.md"], "cannot write nowhere/t.md"),
    ],
)
def test_an_ending_that_says_nothing_is_refused(results, monkeypatch, tmp_path, capsys, args, says):
    monkeypatch.chdir(tmp_path)
    assert main([*args, "--results", str(results)]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.mark.parametrize(
    "command", [["export", "--format", "csv"], ["table", "--format", "md"], ["report"]]
)
@pytest.mark.parametrize("out", [*FILES, ".", "link.csv", "../elsewhere/records.jsonl"])
def test_no_output_replaces_records(results: Path, capsys, command, out):
    (results / "link.csv").symlink_to("records.jsonl")
    before = (results / "records.jsonl").read_bytes()
    assert main([*command, "--results", str(results), "--out", str(results / out)]) == 2
    err = capsys.readouterr().err
    assert "it holds the records" in err or "it is the results folder" in err
    assert (results / "records.jsonl").read_bytes() == before
