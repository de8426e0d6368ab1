"""The page in a real browser: it sorts, filters, links, prints, fits a phone, and stays inert."""

from __future__ import annotations

import re

import msgspec
import pytest

from rdbench.report.page.content import page_data
from rdbench.run.records import Draws, TracePoint
from tests.browser._reading import unfold

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><img src=x onerror=\"window.hacked=1;alert('x')\">"
    "<script>window.hacked=1</script>\u2028'"
)


@pytest.fixture
def records(realistic):
    return [msgspec.structs.replace(r, cell=f"{k:016x}") for k, r in enumerate(realistic)]


def column(table, index):
    return table.locator(f"tbody tr td:nth-child({index})").all_inner_texts()


def wait(tab, expression):
    """Wait until it is true; the policy of the page forbids Playwright's own way, which is eval."""
    for _ in range(200):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(expression)


def shown(tab):
    return tab.locator("#shown").inner_text()


def overflow(tab):
    return tab.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_a_column_sorts_both_ways_by_mouse_and_keyboard(open_page, records):
    tab = unfold(open_page(records))
    table = tab.locator("#points table")
    head = table.locator("th", has_text="R*")
    assert head.get_attribute("aria-sort") == "none"

    def rates() -> list[float]:
        return [float(text) for text in column(table, 5)]

    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert rates() == sorted(rates())
    least = rates()[0]
    head.locator("button").focus()
    tab.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert rates() == sorted(rates(), reverse=True)
    assert rates()[0] > least
    board = tab.locator(".by-case table")
    for _ in range(2):  # unknown numbers come last both ways
        board.locator("th button", has_text="mean gap").click()
        assert column(board, 3)[-2:] == ["–", "–"]
        assert "–" not in column(board, 3)[:-2]


def test_filters_restrict_tables_pictures_and_cells(open_page, records):
    tab = unfold(open_page(records))
    assert shown(tab) == "all 96 points"
    tab.select_option("select[name=case]", label="ramp-d5")
    assert shown(tab) == "32 of 96 points"
    assert set(column(tab.locator(".by-case table"), 1)) == {"ramp-d5"}
    assert tab.locator("details.case").count() == 1
    assert tab.locator("details.cell:visible").count() == 4
    tab.uncheck("input[value=blahut_arimoto]")
    assert shown(tab) == "16 of 96 points"
    assert column(tab.locator(".by-case table"), 2) == ["ebrd"]
    tab.select_option("select[name=status]", label="no gap")
    assert shown(tab) == "2 of 96 points"
    assert set(column(tab.locator("#points table"), 7)) == {"no gap"}
    tab.click("#clear")
    assert shown(tab) == "all 96 points"
    assert tab.locator(".by-case tbody tr").count() == 6


def test_a_band_of_rates_is_taken_in_the_unit_that_is_shown(open_page, records):
    tab = unfold(open_page(records))
    tab.fill("input[name=from]", "10")
    in_nats = shown(tab)
    assert all(float(text) >= 10 for text in column(tab.locator("#points table"), 5))
    tab.check("input[value=bits]")
    assert shown(tab) != in_nats
    assert all(float(text) >= 10 for text in column(tab.locator("#points table"), 5))
    tab.fill("input[name=to]", "1")
    assert shown(tab) == "0 of 96 points"
    assert "Nothing passes the filters" in tab.locator("#leaderboard").inner_text()


def test_a_suite_filter_narrows_the_cases_and_estimators_differ_in_shape(open_page, cell):
    names = ("ebrd", "nerd", "wgd")
    cells = [cell(cell=f"{k:016x}", estimator=n) for k, n in enumerate(names)]
    tab = open_page([*cells, cell(cell="b" * 16, estimator="other", suite="other", case="else")])
    tab.select_option("select[name=suite]", "other")
    assert tab.locator("select[name=case] option").all_inner_texts() == ["all", "else"]
    assert shown(tab) == "1 of 4 points"
    shapes = tab.locator(".chip path").evaluate_all("all => all.map(p => p.getAttribute('d'))")
    assert len(set(shapes)) == 4


def test_links_and_anchors_open_the_cell(open_page, records):
    tab = open_page(records, hash=f"#cell-{records[3].cell}")
    block = tab.locator(f"#cell-{records[3].cell}")
    tab.locator(f"#cell-{records[3].cell}[open] table").first.wait_for(timeout=5000)
    assert records[3].cell in block.inner_text()
    assert block.evaluate("node => node.getBoundingClientRect().top < innerHeight")
    unfold(tab)
    tab.uncheck("input[value=blahut_arimoto]")
    link = tab.locator("#points tbody a").first
    target = link.get_attribute("href")
    link.click()
    # the browser tells of the new anchor, and of the opened block, later
    tab.locator(f"{target}[open] table").first.wait_for(state="visible", timeout=5000)
    assert tab.evaluate(
        """() => [...document.querySelectorAll('a[href^="#"]')].length > 60
        && [...document.querySelectorAll('a[href^="#"]')]
          .every(a => document.getElementById(a.getAttribute("href").slice(1)))"""
    )


