"""The front page: the chooser, the state in the address, what is folded, and how long it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rdbench.report.page.content import page_data
from rdbench.run.reading import load
from tests.browser import _reading as reading

pytestmark = pytest.mark.browser

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.fixture(scope="module")
def reference():
    return list(load(REFERENCE, draws=False).records.values())


@pytest.fixture
def records(realistic):
    return [msgspec.structs.replace(r, cell=f"{k:016x}") for k, r in enumerate(realistic)]


def height(tab):
    return tab.evaluate("document.documentElement.scrollHeight")


def address(tab):
    return tab.evaluate("location.hash")


def choose(tab, **wanted):
    for name, value in wanted.items():
        tab.select_option(f"#choose-{name}", value)


@pytest.mark.parametrize(("width", "most"), [(1280, 6_000), (390, 12_000)])
def test_the_page_of_the_reference_run_is_short(open_page, reference, width, most):
    tab = open_page(reference, width=width)
    assert height(tab) < most
    assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    # What few read is neither open nor drawn.
    for section in ("cases", "points", "cells", "provenance", "overview", "troubles"):
        assert tab.locator(f"#{section} > details:not([open])").count() == 1
        assert (
            tab.locator(f"#{section} :is(tbody tr, svg, details.case, details.cell)").count() == 0
        )
    # What many read is.
    assert tab.locator("#answer tbody tr").count() > 2
    assert tab.locator("details.board[open]").count() == 1
    assert tab.locator("#race svg .mark").count() > 10
    assert tab.locator("#field-table tbody tr").count() > 5
    assert tab.locator("#failing-table, #failing p").count() == 1


def test_the_chooser_shows_the_answer_that_python_has(open_page, reference):
    data = page_data(reference)
    found = data["choice"]
    tab = open_page(reference)
    shown = 0
    for dim in ("1", "2", "3-10", "more"):
        for rate in ("low", "high"):
            choose(tab, dim=dim, kind="continuous", rate=rate)
            place = found["places"].get(f"{dim} continuous {rate} 0")
            if place is None:
                assert "nothing stored matches" in tab.locator("#verdict").inner_text()
                assert tab.locator("#answer").inner_text() == ""
                continue
            rows = found["answers"][place]["rows"]
            with_gap = [r for r in rows if r["worst"] is not None and not r["is_lower"]]
            lines = [
                dict(zip(heads, line, strict=True))
                for heads, line in _lines(tab.locator("#answer .answer table").first)
            ]
            assert len(lines) == len(with_gap)
            for line, row in zip(lines, with_gap, strict=True):
                assert line["estimator"] == data["series"][row["series"]]["label"]
                rank = "–" if row["rank"] is None else str(row["rank"])
                assert line["rank"] == rank + (" (tie)" if row["tied"] else "")
                assert reading.value(line["mean gap"]) == reading.rounded(row["shown"], 3)
                assert reading.ends(line["worst gap"])[1] == reading.rounded(row["worst"]["hi"], 3)
                assert reading.value(line["CPU s"]) == reading.rounded(row["cpu_s"], 3)
                assert line["gaps"] == f"{row['scored']:,}"
                refused = dict(row["missing"]).get("unsupported")
                assert ("refused" in line["refused, failed"]) == (refused is not None)
                shown += 1
            silent = tab.locator("#answer .silent")
            for row in rows:
                if row["worst"] is None:
                    label = data["series"][row["series"]]["label"]
                    assert f"{label} ({row['points']}/{row['points']} refused" in (
                        silent.inner_text()
                    )
    assert shown > 20


def _lines(table):
    heads = [text.strip("↕↑↓") for text in table.locator("thead th").all_text_contents()]
    for line in table.locator("tbody tr:not(.heading)").all():
        yield heads, line.locator("td").all_text_contents()


def test_nothing_that_matches_is_said(open_page, records):
    tab = open_page(records)
    choose(tab, dim="any", kind="letters")
    assert tab.locator("#verdict").inner_text().startswith("Discrete letters: nothing stored")
    choose(tab, kind="any")
    assert tab.locator("#answer table").count() >= 1


@pytest.mark.parametrize("gap", [0.01, 3.6])
def test_a_best_that_is_far_off_is_no_advice(open_page, cell, point, gap):
    """Here the best of two: the other one is worse by a nat."""
    records = [
        cell(
            cell=f"{k:016x}",
            estimator=name,
            points=[point(gap=gap + k, gap_lo=gap + k - 0.001, gap_hi=gap + k + 0.001)],
        )
        for k, name in enumerate(("ebrd", "nerd"))
    ]
    said = open_page(records).locator("#verdict").inner_text()
    assert "ebrd is best" in said
    assert ("use nobody blindly: its largest gap is at least 3.6 nats" in said) == (gap > 1.0)


def test_controls_have_labels_and_tables_have_headers(open_page, records):
    tab = open_page(records)
    for label in ("dimension", "kind of source", "rate"):
        tab.get_by_label(label, exact=True).focus()
    tab.get_by_label("dimension", exact=True).press("End")  # the last one, by keyboard
    assert address(tab).startswith("#dim=more")
    reading.unfold(tab)
    bare = tab.evaluate(
        """() => [...document.querySelectorAll("main table")].filter(table =>
          !table.caption?.textContent || !table.tHead.querySelector("th[scope=col]")).length"""
    )
    assert bare == 0
    unlabelled = tab.evaluate(
        """() => [...document.querySelectorAll("select, input")].filter(node =>
          !node.labels.length && !node.getAttribute("aria-label")).length"""
    )
    assert unlabelled == 0


def test_the_address_brings_back_choice_and_filters(open_page, records):
    tab = reading.unfold(open_page(records))
    assert address(tab) == ""
    choose(tab, dim="3-10", rate="high")
    tab.select_option("select[name=suite]", index=1)
    tab.select_option("select[name=case]", label="ramp-d5")
    tab.select_option("select[name=status]", label="ok")
    tab.fill("input[name=from]", "0.5")
    tab.fill("input[name=to]", "7.5")
    tab.check("input[value=bits]")
    tab.uncheck("input[value=blahut_arimoto]")
    state = _state(tab)
    assert state["case"] == '["vector_gaussian","ramp-d5"]'
    other = open_page(records, hash=address(tab))
    assert _state(other) == state
    assert address(other) == address(tab)
    other.click("#clear")
    assert address(other) == "#dim=3-10&rate=high&units=bits"


def _state(tab):
    found = {
        one.get_attribute("name"): one.input_value()
        for one in tab.locator(
            "#chooser select, #filters select, #filters input[type=number]"
        ).all()
    }
    checked = tab.locator("#filters input:checked").evaluate_all("all => all.map(n => n.value)")
    verdict = tab.locator("#verdict").text_content()
    return found | {"checked": checked, "verdict": verdict, "shown": reading.text(tab, "#shown")}


@pytest.mark.parametrize(
    "hash",
    [
        "#dim=17&kind=wavy&rate=&settings=x&suite=none&case=a/b&status=fine&from=-1&to=x&units=bans"
        "&hide=nobody&other=1",
        "#at=cell-none", "#cell-none", "#case-99", "#%E0%A4%A", "#=", "#dim=constructor",
    ],
)  # fmt: skip
def test_what_is_unknown_in_an_address_is_ignored(open_page, records, hash):
    usual = _state(open_page(records))
    assert _state(open_page(records, hash=hash)) == usual


def test_a_link_keeps_the_state_and_going_back_returns(open_page, records):
    tab = open_page(records, hash="#units=bits&at=case-1")
    tab.locator("details.case[open]#case-1 svg").first.wait_for()
    assert tab.is_checked("input[value=bits]")
    tab.click("nav a[href='#points']")
    assert address(tab) == "#units=bits&at=points"
    assert tab.locator("#points tbody tr").count() == 50
    tab.check("input[value=nats]")
    assert address(tab) == ""
    tab.evaluate("location.hash = '#suite=vector_gaussian&units=bits'")
    tab.locator(".board h3").first.wait_for()
    tab.wait_for_timeout(100)
    assert tab.is_checked("input[value=bits]")
    assert tab.input_value("select[name=suite]") == "vector_gaussian"


def test_boards_stay_open_and_closed_when_a_filter_changes(open_page, cell):
    suites = [
        cell(cell=f"{s}{e}", suite=s, estimator=e) for s in ("one", "two") for e in ("a", "b")
    ]
    tab = open_page(suites)
    assert tab.locator("details.board[open]").get_attribute("data-suite") == "one"
    tab.click("[data-suite=one] > summary")
    tab.click("[data-suite=two] > summary")
    tab.check("input[value=bits]")
    assert tab.locator("details.board[open]").get_attribute("data-suite") == "two"
    assert "bits" in tab.locator("details.board[open] caption").text_content()
    tab.select_option("select[name=suite]", "one")
    assert tab.locator("#field-table thead th").all_inner_texts() == ["estimator", "one"]


def test_who_fails_where_is_told_in_numbers(open_page, records):
    tab = open_page(records)
    table = tab.locator("#failing-table")
    line = table.locator("tr[data-series=blahut_arimoto]")
    refused = sum(p.status == "unsupported" for r in records for p in r.points
                  if r.estimator == "blahut_arimoto")  # fmt: skip
    every = sum(len(r.points) for r in records if r.estimator == "blahut_arimoto")
    assert refused > 0
    assert f"{refused}/{every} refused" in line.inner_text()
