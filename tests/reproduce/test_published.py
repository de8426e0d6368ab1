"""Published numbers beside ours: which slopes are asked, and the verdict by two intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from rdbench.reproduce import published
from rdbench.reproduce.cells import find, planned
from rdbench.reproduce.paper import Paper, Part, load
from rdbench.reproduce.published import Number, compare, read, sheet
from rdbench.run.records import PointRecord
from rdbench.types import RdbenchError

RATES = (0.5, 1.0, 2.0)
PART = Part("2", "Scalar", "paper", ("gaussian",), ("mixture_em",), rates=RATES)
PAPER = Paper("A paper", Path("nowhere"), (PART,))
FULL = replace(PAPER, stored=(replace(PART, name="more"),))


@pytest.fixture(scope="module")
def cell():
    (plan,) = planned(PAPER, full=False)
    return plan, plan.cells[0]


def number(**changes):
    values = {
        "where": "Table 1", "says": "x", "read": "printed", "part": "2", "cases": ["gaussian"],
        "estimators": ["mixture_em"], "quantity": "gap", "unit": "nats",
    }  # fmt: skip
    return Number(**(values | changes))


@pytest.fixture
def judged(cell, record, point, monkeypatch):
    """Judge one number by points with the gaps [lo, hi] at the three rates of the part."""

    def judge(one, ends=((0.0, 0.01),) * 3, of=PAPER, **changes):
        plan, planned_cell = cell
        points = [
            point(beta, rate, gap=hi, gap_lo=lo, gap_hi=hi, **changes)
            if hi is not None
            else point(beta, rate, status="error", gap=None)
            for beta, rate, (lo, hi) in zip(planned_cell.betas, RATES, ends, strict=True)
        ]
        monkeypatch.setattr(published, "read", lambda _: [one])
        (found,) = compare(of, find([plan], [record(planned_cell, points=points)]))
        return found

    return judge


FAILED = (None, None)


@pytest.mark.parametrize(
    ("stated", "ends", "verdict"),
    [
        ({"at_most": 0.05}, [(0.0, 0.01)] * 3, "agrees"),
        ({"at_most": 0.05}, [(0.0, 0.01), (0.04, 0.06), (0.0, 0.01)], "not decided"),
        ({"at_most": 0.05}, [(0.0, 0.01), (0.06, 0.07), FAILED], "does not agree"),
        ({"at_most": 0.05}, [(0.0, 0.01), (0.0, 0.01), FAILED], "not decided"),
        ({"at_most": 0.05}, [FAILED] * 3, "not decided"),
        ({"at_least": 1.0}, [(0.0, 0.01)] * 3, "does not agree"),
        ({"at_least": 1.0, "rates": (2.0, 2.0)}, [(0.0, 0.01)] * 2 + [(2.0, 3.0)], "agrees"),
        ({"value": 0.02, "within": 0.01}, [(0.015, 0.025)] * 3, "agrees"),
        ({"value": 0.02, "within": 0.01}, [(0.025, 0.04)] * 3, "not decided"),
        ({"at_most": 0.05, "unit": "bits"}, [(0.0, 0.04)] * 3, "not decided"),  # 0.0347 nats
        ({"at_most": 0.05, "rates": (5.0, 9.0)}, [(0.0, 0.01)] * 3, "not decided"),
    ],
)
def test_verdicts(judged, stated, ends, verdict):
    assert judged(number(**stated), ends).verdict == verdict


def test_a_gap_bounded_from_above_alone_is_no_measurement(judged):
    assert judged(number(at_most=0.05), side="upper").verdict == "agrees"
    assert judged(number(value=0.005, within=0.005), side="upper").verdict == "not decided"
    assert judged(number(at_least=0.5), side="upper").verdict == "does not agree"


def test_an_answer_to_another_question_decides_nothing(judged):
    one = number(at_most=0.05, not_if="q is the mixture")
    found = judged(one, reason="q is the mixture: no gain")
    assert found.verdict == "not decided"
    assert found.note == "at 3 of 3 points q is the mixture"
    assert found.ours == (0.0, 0.01)  # shown all the same
    assert judged(one, reason="something else").verdict == "agrees"


def test_what_the_audit_withholds_is_said_and_is_no_number(judged, monkeypatch):
    """Its bracket was printed as if it had been found: 1.75e+03 nats."""
    reason = "the audit failed its acceptance test"
    monkeypatch.setattr(published, "is_withheld", lambda p: p.lagrangian is None)
    whole = judged(number(at_most=0.05), lagrangian=None, reason=reason)
    assert (whole.verdict, whole.ours) == ("not decided", None)
    assert whole.note == f"withheld at 3 of 3 points: {reason}"


def test_a_number_at_a_slope_is_held_against_that_slope(judged, cell):
    beta = cell[1].betas[1]
    ends = [(9.0, 9.0), (0.0, 0.01), (9.0, 9.0)]
    assert judged(number(at_most=0.05, beta=beta), ends).verdict == "agrees"
    assert judged(number(at_most=0.05, beta=beta), ends).rate == pytest.approx(1.0)


def test_a_rate_at_a_distortion_lies_between_tangents_and_chords():
    # The points of the Gaussian itself: R = log(1/D) / 2, beta = 1 / (2 D).
    pairs = [(rate, math.exp(-2.0 * rate)) for rate in RATES]
    points = [PointRecord(beta=0.5 / d, status="ok", rate=r, distortion=d) for r, d in pairs]
    between = math.exp(-2.0) * 1.2
    (found,) = published._rates_at(points, between)
    assert found.lo <= 0.5 * math.log(1.0 / between) <= found.hi < found.lo + 0.2
    (rung,) = published._rates_at(points, math.exp(-2.0))
    assert rung == pytest.approx((1.0, 1.0))
    assert published._rates_at(points, 1.0) == published._rates_at(points, 1e-3) == []


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"quantity": "rate", "value": 1.0, "within": 0.01, "distortion": math.exp(-2)}, "agrees"),
        ({"quantity": "rate", "value": 2.0, "within": 0.01, "distortion": math.exp(-2)},
         "does not agree"),
        ({"quantity": "distortion", "value": 0.14, "within": 0.005, "rates": (1.0, 1.0)},
         "agrees"),
    ],
)  # fmt: skip
def test_the_truth_is_asked_where_the_paper_states_the_curve(judged, changes, verdict):
    unit = "nats" if changes["quantity"] == "rate" else ""
    assert judged(number(estimators=["truth"], unit=unit, **changes)).verdict == verdict


def test_without_full_a_stored_part_is_not_run(judged):
    found = judged(number(part="more", at_most=1.0), of=FULL)
    assert (found.verdict, found.note) == ("not run", "shown with --full")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"part": "9"}, "unknown part '9'; valid: 2"),
        ({"cases": ["nope"]}, "unknown case of part 2 'nope'"),
        ({"estimators": ["wgd"]}, "unknown estimator of part 2 'wgd'"),
        ({"estimators": ["truth"]}, "the true curve has a rate and a distortion alone"),
    ],
)
def test_what_the_paper_does_not_have_is_told(judged, changes, says):
    with pytest.raises(RdbenchError, match=says):
        judged(number(at_most=1.0, **changes))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[number]]\nwhere = 1", "Expected `str`"),
        ("[[number]]\nspelt = 1", "unknown field|missing required"),
        ("[[number]]\nwhere=''\nsays=''\nread=''\npart=''\ncases=[]\nestimators=[]\n"
         "quantity='gap'", "give value, at_most or at_least"),
        ("= 1", "published.toml"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(tmp_path, text, says):
    path = tmp_path / "published.toml"
    path.write_text(text)
    with pytest.raises(RdbenchError, match=says):
        read(path)


def test_the_table_has_both_intervals_in_the_units_asked_for(judged):
    rows = [judged(number(at_most=0.05)), judged(number(value=1.0, quantity="mode_mass_error",
                                                        unit=""))]  # fmt: skip
    text = sheet(rows, "bits").text("md")
    assert f"| ≤ {0.05 / math.log(2.0):.3g} bits | [0, {0.01 / math.log(2.0):.3g}] bits" in text
    assert "| error of a mode's mass | 1 | - | not decided |" in text


def test_the_numbers_of_the_shipped_papers_can_be_read():
    paper = load("ebrd")
    assert len(read(paper.published)) > 10
    assert {row.verdict for row in compare(paper, [])} <= {"not run", "agrees"}