def test_pictures_are_drawn_when_they_are_scrolled_to(open_page, records):
    tab = unfold(open_page(records, height=500))
    last = tab.locator("#cases figure.plot").last
    assert last.locator("svg").count() == 0
    last.scroll_into_view_if_needed()
    last.locator("svg .mark").first.wait_for()
    assert last.locator("svg").count() == 1


def test_draws_and_traces_have_pictures(open_page, cell, point):
    def drawn(dim: int) -> Draws:
        one = [0.1 * (k + 1) for k in range(dim)]
        return Draws(x=[one] * 4, y=[[one] * 5] * 4, source=[one] * 5, reproduction=[one] * 5)

    trace = [TracePoint(beta=2.0, wall_s=t, cpu_s=t, gap=0.1 / t) for t in (0.1, 0.5, 1.0)]
    tab = open_page(
        [
            cell(cell=f"{d:016x}", case=f"d{d}", dim=d, trace=trace, points=[point(draws=drawn(d))])
            for d in (1, 2)
        ]
    )
    unfold(tab)
    assert tab.locator("figcaption", has_text="Time to accuracy").count() == 2
    tab.locator(".conditional").first.scroll_into_view_if_needed()
    tab.locator(".samples svg[aria-label*=line]").wait_for()
    tab.locator(".samples svg[aria-label*=plane]").wait_for()


def test_failures_are_named_with_their_tracebacks(open_page, records, cell):
    dead = cell(
        cell="f" * 16, status="crashed", reason="SIGSEGV", points=[], traceback="Boom\n at x"
    )
    tab = open_page([*records, dead])
    tab.click("#troubles > details > summary")
    text = tab.locator("#reasons table").inner_text()
    assert "a grid in d = 5" in text
    assert "SIGSEGV" in text
    tab.click(".traceback summary")
    assert tab.locator(".traceback pre").inner_text() == "Boom\n at x"


def test_hostile_values_stay_text(open_page, cell, failed, point):
    record = cell(
        cell=HOSTILE, suite=HOSTILE, case=HOSTILE, estimator=HOSTILE, preset=HOSTILE,
        budget=HOSTILE, distortion=HOSTILE, params={HOSTILE: HOSTILE}, fields={HOSTILE: HOSTILE},
        reason=HOSTILE, traceback=HOSTILE,
        points=[failed("error", HOSTILE), point(truth_kind=HOSTILE, audit_method=HOSTILE)],
        provenance={"commit": HOSTILE, "processor": HOSTILE, "versions": {HOSTILE: HOSTILE}},
    )  # fmt: skip
    tab = open_page([record], title=HOSTILE, warnings=[HOSTILE])
    unfold(tab)
    tab.locator("details.cell").evaluate("node => { node.open = true }")
    tab.emulate_media(media="print")
    tab.wait_for_timeout(100)
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("script").count() == 2
    assert tab.locator("img").count() == 0
    assert HOSTILE in tab.locator(".traceback pre").text_content()
    assert HOSTILE in tab.locator("details.cell").text_content()
    assert HOSTILE in tab.locator(".by-case table").text_content()


@pytest.mark.parametrize("width", [360, 768])
def test_no_page_scrolls_sideways_on_a_phone(open_page, records, cell, width):
    long = cell(cell="e" * 16, estimator="an_estimator_with_a_name" * 5, reason="r" * 300)
    tab = open_page([*records, long], width=width, height=740)
    assert overflow(tab) <= 0
    unfold(tab)
    tab.locator("details.cell").evaluate_all("all => all.forEach(node => { node.open = true })")
    tab.wait_for_timeout(100)
    assert overflow(tab) <= 0
    assert tab.locator("#points .scroll").evaluate("node => node.scrollWidth > node.clientWidth")


