"""Ranks are shared by those that the paired comparison cannot tell apart."""

from __future__ import annotations

import pytest

from rdbench.report.paired import Entrant, standing
from rdbench.report.tiers import ranking


@pytest.fixture
def entrant(cell, point, failed):
    """An estimator from its gaps at slopes 1, 2, ...; None: it failed there."""

    def make(gaps, half=0.001, whole=True, **changes):
        points = [
            failed("timeout", "slow", beta=k + 1.0)
            if gap is None
            else point(
                **({"beta": k + 1.0, "gap": gap, "gap_lo": gap - half, "gap_hi": gap + half}
                   | changes)
            )
            for k, gap in enumerate(gaps)
        ]  # fmt: skip
        record = cell(points=points)
        return Entrant(tuple((record, one) for one in points), whole)

    return make


def behind(found, name):
    """How far one is behind the best, which has to be known."""
    one = found.behind[name]
    assert one is not None
    return one


def test_tiers_are_the_standings_of_those_that_are_left(entrant):
    field = {
        "c": entrant([0.05, 0.05]),
        "a": entrant([0.01, 0.02]),
        "d": entrant([0.051, 0.0505]),
        "b": entrant([0.011, 0.0205]),
        "e": entrant([0.3, 0.3]),
    }
    found = ranking(field)
    assert found.tiers == (("a", "b"), ("c", "d"), ("e",))
    left = dict(field)
    for tier in found.tiers[:2]:
        one = standing(left)
        assert one is not None
        assert one.best == tier[0]
        assert one.leaders == set(tier)
        left = {key: value for key, value in left.items() if key not in tier}
    assert behind(found, "e").value == pytest.approx(0.285)


def test_who_has_no_gap_somewhere_has_no_rank_and_can_still_beat_the_first(entrant):
    found = ranking({
        "all": entrant([0.01, 0.05]),
        "late": entrant([None, 0.02]),
        "lost": entrant([0.001, 0.001], whole=False),
        "bound": entrant([0.001, 0.001], side="lower"),
        "start": entrant([0.001, 0.001], q_is="its start"),
        "never": entrant([None, None]),
    })  # fmt: skip
    assert found.tiers == (("all",),)
    assert set(found.behind) == {"late", "lost"}
    assert behind(found, "late").value == pytest.approx(-0.03)
    assert behind(found, "late").hi < 0.0


def test_without_a_complete_one_nobody_is_ranked(entrant):
    found = ranking({"a": entrant([0.01, None]), "b": entrant([None, 0.01])})
    assert (found.tiers, found.behind) == ((), {})
