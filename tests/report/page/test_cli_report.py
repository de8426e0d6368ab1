"""``rdbench report``: what it writes, says and refuses."""

from __future__ import annotations

import json

import msgspec
import pytest

from rdbench.cli import main


@pytest.fixture
def results(tmp_path, cell):
    """A results folder with one cell of an estimator that is not installed."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "records.jsonl").write_bytes(msgspec.json.encode(cell()) + b"\n")
    return folder


def run(*args: object) -> int:
    return main(["report", *map(str, args)])


def test_it_writes_the_page_and_says_how_large_it_is(results, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert run("--results", results, "--out", out, "--title", "A <title>") == 0
    assert "A &lt;title&gt;" in out.read_text()
    assert f"page: {out} (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--units", "bans"], "nats or bits"),
        (["--out", "missing/page.html"], "cannot write missing/page.html"),
        (["--out", "."], "it is a folder"),
        (["--out", "/dev/null"], "it is no regular file"),
        (["--out", "results/records.jsonl"], "it holds the records"),
        (["--results", "missing"], "no results in missing"),
    ],
)
def test_bad_input_is_one_line_and_code_2(results, tmp_path, monkeypatch, capsys, args, says):
    monkeypatch.chdir(tmp_path)
    assert run("--results", results, *args) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


def test_an_empty_folder_gives_a_page(tmp_path):
    (tmp_path / "records.jsonl").touch()
    assert run("--results", tmp_path, "--out", tmp_path / "page.html") == 0
    assert "no cell has finished" in (tmp_path / "page.html").read_text()


def test_older_records_are_read_and_unknown_ones_named_on_the_page(results, tmp_path, capsys):
    path = results / "records.jsonl"
    line = json.loads(path.read_text())
    older = {**line, "schema": 1, "cell": "b" * 16}
    newer = {**line, "schema": 99, "cell": "c" * 16}
    path.write_text("".join(json.dumps(one) + "\n" for one in (line, older, newer)) + '{"torn')
    assert run("--results", results, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "2 points in 2 cells" in page
    assert "records.jsonl line 3: its schema 99 is newer" in page
    assert "torn last line" in page
    assert str(tmp_path) not in page
    assert capsys.readouterr().err.count("warning") == 2
