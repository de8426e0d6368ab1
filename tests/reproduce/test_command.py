"""``rdbench paper``: bad input, a whole run of a small paper, and again from its records."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rdbench.cli import main
from rdbench.cli import paper as cli_paper
from rdbench.cli.options import PaperOptions
from rdbench.cli.paper import execute
from rdbench.reproduce import paper as papers
from rdbench.reproduce.paper import Paper, Part
from rdbench.run.store import load

PART = Part("2", "Scalar sources", "paper", ("gaussian",), ("mixture_em",), rates=(1.0,))
DRAWN = replace(PART, name="5", draws=5)  # the same cell: it is run once and keeps draws
OTHER = replace(PART, name="side-by-side", estimators=("mixture_em[components=2]",))
TINY = Paper("A paper", Path(), (PART, DRAWN), (OTHER,), budget="quick", more_seeds=(1,))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The paper ``tiny`` alone is at hand."""
    _at_hand(monkeypatch, TINY)


def _at_hand(monkeypatch, paper):
    monkeypatch.setattr(papers, "names", lambda: ["tiny"])
    monkeypatch.setattr(papers, "load", lambda name: paper)


def request(out: Path, **changes) -> PaperOptions:
    return PaperOptions(name="tiny", out=out, **changes)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--jobs", "0"], "--jobs takes an integer from 1 up, got 0"),
        (["--threads", "0"], "--threads takes an integer from 1 up, got 0"),
        (["--units", "bans"], "--units takes nats or bits, got 'bans'"),
        (["--results", "{tmp}/nowhere"], "no results in"),
        (["--results", "{tmp}/empty"], "no records in"),
        (["--results", "{tmp}/foreign"], "no records in"),
        (["--out", "{tmp}/file"], "it is a file"),
        (["--out", "{tmp}/file", "--dry-run"], "it is a file"),
        (["--out", "{tmp}/file/below"], "cannot write in --out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_nothing_runs(tmp_path, capsys, monkeypatch, args, says):
    monkeypatch.setattr(cli_paper, "planned", lambda *a, **k: pytest.fail("it went on"))
    (tmp_path / "file").write_text("a file")
    for name, line in (("empty", ""), ("foreign", '{"schema": 99}\n')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_text(line)
    out = tmp_path / "out"
    given = [word.format(tmp=tmp_path) for word in args]
    assert main(["paper", "--out", str(out), *given]) == 2  # the later flag wins
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rdbench: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert not list(out.glob("*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["paper", "--out", str(tmp_path)]) == 2
    assert "cannot write in --out" in capsys.readouterr().err


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A whole run of the small recipe from nothing; its cell was told to keep draws."""
    out: Path = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        _at_hand(patch, TINY)
        assert execute(request(out)) == 0
    return out


def test_a_run_from_nothing_leaves_everything(done):
    (record,) = load(done / "records").records.values()
    assert record.status == "ok"
    draws = record.points[0].draws
    assert draws is not None
    assert len(draws.source) == 5
    names = {path.name for path in done.iterdir()}
    assert {"README.md", "tables.tex", "figure-2.csv", "figure-5-draws.csv", "table-2.tex",
            "table-2.md", "table-2.csv", "side-by-side.csv", "side-by-side-cpu.tex",
            "figure-2.png"} <= names  # fmt: skip
    page = (done / "README.md").read_text()
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (done / link).is_file(), link
    found = record.points[0]
    shown = found.gap_hi if found.side == "upper" else found.gap
    gap = re.sub("^-", "−", f"{shown:.3g}")
    assert gap in page
    assert gap in (done / "table-2.md").read_text()
    assert "needs --full" in page


def test_from_records_nothing_runs_and_the_same_is_written(done, capsys, monkeypatch):
    monkeypatch.setattr(cli_paper, "run_cells", lambda *a, **k: pytest.fail("it ran"))
    before = {p.name: p.read_bytes() for p in done.iterdir() if p.suffix in (".md", ".csv", ".tex")}
    assert execute(request(done)) == 0
    assert "1 cells, 1 stored already, 0 to run" in capsys.readouterr().out
    assert {name: (done / name).read_bytes() for name in before} == before


def test_full_shows_what_is_stored_and_runs_nothing(done, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli_paper, "run_cells", lambda *a, **k: pytest.fail("it ran"))
    given = request(tmp_path, results=done / "records", full=True)
    assert execute(given) == 0
    page = (tmp_path / "README.md").read_text()
    assert "not run" in page
    assert "Not run:\n\n- `mixture_em` seed 1: gaussian" in page
    assert "needs --full" not in page
    assert "--full" in page


def test_run_all_runs_what_full_only_shows_the_settings_of_hours_last(done, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(cli_paper, "run_cells", lambda cells, *_: ran.append(cells))
    (tmp_path / "records.jsonl").write_bytes((done / "records" / "records.jsonl").read_bytes())
    given = request(tmp_path / "out", results=tmp_path, run_all=True)
    assert execute(given) == 1  # nothing ran in truth
    assert [[(c.seed, c.label) for c in cells] for cells in ran] == [
        [(1, "mixture_em"), (0, "mixture_em[components=2]")],
    ]  # fmt: skip
    assert "paper tiny --full --out" in (tmp_path / "out" / "README.md").read_text()


def test_a_dry_run_lists_and_writes_nothing(done, tmp_path, capsys, monkeypatch):
    wider = replace(TINY, parts=(PART, replace(PART, name="4b", n_train=100)))
    locks = tmp_path / "records"  # as committed records are: without locks
    locks.mkdir()
    (locks / "records.jsonl").write_bytes((done / "records" / "records.jsonl").read_bytes())
    given = request(tmp_path / "out", results=locks, dry_run=True)
    _at_hand(monkeypatch, wider)
    assert execute(given) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["stored", "to"]
    assert "100 training points" in lines[2]
    assert list(tmp_path.iterdir()) == [locks]
    assert [path.name for path in locks.iterdir()] == ["records.jsonl"]
    assert execute(request(tmp_path / "out", dry_run=True)) == 0  # from nothing
    assert "0 stored already, 2 to run" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [locks]


def test_from_records_the_results_folder_is_only_read(done, tmp_path, monkeypatch):
    monkeypatch.setattr(cli_paper, "Store", lambda *a: pytest.fail("it was opened to write"))
    assert execute(request(tmp_path, results=done / "records")) == 0


def test_a_figure_that_fails_costs_nothing_else(done, tmp_path, capsys, monkeypatch):
    def fails(*args):
        raise ValueError("no ink")

    monkeypatch.setattr(cli_paper, "draw_curves", fails)
    assert execute(request(tmp_path, results=done / "records")) == 1
    assert "not made: figures: ValueError: no ink" in capsys.readouterr().err
    assert "**Not made**: figures: ValueError: no ink" in (tmp_path / "README.md").read_text()
    assert (tmp_path / "table-2.tex").is_file()


def test_a_cell_that_fails_makes_the_exit_code_one(tmp_path, monkeypatch):
    monkeypatch.setattr(cli_paper, "run_cells", lambda *a, **k: None)
    assert execute(request(tmp_path)) == 1
    assert "| not run |" in (tmp_path / "README.md").read_text()


def test_an_interrupt_keeps_what_is_done(tmp_path, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_paper, "run_cells", interrupt)
    assert execute(request(tmp_path)) == 130
    assert "0 of 1 cells done and kept; the same command continues" in capsys.readouterr().err


def test_papers_are_listed_and_an_unknown_one_is_told(capsys):
    assert main(["paper"]) == 0
    assert capsys.readouterr().out == "tiny  A paper\n"
    assert main(["paper", "tiny"]) == 2
    assert "rdbench paper tiny --out DIR" in capsys.readouterr().err
