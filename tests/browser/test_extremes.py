"""The largest and the smallest numbers that a record can hold are drawn and shown."""

from __future__ import annotations

import itertools

import pytest

from rdbench.run.records import Draws, TracePoint
from tests.browser._reading import unfold

pytestmark = pytest.mark.browser

HUGE = 1.7e308


@pytest.mark.parametrize("units", ["nats", "bits"])
@pytest.mark.parametrize("tiny", [0.0, 5e-324])
def test_no_picture_and_no_number_breaks(open_page, cell, point, units, tiny):
    ladder = [
        point(
            beta=beta, gap=gap, gap_lo=-HUGE, gap_hi=HUGE, rate=gap, distortion=size,
            lagrangian=gap, rate_lo=tiny, rate_hi=size, dist_lo=tiny, dist_hi=size,
            truth_lo=-HUGE, truth_hi=HUGE, truth_kind=kind, claimed_rate=gap,
            claimed_distortion=size, target_rate=size, rate_error=gap, ess=size,
        )
        for (gap, size, kind), beta in zip(
            itertools.product((HUGE, -HUGE, tiny), (HUGE, 1.0), ("bounds", "closed form")),
            (5e-324, 1e-9, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 1e9, 1e100, 1e300, HUGE),
            strict=True,
        )
    ]  # fmt: skip
    both = [[HUGE], [-HUGE]]
    draws = Draws(x=both, y=[both, both], source=both, reproduction=both)
    plane = Draws(
        x=[[HUGE, -HUGE]], y=[[[-HUGE, HUGE]]], source=[[HUGE, tiny]], reproduction=[[tiny, 1.0]]
    )
    trace = [TracePoint(beta=1.0, wall_s=1.0, cpu_s=t, gap=g) for t in (tiny, 1, HUGE)
             for g in (HUGE, -HUGE)]  # fmt: skip
    records = [
        cell(cell="a", points=ladder, trace=trace, cost={"cpu_s": HUGE}),
        cell(cell="b", estimator="other", points=ladder, cost={"cpu_s": tiny}),
        cell(cell="c", case="same", points=[point(gap=HUGE, gap_lo=HUGE, gap_hi=HUGE)] * 2),
        cell(cell="d", case="line", points=[point(draws=draws)]),
        cell(cell="e", case="plane", dim=2, points=[point(draws=plane)]),
    ]
    tab = open_page(records, units=units)
    unfold(tab)
    tab.locator("details.cell").evaluate_all("all => all.forEach(node => { node.open = true })")
    tab.emulate_media(media="print")
    drawn = "document.querySelectorAll('.canvas:empty, .samples:empty').length === 0"
    for _ in range(200):
        if tab.evaluate(drawn):
            break
        tab.wait_for_timeout(50)
    assert tab.evaluate(drawn)
    assert tab.locator("#cases svg .mark").count() > 50
    assert tab.locator(".samples svg[role=img]").count() == 2
    broken = tab.evaluate(
        """() => [...document.querySelectorAll("svg *")].flatMap(node => [...node.attributes])
          .map(one => one.value).filter(text => /NaN|Infinity|undefined/.test(text))"""
    )
    assert broken == []
    text = tab.locator("main").inner_text()
    assert not any(word in text for word in ("NaN", "Infinity", "undefined"))
