"""The tables say what the records say, and bold is what the intervals separate."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rdbench.reproduce.cells import find, planned
from rdbench.reproduce.files import save_numbers, save_tables
from rdbench.reproduce.paper import Found, Paper, Part
from rdbench.reproduce.settings import SIDE_BY_SIDE, settings, settings_tables, shared_slopes
from rdbench.reproduce.sheet import number
from rdbench.reproduce.tables import NOTES, RULE, part_table
from rdbench.run.records import Draws
from rdbench.types import RdbenchError

PART = Part("2", "Scalar & more", "paper", ("gaussian",), ("mixture_em", "wgd"), rates=(0.5, 1.0))
LADDER = Part("3", "Ladder", "paper", ("gaussian",), ("mixture_em", "wgd"))
OTHER = Part(SIDE_BY_SIDE, "Settings", "paper", ("gaussian",), ("wgd:paper",), rates=(0.5, 1.0))
DRAWN = replace(PART, name="5", draws=2)
PAPER = Paper("A paper_1", Path(), (PART, LADDER), (OTHER,))


@pytest.fixture(scope="module")
def plans():
    return planned(PAPER, full=True)


@pytest.fixture
def found(record, plans) -> list[Found]:
    """wgd is 100 times better than mixture_em, which is only bounded from above at one slope."""
    held = []
    for plan in plans:
        for cell in plan.cells:
            if cell.label == "wgd":
                good = {"gap": 1e-9, "gap_lo": -2e-9, "gap_hi": 3e-9, "rate_error": -1e-9}
                held.append(record(cell, point=good))
            elif cell.label == "mixture_em":
                held.append(record(cell))
    return find(plans, held)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_of_a_figure(found):
    sheet = part_table(found[0], "nats")
    md = sheet.text("md")
    assert "**1e-09 [−2e-09, 3e-09]**" in md
    assert md.count("**") == 2
    assert "| gaussian | mixture_em | 1 | 2/2 | 0.01 [0.005, 0.02] | 0.01 [" in md
    assert "gap (nats) [95%]" in md
    latex = sheet.text("latex")
    assert (
        r"\textbf{\boldmath $1 \cdot 10^{-9}$ {[}$-$$2 \cdot 10^{-9}$, $3 \cdot 10^{-9}${]}}"
        in latex
    )
    ours, wgd = read(sheet.text("csv"))
    assert (float(ours["gap_mean_nats"]), float(ours["gap_hi_nats"])) == (0.01, 0.02)
    assert (ours["best_gap"], wgd["best_gap"]) == ("0", "1")
    assert (wgd["n_source_samples"], wgd["cpu_s"], wgd["scored"]) == ("1000.0", "3.0", "2")
    assert set(NOTES) <= set(sheet.notes)
    assert "leans upwards" in " ".join(sheet.notes)
    assert "≤ x: an upper bound" in " ".join(sheet.notes)
    assert [line.rsplit("|", 3)[1:3] for line in md.splitlines()[2:]] == [[" 3 ", " 1 000 "]] * 2


def test_bits_are_nats_over_log_two(found):
    nats, bits = (read(part_table(found[0], units).text("csv")) for units in ("nats", "bits"))
    for a, b in zip(nats, bits, strict=True):
        for name in ("gap_mean", "gap_lo", "gap_hi", "worst_gap", "worst_at_rate", "rate_error"):
            assert float(b[f"{name}_bits"]) == pytest.approx(
                float(a[f"{name}_nats"]) / math.log(2.0), rel=1e-12
            )
        assert a["conditional_error"] == b["conditional_error"]
    assert "gap (bits) [95%]" in part_table(found[0], "bits").text("md")
    with pytest.raises(RdbenchError, match="unknown units"):
        part_table(found[0], "bans")


def test_what_has_no_number_says_why(record, plans):
    cells = {cell.label: cell for cell in plans[0].cells}
    none = dict.fromkeys(("gap", "gap_lo", "gap_hi", "rate_error", "side", "conditional_error"))
    refused = record(
        cells["wgd"], status="unsupported", point={**none, "status": "unsupported", "reason": "no"}
    )
    sheet = part_table(find(plans, [refused])[0], "nats")
    assert "| gaussian | mixture_em | 0 | not run |" in sheet.text("md")
    (line,) = [x for x in sheet.text("md").splitlines() if "unsupported 2/2" in x]
    assert line.startswith("|  | wgd | 1 | 0/2 | unsupported 2/2 |")
    assert line.endswith("| - | - |")  # a refusal has no cost and no samples
    assert sheet.bold == frozenset()
    assert [row["state"] for row in read(sheet.text("csv"))] == ["not run", "unsupported 2/2"]
    crashed = record(cells["wgd"], status="crashed", points=[])
    assert "| crashed |" in part_table(find(plans, [crashed])[0], "nats").text("md")


def test_an_upper_bound_is_marked_and_a_partial_mean_counted(record, plans, point):
    cell = plans[0].cells[0]
    half = record(cell, points=[
        point(cell.betas[0], 0.5, side="upper", gap_lo=None),
        point(cell.betas[1], 1.0, status="timeout", gap=None),
    ])  # fmt: skip
    md = part_table(find(plans, [half])[0], "nats").text("md")
    assert "| ≤ 0.02 (of 1) | ≤ 0.02 | 0.5 | upper | 0.01 [−0.01, 0.03] |" in md


def test_settings_are_compared_at_the_slopes_they_share(found, plans, record):
    slopes = shared_slopes(plans)
    assert {case: len(keys) for case, keys in slopes.items()} == {"gaussian": 2}
    gaps, cpu = settings_tables(found, PAPER, plans, "nats", full=True)
    assert settings(PAPER) == ["mixture_em", "wgd:paper", "wgd"]
    assert [row[0] for row in gaps.rows] == ["mixture_em", "wgd:paper", "wgd"]
    assert gaps.rows[1][1] == "not run"
    assert settings_tables(found, PAPER, plans, "nats", full=False)[0].rows[1][1] == "needs --full"
    assert gaps.bold == {(2, 1)}
    assert "gaussian at R = 0.5, 1 nats" in gaps.notes[0]
    # of a ladder of 7 slopes two count for the gap, all for the cost: 3 / 7 and 3 / 2 seconds
    assert cpu.rows[0][1] == number((3.0 / 7.0 + 3.0 / 2.0) / 2.0, 1.0, 2)
    (ladder,) = [r for r in found[1].records if r.estimator == "mixture_em"]
    worse = [msgspec.structs.replace(p, gap=9.0, gap_hi=9.0) if p.rate_lo == 3.0 else p
             for p in ladder.points]  # fmt: skip
    changed = [found[0], Found(LADDER, (msgspec.structs.replace(ladder, points=worse),))]
    assert settings_tables(changed, PAPER, plans, "nats", full=True)[0].rows[0] == gaps.rows[0]


def test_the_number_of_a_power_of_ten_and_the_minus_sign():
    assert [number(v) for v in (None, -1.25e-7, 0.0, 12345.6)] == [
        "-", "−1.25e-07", "0", "1.23e+04",
    ]  # fmt: skip


def test_the_draws_behind_a_picture(record, plans, tmp_path):
    kept = Draws(x=[[0.0, 1.0]], y=[[[2.0, 3.0]] * 2], source=[[4.0, 5.0]], reproduction=[[6.0, 7]])
    cell = plans[0].cells[0]
    made = record(cell, point={"draws": kept})
    save_numbers([Found(DRAWN, (made,))], tmp_path)
    lines = read((tmp_path / "figure-5-draws.csv").read_text())
    assert [line["law"] for line in lines] == ["conditional", "conditional", "joint"] * 2
    assert [[float(line[name]) for name in ("x1", "x2", "y1", "y2")] for line in lines[1:3]] == [
        [0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0],
    ]  # fmt: skip
    paths = save_numbers([Found(PART, ()), Found(DRAWN, ())], tmp_path)
    assert [p.name for p in paths] == ["figure-2.csv", "figure-5.csv", "figure-5-draws.csv"]
    assert all(len(p.read_text().splitlines()) == 1 for p in paths)


def test_the_document_of_all_tables_compiles(found, plans, tmp_path):
    sheets = [
        *(part_table(one, "nats") for one in found),
        *settings_tables(found, PAPER, plans, "nats", full=True),
    ]
    paths = save_tables(sheets, PAPER.title, tmp_path, common=(RULE,))
    text = (tmp_path / "tables.tex").read_text()
    assert {p.suffix for p in paths} == {".tex", ".md", ".csv"}
    for name in re.findall(r"\\input\{([^}]*)\}", text):
        tabular = (tmp_path / name).read_text()
        assert tabular.startswith(r"\begin{tabular}")
        assert all(word in tabular for word in (r"\toprule", r"\midrule", r"\bottomrule"))
        columns = re.search(r"tabular\}\{([lr]+)\}", tabular)
        assert columns is not None
        for line in tabular.splitlines():
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(columns[1]) - 1
    assert len(re.findall(r"\\input\{", text)) == len(sheets)
    assert text.count("Bold gaps: the best") == 1
    if shutil.which("pdflatex") is None:
        return
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000
