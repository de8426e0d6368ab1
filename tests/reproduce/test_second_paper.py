"""A second paper is a folder with a list of cells and a file of numbers: it is found, run, told."""

from __future__ import annotations

import csv

import pytest

from rdbench.cli import main
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
    assert listed == ["ebrd", "toy"]
    assert main(["paper", "nope", "--out", "x"]) == 2
    assert capsys.readouterr().err.endswith("unknown paper 'nope'; valid: ebrd, toy, all\n")


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


def test_several_papers_have_a_folder_each(out, tmp_path, capsys):
    options = ["--results", str(out / "records"), "--dry-run", "--out", str(tmp_path / "all")]
    assert main(["paper", "all", *options]) == 0
    assert capsys.readouterr().out.count(" cells, ") == 2
