"""The page as a file: self-contained, locked, escaped, small, and the same for equal records."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from pathlib import Path

import msgspec
import pytest

from rdbench.report.files import writable
from rdbench.report.page import render, write
from rdbench.run.records import Draws
from rdbench.types import RdbenchError

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028'\"&"


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def outside(page: str) -> str:
    """The page without its data."""
    return re.sub(r'(id="data">).*?(</script>)', r"\1\2", page, flags=re.S)


def test_a_page_asks_nothing_of_the_world(realistic):
    page = outside(render(realistic))
    assert set(re.findall(r"https?://[^\"' <]*", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe|object|embed|base|form[^>]*action)\b", page)
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|import\(|eval\(|innerHTML", page)


def test_the_policy_allows_our_own_style_and_script_and_nothing_else(realistic):
    page = render(realistic)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"
    for rule, text in (
        ("style-src", re.findall(r"<style>(.*?)</style>", page, re.S)),
        ("script-src", re.findall(r"<script>(.*?)</script>", page, re.S)),
    ):
        digest = base64.b64encode(hashlib.sha256(text[0].encode()).digest()).decode()
        assert len(text) == 1
        assert rules[rule] == f"'sha256-{digest}'"
    assert not re.search(r"<[^>]+\s(on\w+|style)=", outside(page))


def test_values_from_records_are_escaped_wherever_they_stand(cell, failed):
    texts = dict.fromkeys(("cell", "suite", "case", "estimator", "preset", "budget"), HOSTILE)
    record = cell(
        **texts,
        params={HOSTILE: HOSTILE},
        fields={HOSTILE: HOSTILE},
        reason=HOSTILE,
        traceback=HOSTILE,
        status="error",
        points=[failed("error", HOSTILE, truth_kind=HOSTILE)],
        provenance={
            "commit": HOSTILE, "versions": {HOSTILE: HOSTILE}, "processor": HOSTILE,
            "platform": HOSTILE, "started": HOSTILE, "finished": HOSTILE,
        },
    )  # fmt: skip
    page = render([record], title=HOSTILE, warnings=[HOSTILE])
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert "\u2028" not in page.split('id="data">')[1]
    assert data_of(page)["cells"][0]["case"] == HOSTILE


def test_without_records_or_with_failures_alone_there_is_a_page(cell, failed):
    page = render([])
    assert "no cell has finished" in page
    assert "leaderboard" not in outside(page).split("<style>")[0]
    assert data_of(page)["cells"] == []
    dead = cell(status="timeout", reason="too slow", points=[])
    refused = cell(cell="b", status="unsupported", points=[failed("unsupported", "no")])
    page = render([dead, refused])
    assert [one["status"] for one in data_of(page)["troubles"]] == ["timeout", "unsupported"]
    assert "1 unsupported" in page


def lede(page):
    (text,) = re.findall(r'<p class="lede">(.*?)</p>', page, re.S)
    return " ".join(text.split())


def test_the_head_counts_cells_that_have_no_points(cell, point):
    names = ("a", "b", "c", "d")
    dead = [
        cell(cell=name, estimator=name, status="crashed" if name == "d" else "timeout", points=[],
             cost={"cpu_s": None}, provenance={"started": "", "finished": ""})
        for name in names
    ]  # fmt: skip
    assert lede(render(dead)) == (
        "4 estimators on 1 case of 1 suite: 0 points in 4 cells; "
        "4 cells without points: 3 timeout, 1 crashed."
    )
    head = render(dead).split("<nav")[0]
    assert "<dt>time</dt>" not in head
    assert "<dt>measured</dt>" not in head
    assert "None" not in head.split("<header")[1]
    assert lede(render([cell(), dead[0]])) == (
        "2 estimators on 1 case of 1 suite: 1 point in 2 cells, 1 ok; "
        "1 cell without points: 1 timeout."
    )
    # The time is told as far as it is known.
    silent = cell(cost={"cpu_s": None})
    assert "<dt>time</dt><dd>0.00833 minutes of audit</dd>" in render([silent])
    silent = cell(points=[point(audit_s=None)])
    assert "<dt>time</dt><dd>0.05 CPU minutes of fitting</dd>" in render([silent])


@pytest.mark.parametrize("size", [1.7e308, -1.7e308])
def test_the_largest_numbers_make_a_page(cell, point, size):
    extreme = [
        point(status=status, gap=size, gap_lo=size, gap_hi=size, rate_lo=size, rate_hi=size,
              claimed_rate=size, truth_lo=size, truth_hi=size,
              draws=Draws(x=[[size]], y=[[[size]]], source=[[1.797e308]], reproduction=[[size]]))
        for status in ("ok", "not_converged")
    ]  # fmt: skip
    data = data_of(render([cell(points=extreme, cost={"cpu_s": 1.7e308})] * 2))
    assert data["points"]["gap"] == [size] * 4


def test_without_truth_there_is_a_page_and_warnings_are_shown(cell, point):
    unknown = dict.fromkeys(
        ("truth_lo", "truth_hi", "truth_kind", "rate_lo", "rate_hi", "dist_lo", "dist_hi", "gap",
         "gap_lo", "gap_hi", "rate_error", "target_rate"),
    )  # fmt: skip
    page = render([cell(points=[point(**unknown)])], warnings=["line 3: its schema 9 is newer"])
    assert "truth is not known" in data_of(page)["troubles"][0]["reason"]
    assert data_of(page)["truths"]["truth_lo"] is None
    assert "1 line of the results could not be read" in page
    assert "line 3: its schema 9 is newer" in page


def test_equal_records_give_an_equal_page_in_any_order(realistic):
    records = [msgspec.structs.replace(r, cell=f"{k:016x}") for k, r in enumerate(realistic)]
    assert render(records) == render(records[::-1])
    with pytest.raises(RdbenchError, match="unknown units"):
        render(records, units="bans")


def test_ten_thousand_points_stay_small(cell, point):
    ladder = [point(beta=float(k + 1), gap=0.01 / (k + 1), rate=1 / (k + 3)) for k in range(10)]
    records = [cell(cell=f"{k:016x}", case=f"case-{k % 100}", seed=k // 100) for k in range(1000)]
    records = [msgspec.structs.replace(record, points=ladder) for record in records]
    page = render(records)
    assert len(page) < 5e6
    assert len(data_of(page)["points"]["truth"]) == 10_000


def test_a_page_is_written_whole_or_not_at_all_and_links_stay(tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "page.html", tmp_path / "link.html"
    link.symlink_to(target)
    for text in ("new", "é"):  # the target is not there, then it is
        writable(link)
        assert write(text, link) == len(text.encode())
        assert link.is_symlink()
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]
    with pytest.raises(RdbenchError, match="cannot write"):
        write("x", tmp_path / "missing" / "page.html")


def test_only_regular_files_are_replaced(tmp_path):
    pipe, loop, link = (tmp_path / name for name in ("pipe", "loop", "link"))
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    link.symlink_to("/dev/null")
    before = set(tmp_path.iterdir())
    for out, says in (
        (pipe, "no regular file"),
        (Path("/dev/null"), "no regular file"),
        (link, "no regular file"),
        (tmp_path, "a folder"),
        (loop, "symbolic links"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        for attempt in (writable, lambda path: write("x", path)):
            with pytest.raises(RdbenchError, match=says):
                attempt(out)
    assert set(tmp_path.iterdir()) == before
    assert pipe.is_fifo()
    assert Path("/dev/null").is_char_device()
