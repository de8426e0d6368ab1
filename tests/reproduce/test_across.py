"""The table over all papers: every number once, beside the truth and ours, and how far apart."""

from __future__ import annotations

import math

import pytest

from rdbench.reproduce.across import Compared, across, apart, counts
from rdbench.reproduce.numbers import Elsewhere, Ends, Number
from rdbench.reproduce.printed import Printed
from rdbench.reproduce.published import Beside

TWO_SIDED = Number("Table 1", "F", "printed", ["a"], ["x"], "lagrangian",
                   printed=Printed(2.0, rate=1.0, distortion=0.25), within=0.1,
                   cost="3 s on a V100")  # fmt: skip
CURVE = Number("Figure 2", "a curve", "-", ["a"], ["x"], "lagrangian", beta=2.0,
               unprinted="a curve without numbers")  # fmt: skip
LIMIT = Number("Figure 3", "accurate", "our reading", ["a"], ["x"], "gap", at_most=0.05,
               unit="nats")  # fmt: skip


@pytest.mark.parametrize(
    ("stated", "ours", "expected"),
    [
        (Ends(1.4, 1.6), Ends(1.5, 1.7), (0.1, 0.5)),  # centres .1 apart, half lengths .1 + .1
        (Ends(1.4, 1.6), Ends(1.75, 1.85), (0.3, 2.0)),
        (Ends(1.5, 1.5), Ends(1.5, 1.5), (0.0, None)),
        (Ends(-math.inf, 0.05), Ends(0.0, 0.02), (-0.04, -4.0)),
        (Ends(1.0, math.inf), Ends(0.5, 0.7), (0.4, 4.0)),
    ],
)
def test_how_far_apart_two_intervals_are(stated, ours, expected):
    found = apart(stated, ours)
    assert found is not None
    assert found[0] == pytest.approx(expected[0])
    assert found[1] == (None if expected[1] is None else pytest.approx(expected[1]))


def test_one_end_alone_has_no_distance():
    assert apart(Ends(1.0, 2.0), Ends(-math.inf, 1.5)) is None
    assert apart(Ends(-math.inf, math.inf), Ends(0.0, 1.0)) is None


@pytest.fixture
def table():
    rows = (
        Beside(TWO_SIDED, "a", "x", "agrees", Ends(1.5, 1.7), 0.7, truth=Ends(1.45, 1.45)),
        Beside(CURVE, "a", "x", "no number", Ends(1.5, 1.5), truth=Ends(1.45, 1.45)),
        Beside(LIMIT, "a", "x", "does not agree", Ends(0.1, 0.2), truth=Ends(0.0, 0.0)),
    )
    elsewhere = (Elsewhere("section 5", "photographs", "6 points", "no truth is known"),)
    return {"one": Compared(rows, elsewhere), "two": Compared(())}


def test_the_table_has_published_truth_ours_and_the_distance(table):
    first, second, third, fourth = across(table, "nats").rows
    assert first == (
        "one", "Table 1", "a, F = R + βD at β = 2", "[1.4, 1.6] nats", "1.45 nats", "x",
        "[1.5, 1.7] nats", "0.05", "0.1 (0.5)", "agrees", "3 s on a V100",
    )  # fmt: skip
    assert second[3:5] + second[7:11] == (
        "no number: a curve without numbers", "1.45 nats", "-", "-", "no number", "not printed",
    )  # fmt: skip
    assert third[3:] == ("≤ 0.05 nats", "0 nats", "x", "[0.1, 0.2] nats", "-", "0.1 (2)",
                         "does not agree", "not printed")  # fmt: skip
    assert fourth[2:4] == ("photographs", "6 points")
    assert fourth[9] == "not compared: no truth is known"


def test_bits_are_the_same_numbers_over_ln_2(table):
    nats, bits = across(table, "nats").csv_rows[0], across(table, "bits").csv_rows[0]
    for i in (5, 6, 7, 8, 10, 11):
        assert float(nats[i]) == pytest.approx(float(bits[i]) * math.log(2.0))
    assert nats[12] == bits[12]  # intervals have no unit


def test_every_row_has_all_columns(table):
    sheet = across(table, "nats")
    assert {len(row) for row in sheet.rows} == {len(sheet.header)}
    assert {len(row) for row in sheet.csv_rows} == {len(sheet.csv_header)}


def test_verdicts_are_counted(table):
    assert counts(table) == (
        "- one: agrees 1, does not agree 1, no number 1, not compared 1\n- two: no numbers"
    )
