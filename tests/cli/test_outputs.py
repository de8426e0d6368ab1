"""Files that commands write: in the format of their ending, and never over the records."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from rdbench.cli import main
from rdbench.report.csv_file import csv_parts
from rdbench.run.reading import drawn
from rdbench.run.records import Draws
from rdbench.run.store import FILES, RECORDS


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


def test_draws_are_exported_without_all_of_them_in_memory(tmp_path, capsys, monkeypatch, gaussian):
    """The CSV is that of all records at once; no more than a slice has its draws at a time."""
    draws = Draws(x=[[0.5]], y=[[[1.0], [2.0]]], source=[[0.25]], reproduction=[[0.5]])
    records = []
    for number in range(5):
        made = gaussian(cell=f"{number:016x}", seed=number)
        points = [msgspec.structs.replace(one, draws=draws) for one in made.points]
        records.append(msgspec.structs.replace(made, points=points if number != 2 else made.points))
    lines = [msgspec.json.encode(record) + b"\n" for record in records]
    (tmp_path / RECORDS).write_bytes(b"".join(lines))
    expected = "".join(csv_parts(records, "draws"))
    asked = []

    def noted(folder, loaded, cells):
        asked.append(list(cells))
        return drawn(folder, loaded, asked[-1])

    monkeypatch.setattr("rdbench.cli.stored.drawn", noted)
    monkeypatch.setattr("rdbench.report.csv_file._AT_ONCE_OF_DRAWS", 2)
    assert main(["export", "--results", str(tmp_path), "--what", "draws"]) == 0
    assert capsys.readouterr().out == expected
    assert expected.count("\n") == 1 + 4 * 2 * 3
    # Shapes are checked by single records here: they are read one by one.
    assert [len(one) for one in asked if len(one) > 1] == [2, 2]
    assert max(map(len, asked)) == 2
