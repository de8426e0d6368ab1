"""Budgets in CPU seconds: the effort that is found for them."""

from __future__ import annotations

import pytest

from rdbench.run.budgets import LEAST, MOST, effort_for, seconds_of
from rdbench.types import RdbenchError


@pytest.fixture
def spent(monkeypatch):
    """Fits of a known cost: what they took is the time that passes."""
    now = [0.0]
    monkeypatch.setattr("time.process_time", lambda: now[0])

    def fit(cost):
        def one(effort):
            now[0] += cost(effort)

        return one

    return now, fit


@pytest.mark.parametrize(("fixed", "slope"), [(0.0, 3.0), (1.5, 1.7), (0.2, 40.0)])
@pytest.mark.parametrize("seconds", [5.0, 20.0, 80.0])
def test_a_fit_at_the_effort_takes_the_seconds(spent, fixed, slope, seconds):
    now, fit = spent
    effort = effort_for(seconds, fit(lambda e: fixed + slope * e))
    assert fixed + slope * effort == pytest.approx(seconds, rel=0.05)
    # The search itself stays well below what it is for.
    assert now[0] < 1.5 * seconds


def test_a_fit_that_cannot_spend_so_much_gets_the_most(spent):
    _, fit = spent
    assert effort_for(20.0, fit(lambda _: 0.5)) == MOST
    assert effort_for(0.01, fit(lambda e: 100.0 * e)) == pytest.approx(LEAST, rel=0.01)


@pytest.mark.parametrize("budget", ["slow", "0s", "-1s", "20", "s", "nans"])
def test_what_is_no_budget_is_refused(budget):
    with pytest.raises(RdbenchError, match="--budget takes quick, default, full or CPU seconds"):
        seconds_of(budget)
    assert seconds_of("quick") is None
    assert seconds_of("2.5s") == 2.5
