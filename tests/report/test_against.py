"""The table of paired differences, and what is bold in the table of gaps."""

from __future__ import annotations

import csv
import io
import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from rdbench.cli import main
from rdbench.report import tables
from rdbench.report.against import against_table
from rdbench.types import RdbenchError


def metric_table(*args, **options) -> str:
    return tables.metric_table(*args, **options).text


@pytest.fixture
def stored(cell, point):
    """Three estimators on the same symbols: b is .05 worse than a, c better than b by .01."""
    generator = np.random.default_rng(8)
    shared = 0.3 * generator.standard_normal((2, 2, 64))  # case, slope, block
    own = 0.01 * generator.standard_normal((2, 2, 32))
    own = np.concatenate([own, -own], axis=2)
    records, blocks = [], {}
    for name, shift in (("a", 0.0), ("b", 0.05), ("c", 0.04)):
        for place, case in enumerate(("one", "two")):
            mine = shared[place] + shift * (1.0 + place) + (own[place] if name == "b" else 0.0)
            blocks[name, case] = mine
            points = [
                point(beta=float(k + 1), gap=float(row.mean()), gap_lo=float(row.mean()) - 0.08,
                      gap_hi=float(row.mean()) + 0.08, gap_blocks=row.tolist(), gap_common_se=0.0)
                for k, row in enumerate(mine)
            ]  # fmt: skip
            records.append(cell(cell=name + case, estimator=name, case=case, points=points))
    return records, blocks


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(("units", "scale"), [("nats", 1.0), ("bits", math.log(2.0))])
def test_the_rows_are_numpys_paired_differences(stored, units, scale):
    records, blocks = stored
    rows = rows_of(against_table(records, "a", fmt="csv", units=units).text)
    assert [(row["case"], row["estimator"]) for row in rows] == [
        (case, name) for case in ("one", "two") for name in ("b", "c")
    ]
    for row in rows:
        case, name = row["case"], row["estimator"]
        d = blocks[name, case] - blocks["a", case]
        value = d.mean()
        v = d.var(axis=1, ddof=1) / 64.0
        freedom = v.sum() ** 2 / (v**2 / 63.0).sum() if name == "b" else math.inf
        half = stats.t.ppf(0.975, freedom) * math.sqrt(v.sum()) / 2.0
        assert float(row[f"gap - gap of a ({units})"]) * scale == pytest.approx(value)
        ends = [float(row[end]) * scale for end in ("diff_lo", "diff_hi")]
        assert ends == pytest.approx([value - half, value + half], rel=1e-6)
        counts = [row[name] for name in ("holds", "better", "worse", "paired", "n", "of")]
        assert counts == ["exact", "0", "2", "2", "2", "2"]


def test_it_turns_round_with_the_one_it_is_against(stored):
    records, _ = stored
    a, b = (rows_of(against_table(records, name, fmt="csv").text) for name in ("a", "b"))
    forth = next(r for r in a if (r["case"], r["estimator"]) == ("one", "b"))
    back = next(r for r in b if (r["case"], r["estimator"]) == ("one", "a"))
    assert float(forth["diff_lo"]) == pytest.approx(-float(back["diff_hi"]))
    assert (back["better"], back["worse"]) == ("2", "0")


def test_by_slope_there_is_a_row_for_each(stored):
    records, blocks = stored
    rows = rows_of(against_table(records, "a", by="case,beta", fmt="csv").text)
    assert len(rows) == 8
    found = next(r for r in rows if (r["case"], r["beta"], r["estimator"]) == ("two", "2", "b"))
    expected = (blocks["b", "two"] - blocks["a", "two"])[1].mean()
    assert float(found["gap - gap of a (nats)"]) == pytest.approx(expected)


def test_what_cannot_be_compared_has_a_row_and_says_so(stored, cell, failed):
    records, _ = stored
    alone = cell(cell="d", estimator="d", case="one", points=[failed("error", "no")])
    found = against_table([*records, alone], "a")
    assert "| one | d | - | - | - | - | - | - | 0 | 0 | 1 |" in found.text
    assert found.notes == ()


