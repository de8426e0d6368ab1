"""Blahut-Arimoto against dit as a table, the files between the scripts, and their bad input."""

import math
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import table
from benchmarks.peers.blahut_arimoto import PROBLEMS
from benchmarks.peers.ratios import Look, of_record
from benchmarks.peers.run import MATCHES, SIDES
from benchmarks.peers.tables import BadFile, digits, read, write
from benchmarks.peers.timings import Timing
from benchmarks.peers.timings import table as timings_table
from rdbench import registry
from rdbench.run.plan import find_case
from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance, TracePoint

ROOT = Path(__file__).resolve().parents[2]

ONE = Timing(
    "zipf-10", 10, 3.0, "F - F*", 1e-3, "dit", 0, 9, 0.006, 8e-4, 4e-3, False, True, "dit=2.3"
)
LOOK = Look(
    "wgd-case-rate1", "ours", 701, 2, 5.0, 3.4, 1.5, 0.01, math.nan, 0.02, False, 9, "ok", "abc"
)


def a_round(k, dit, classical, default, **changes):
    """The three contenders in one round, CPU seconds."""
    seconds = {"dit": dit, "classical": classical, "default": default}
    return [replace(ONE, contender=c, round=k, cpu_s=s, **changes) for c, s in seconds.items()]


def only_line(rows):
    header, line = timings_table(rows)
    return dict(zip(header, line, strict=True))


def test_ratios_are_of_one_round():
    # dit is slow where ours is: 6 each time, whatever the machine did meanwhile
    line = only_line(
        a_round(0, 0.006, 0.001, 0.002) + a_round(1, 0.6, 0.1, 0.2) + a_round(2, 0.06, 0.01, 0.02)
    )
    assert line["dit / same iteration"] == "6 [6, 6]"
    assert line["dit / default"] == "3 [3, 3]"
    assert line["dit, ms"] == "60"


def test_a_target_that_dit_does_not_reach_is_a_bound_where_ours_does():
    rows = a_round(0, 0.006, 0.001, 0.002, reached=False, iterations=3000)
    rows[2] = replace(rows[2], reached=True)
    line = only_line(rows)
    assert line["iterations of dit"] == "> 3000"
    assert line["dit, ms"] == "> 6"
    assert line["dit / default"] == "> 3 (1 round)"
    assert line["dit / same iteration"] == "6 (1 round)"  # of as many iterations


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0456, "0.046"), (145.0, "140"), (31999.0, "32000"), (9.99, "10")]
)
def test_two_digits_are_shown_without_an_exponent(value, shown):
    assert digits(value) == shown


@pytest.mark.parametrize("row", [ONE, LOOK], ids=["timing", "look"])
def test_rows_come_back_as_they_were_written(tmp_path, row):
    write(tmp_path / "rows.csv", type(row), [row])
    (found,) = read(tmp_path / "rows.csv", type(row))
    for field in fields(row):
        was, now = getattr(row, field.name), getattr(found, field.name)
        assert type(now) is type(was)
        assert now == was or (math.isnan(was) and math.isnan(now))


def test_a_file_of_another_kind_is_refused(tmp_path):
    write(tmp_path / "rows.csv", Timing, [ONE])
    with pytest.raises(BadFile, match="not a table of Look rows"):
        read(tmp_path / "rows.csv", Look)


@pytest.mark.parametrize("arguments", [[], ["--records", "nowhere"]])
def test_nothing_to_read_is_one_line_and_code_2(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        table.main([*arguments, "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 4  # usage and the line


def a_record(gap_hi, marks):
    return CellRecord(
        cell="0", suite="planar", suite_version=1, case="paper-d2", dim=2,
        distortion="squared_error", estimator="wgd", preset="paper", params={}, fields={},
        seed=701, budget="default", status="timeout",
        points=[PointRecord(beta=5.0, status="timeout", gap_hi=gap_hi, rate_lo=3.0, rate_hi=4.0)],
        trace=[TracePoint(beta=5.0, wall_s=t, cpu_s=t, gap=g, gap_hi=g) for t, g in marks],
        cost=Cost(cpu_s=9.0, gradient_steps=5),
        provenance=Provenance(
            commit="abcdef0123", dirty=False, versions={}, processor="", platform="",
            device="cpu", threads=1, jobs=1, started="", finished="",
        ),
    )  # fmt: skip


def test_a_record_gives_its_looks_and_its_end():
    looks = of_record("m", "authors", a_record(0.1, [(1.0, 0.5), (2.0, 0.3), (3.0, None)]))
    assert [(look.cpu_s, look.gap_hi, look.last) for look in looks] == [
        (1.0, 0.5, False), (2.0, 0.3, False), (9.0, 0.1, True),
    ]  # fmt: skip
    assert looks[0].rate == 3.5
    assert looks[0].commit == "abcdef0"


def test_a_fit_that_was_killed_keeps_what_was_seen_of_it():
    looks = of_record("m", "authors", a_record(None, [(1.0, 0.5)]))
    assert [(look.cpu_s, look.last) for look in looks] == [(1.0, False)]


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_a_source_and_its_name_says_how_large(name):
    problem = PROBLEMS[name]()
    assert problem.n == int(name.split("-")[1])
    assert problem.rho.shape == (problem.n, problem.n)
    assert problem.p.sum() == pytest.approx(1.0)
    assert np.all(problem.p > 0.0)


@pytest.mark.parametrize("match", MATCHES, ids=lambda match: match.name)
def test_a_match_names_a_case_and_two_estimators(match, tmp_path):
    case = find_case(registry.load_suite(match.suite), match.case, match.dim)
    option, value = match.slope
    assert option in ("--rates", "--betas")
    assert option == "--betas" or case.reference.slope(float(value)) > 0.0
    for side in SIDES:
        command = match.command(side, 701, tmp_path)
        registry.choose(command[command.index("--estimators") + 1])


def test_the_committed_tables_are_made_of_the_committed_files(tmp_path):
    committed = ROOT / "results" / "peers"
    for name in ("looks.csv", "blahut_arimoto.csv"):
        shutil.copy(committed / name, tmp_path)
    assert table.main(["--out", str(tmp_path)]) == 0
    made = ""
    for name in ("settings.md", "settings.csv", "blahut_arimoto.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text == (committed / name).read_text(encoding="utf-8")
        made += text
    readme = (committed / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "settings.md").read_text(encoding="utf-8") in readme
    made += (committed / "mixtures.md").read_text(encoding="utf-8")
    lines = [line for line in readme.splitlines() if line.startswith("|")]
    assert set(lines) <= set(made.splitlines())  # of the timings against dit it has a choice
