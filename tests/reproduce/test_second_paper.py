"""A second paper is a folder with a list of cells and a file of numbers: it is found, run, told."""

from __future__ import annotations

import csv
import shutil

import pytest

from rdbench.cli import main
from rdbench.cli import paper as cli_paper
from rdbench.reproduce import paper as papers
from rdbench.run.store import load

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(scope="module")
def out(toy, tmp_path_factory):
    """The paper as the command made it, from nothing."""
    out = tmp_path_factory.mktemp("second")
    assert main(["paper", "toy", "--out", str(out)]) == 0
    return out


def test_it_is_listed_beside_the_first(capsys):
    assert main(["paper"]) == 0
    listed = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert {"ebrd", "toy"} <= set(listed)
    assert main(["paper", "nope", "--out", "x"]) == 2
    valid = ", ".join([*listed, "all"])
    assert capsys.readouterr().err.endswith(f"unknown paper 'nope'; valid: {valid}\n")


def test_it_is_run_drawn_and_compared(out):
    (record,) = load(out / "records").records.values()
    assert record.status == "ok"
    assert {"README.md", "published.tex", "table-1.md", "figure-1.png", "tables.tex"} <= {
        path.name for path in out.iterdir()
    }
    with (out / "published.csv").open(newline="") as file:
        truth, ours, gap = csv.DictReader(file)
    assert truth["verdict"] == "agrees"  # R(1/4) = log2(4) / 2 bits
    assert float(ours["ours_lo"]) <= float(ours["ours_hi"])
    assert gap["verdict"] == "does not agree"
    page = (out / "README.md").read_text()
    assert "| equation (2) | the gap is 1 nat | gaussian | mixture_em | gap | 1 nats |" in page


@pytest.fixture
def two(monkeypatch):
    """The toy and a paper without cells are all that is at hand."""
    monkeypatch.setattr(papers, "names", lambda: ["root_tracking", "toy"])


@pytest.mark.usefixtures("two")
def test_several_papers_have_a_folder_each(out, tmp_path, capsys):
    options = ["--results", str(out / "records"), "--dry-run", "--out", str(tmp_path / "all")]
    assert main(["paper", "all", *options]) == 0
    assert capsys.readouterr().out.count(" cells, ") == 2
    assert not (tmp_path / "all").exists()


@pytest.mark.usefixtures("two")
def test_all_papers_are_in_one_table(out, tmp_path, monkeypatch):
    monkeypatch.setattr(cli_paper, "run_cells", lambda *a, **k: pytest.fail("it ran"))
    shutil.copytree(out / "records", tmp_path / "toy" / "records")
    assert main(["paper", "all", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "root_tracking" / "figure-vanishing.png").is_file()
    with (tmp_path / "papers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["paper"] for row in rows} == {"root_tracking", "toy"}
    (gap,) = [row for row in rows if row["where"] == "equation (2)"]
    assert (gap["verdict"], float(gap["published_lo"])) == ("does not agree", 1.0)
    assert float(gap["intervals"]) < -1.0  # ours is smaller by more than its interval
    assert [row["verdict"] for row in rows].count("not compared") == 1
    page = (tmp_path / "README.md").read_text()
    assert "| toy | equation (2) | gaussian, gap | 1 nats | 0 nats | mixture_em |" in page
    assert "- root_tracking: agrees 1, does not agree 3, not compared 1" in page