def test_what_holds_and_what_is_unpaired_is_said(cell, point):
    upper = {"side": "upper", "gap_lo": None}
    records = [
        cell(estimator="a", points=[point(**upper)]),
        cell(estimator="b", points=[point(**upper, gap=0.02, gap_hi=0.03)]),
    ]
    found = against_table(records, "a")
    assert "audited" in found.text
    assert any("of the audited values" in note for note in found.notes)
    assert any("own intervals" in note for note in found.notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ebrd"}, "'ebrd'.*stored: a, b, c"),
        ({"name": "a", "by": "colour"}, "'colour'.*choose from"),
        ({"name": "a", "units": "bans"}, "'bans'.*nats, bits"),
        ({"name": "a", "fmt": "docx"}, "'docx'.*md, latex"),
    ],
)
def test_bad_choices_are_one_line(stored, arguments, message):
    with pytest.raises(RdbenchError, match=message) as caught:
        against_table(stored[0], **arguments)
    assert "\n" not in str(caught.value)


def test_the_command_prints_the_table_and_says_what_is_unpaired(tmp_path, capsys, cell, point):
    other = cell(cell="b" * 16, estimator="b", preset="paper", points=[point(gap=0.03)])
    records = [cell(cell="a" * 16, estimator="a"), other]
    (tmp_path / "records.jsonl").write_bytes(
        b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    )
    where = ["--results", str(tmp_path)]
    assert main(["table", *where, "--against", "b:paper"]) == 0
    done = capsys.readouterr()
    assert "| toy-d1 | a | -0.02 |" in done.out
    assert "rdbench: note:" in done.err
    assert "own intervals" in done.err
    for arguments, words in (
        (["--against", "c"], ("no estimator 'c'", "stored: a, b:paper")),
        (["--against", "a", "--metric", "cpu_s"], ("drop --metric cpu_s",)),
    ):
        assert main(["table", *where, *arguments]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert all(word in err for word in words)


def test_nothing_stored_is_said():
    with pytest.raises(RdbenchError, match="nothing is stored"):
        against_table([], "a")


# ------------------------------------------------------------------------------------- bold


def test_bold_goes_by_the_paired_differences(stored):
    # By the points' own intervals, +- .08 each, nothing would be told apart from a.
    records, _ = stored
    for fmt, opening in (("md", "**"), ("latex", r"\textbf{"), ("html", "<strong>")):
        lines = metric_table(records, fmt=fmt).splitlines()
        bold = [line for line in lines if opening in line]
        assert len(bold) == 2
        assert all("a" in line.replace("case", "") for line in bold)
        assert not any("0.05" in line for line in bold)
    assert "*" not in metric_table(records, fmt="csv")


def test_no_significant_difference_leaves_both_bold(cell, point):
    cells = [
        cell(estimator=name, points=[point(gap=gap, gap_lo=gap - 0.01, gap_hi=gap + 0.01)])
        for name, gap in (("a", 0.01), ("b", 0.02), ("c", 0.2))
    ]
    text = metric_table(cells)
    assert "| **0.01** |" in text
    assert "| **0.02** |" in text
    assert "| 0.2 |" in text


def test_one_estimator_alone_is_not_bold_and_settings_are_not_mixed(cell, point):
    assert "**" not in metric_table([cell()])
    better = point(gap=0.001, gap_lo=0.0, gap_hi=0.002)
    cells = [cell(estimator="a", budget="quick"), cell(estimator="b", points=[better])]
    assert "**" not in metric_table(cells)
    assert "**" not in metric_table(cells[:1] * 2, by="case")


def test_who_crashed_on_one_seed_is_not_the_best(cell, point):
    better = point(gap=0.001, gap_lo=0.0, gap_hi=0.002)
    cells = [cell(estimator="a", points=[better]), cell(estimator="b")]
    assert "| **0.001** |" in metric_table(cells)
    dead = cell(estimator="a", seed=1, points=[], status="crashed")
    # Nor is the other: on what both have it is the worse one.
    assert "**" not in metric_table([*cells, dead])
