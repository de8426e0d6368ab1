"""Bold is who leads by the paired comparison in Python; rows are of whole ladders."""

from __future__ import annotations

import msgspec
import pytest

from rdbench.report.page.content import page_data
from tests.browser._reading import unfold

pytestmark = pytest.mark.browser

SLOPES = tuple(float(k + 1) for k in range(8))


@pytest.fixture
def make(cell, point, failed):
    """Makes a cell of an estimator from its gap at every slope; None is a timeout."""

    def one(estimator, gaps, half=0.001, side="exact", **changes):
        points = [
            failed("timeout", "too slow", beta=beta)
            if gap is None
            else point(
                beta=beta, gap=gap, gap_hi=gap + half, side=side,
                gap_lo=None if side == "upper" else gap - half,
                rate_lo=0.1 * beta, rate_hi=0.1 * beta,
            )
            for beta, gap in zip(SLOPES, gaps, strict=True)
        ]  # fmt: skip
        name = f"{estimator}{changes.get('seed', 0)}"
        return cell(cell=name, estimator=estimator, points=points, **changes)

    return one


def bold(tab):
    """Who is bold on the leaderboard; the overview has to agree."""
    names = tab.locator(".by-case tr:has(strong)").evaluate_all(
        "rows => rows.map(row => row.dataset.series)"
    )
    assert tab.locator(".overview strong").count() == len(names)
    return names


def test_bold_are_the_leaders_of_the_paired_comparison(open_page, make, cell):
    low_then_high = [0.01] * 4 + [0.05] * 4
    dead = cell(cell="dead", estimator="a", seed=1, status="crashed", points=[])
    for records, expected in (
        ([make("a", [0.02] * 8), make("b", [0.0205] * 8), make("c", [0.05] * 8)], ["a", "b"]),
        # the mean of a is .03 and that of b .045, yet where both have one, b is the better
        ([make("a", low_then_high), make("b", [None] * 4 + [0.045] * 4)], []),
        ([make("a", [0.01] * 8), make("b", [0.05] * 8), dead], []),
        ([make("a", [0.01] * 8, side="upper"), make("b", [0.05] * 8)], ["a"]),
    ):
        data = page_data(records)
        leaders = [data["series"][row["series"]]["label"] for row in data["rows"] if row["leader"]]
        assert leaders == expected
        assert bold(unfold(open_page(records))) == expected


def test_how_far_a_row_is_behind_the_best_is_told_in_pairs(open_page, make):
    # Every gap is known to .09 only, their difference of .005 to nothing at all.
    def paired(name, shift):
        found = make(name, [0.02 + shift] * 8, half=0.09)
        blocks = [0.02 + shift + (0.36 if k % 2 else -0.36) for k in range(64)]
        points = [
            msgspec.structs.replace(p, gap_blocks=blocks, gap_common_se=0.0) for p in found.points
        ]
        return msgspec.structs.replace(found, points=points)

    tab = unfold(open_page([paired("b", 0.005), paired("a", 0.0)]))
    rows = tab.locator(".by-case tbody tr").evaluate_all(
        "rows => rows.map(row => [row.dataset.series, row.cells[5].textContent])"
    )
    assert rows == [["a", "best"], ["b", "0.005 [0.005, 0.005]"]]


def test_rows_are_of_whole_ladders_whatever_is_hidden(open_page, make):
    tab = unfold(open_page([make("a", [0.01] * 8), make("b", [0.05] * 8), make("c", [0.06] * 8)]))
    row = tab.locator(".by-case tbody tr").first.inner_text()
    for hidden in "bc":
        tab.uncheck(f"input[value={hidden}]")
        assert bold(tab) == ["a"]
    tab.fill("input[name=from]", "0.35")
    assert tab.locator(".by-case tbody tr").count() == 1
    assert tab.locator(".by-case tbody tr").first.inner_text() == row
    tab.fill("input[name=from]", "7")
    assert tab.locator(".by-case tbody tr").count() == 0
    # Who is best is told by all records: with the best one hidden, nobody takes its place.
    tab = unfold(open_page([make("a", [0.01] * 8), make("b", [0.02] * 8), make("c", [0.03] * 8)]))
    tab.uncheck("input[value=a]")
    assert bold(tab) == []


def test_the_little_picture_of_an_upper_bound_has_one_end_and_an_arrow(open_page, make):
    tab = unfold(open_page([make("a", [0.01] * 8, side="upper"), make("b", [0.05] * 8)]))
    paths = tab.locator(".whisker .interval").evaluate_all(
        "all => all.map(path => path.getAttribute('d'))"
    )
    assert [path.count("M") for path in paths] == [2, 1]
    start, mark = (float(part.split(",")[0]) for part in paths[0].split("M")[1:])
    assert start == mark
    assert "h-" in paths[0]