def test_on_paper_every_section_is_open_and_every_picture_drawn(open_page, records):
    tab = open_page(records, height=400)
    tab.evaluate("document.querySelectorAll('details').forEach(node => { node.open = false })")
    tab.emulate_media(media="print")
    wait(tab, "document.querySelector('details.case')?.open")
    assert tab.locator("details:not([open]):not(.cell)").count() == 0
    figures = tab.locator("#cases figure.plot")
    assert figures.count() == 12
    assert tab.locator("#cases figure.plot svg, #cases figure.plot .nothing").count() == 12
    assert tab.locator("#points tbody tr").count() == 96
    assert not tab.locator("#filters select").first.is_visible()
    assert shown(tab) == "all 96 points"
    for section in ("leaderboard", "cases", "points", "failures", "cells", "provenance"):
        assert tab.locator(f"#{section}").is_visible()
    tab.emulate_media(media="screen")
    wait(tab, "!document.querySelector('details.case')?.open")
    assert tab.locator("#points tbody tr").count() == 50
    assert not tab.locator("#points table").is_visible()
    # What is printed before the page is built is whole, too.
    tab.add_init_script("window.requestAnimationFrame = () => 0")
    tab.reload()
    assert tab.locator("#leaderboard table").count() == 0
    assert len(tab.pdf()) > 100_000
    assert tab.locator("#cases figure.plot svg").count() == 12


def test_pages_without_results_truth_or_success_work(open_page, cell, point, failed):
    assert "no cell has finished" in open_page([]).locator("body").inner_text()
    unknown = dict.fromkeys(
        ("truth_lo", "truth_hi", "truth_kind", "rate_lo", "rate_hi", "dist_lo", "dist_hi", "gap",
         "gap_lo", "gap_hi", "rate_error", "target_rate"),
    )  # fmt: skip
    tab = unfold(open_page([cell(points=[point(**unknown)])]))
    assert "truth not known" in tab.locator("#cases").inner_text()
    assert column(tab.locator(".by-case table"), 3) == ["–"]
    dead = [cell(status="timeout", points=[]), cell(cell="b", points=[failed("crashed", "no")])]
    tab = unfold(open_page(dead))
    assert tab.locator("#reasons tbody tr").count() == 2
    assert column(tab.locator(".by-case table"), 17) == ["0/1"]


def test_ten_thousand_points_can_be_leafed_sorted_and_filtered(open_page, cell, point, capsys):
    ladder = [
        point(beta=k + 1.0, gap=0.01 / (k + 1), rate_lo=0.1 * k, rate_hi=0.1 * k) for k in range(10)
    ]
    records = [
        cell(cell=f"{k:016x}", case=f"case-{k % 50}", estimator=f"e{k // 50 % 5}", seed=k // 250,
             points=ladder)
        for k in range(1000)
    ]  # fmt: skip
    tab = open_page(records)
    wait(tab, "performance.getEntriesByName('first-contentful-paint').length")
    paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    with capsys.disabled():
        print(f"\nfirst paint at 10,000 points: {paint / 1e3:.2f} s")
    assert paint < 20_000
    assert shown(tab) == "all 10,000 points"
    tab.click("#points > details > summary")
    tab.locator("#points tbody tr").first.wait_for()
    assert tab.locator("#points tbody tr").count() == 50
    tab.click("[aria-label='last page']")
    assert re.fullmatch(r"9,951.10,000 of 10,000", tab.locator("#rows").inner_text())
    tab.locator("#points th button", has_text="gap").first.click()
    assert tab.locator("#rows").inner_text().startswith("1–50")
    tab.select_option("select[name=case]", label="case-7")
    assert shown(tab) == "200 of 10,000 points"


def test_the_truth_is_drawn_through_the_points_that_python_sent(open_page, realistic):
    (first,) = (one for one in page_data(realistic)["cases"] if one["case"] == "ramp-d2")
    tab = unfold(open_page(realistic))
    tab.locator("#cases").scroll_into_view_if_needed()
    path = tab.locator("#cases figure.plot path.truth").first
    path.wait_for(state="attached")
    assert path.get_attribute("d").count(",") == sum(map(len, first["lines"]))


def test_the_heat_map_does_not_paint_the_bracket_of_the_truth(open_page, cell, point):
    # 2 nats of bracket, .001 of gap beyond it.
    wide = point(gap=1.0, gap_lo=-0.0005, gap_hi=2.0005, truth_lo=0.2, truth_hi=2.2,
                 truth_kind="bounds")  # fmt: skip
    poor = point(gap=1.0, gap_lo=0.9, gap_hi=1.1)
    tab = open_page([cell(points=[wide], estimator="wide", cell="a" * 16),
                     cell(points=[poor], estimator="poor", cell="b" * 16)])  # fmt: skip
    unfold(tab)
    fields = tab.locator(".overview tbody tr:not(.suite) td")
    found = {fields.nth(k).get_attribute("title").split(":")[0]: fields.nth(k) for k in (0, 1)}
    assert found["wide"].get_attribute("class") == "step-0 veiled"
    assert "width of what is known of F*" in found["wide"].get_attribute("title")
    assert found["poor"].get_attribute("class") == "step-4"
