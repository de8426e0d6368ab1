"""The folders of papers: their numbers fit their cells, and a wrong one is caught."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from rdbench import registry
from rdbench.papers import nerd as nerd_paper
from rdbench.reproduce import paper as papers
from rdbench.reproduce import published
from rdbench.reproduce.numbers import read, read_computed, read_elsewhere
from rdbench.reproduce.published import TRUTH, compare
from rdbench.sources.gaussian import GaussianSource
from rdbench.types import RdbenchError

COMPUTED = ("root_tracking", "discretisation", "sample_size")


@pytest.mark.parametrize("name", papers.names())
def test_every_number_is_about_something_that_its_paper_has(name):
    """Without records: the truth and computations have their numbers, cells are not run."""
    paper = papers.load(name)
    rows, unread = compare(paper, []), read_elsewhere(paper.published)
    assert rows or unread
    for row in rows:
        if row.number.part and row.estimator != TRUTH:
            assert row.verdict == "not run"
        else:
            assert row.ours is not None
    assert all(one.why.strip() for one in unread)


@pytest.mark.parametrize("name", ["nerd", "sandwich", "fixed_cardinality"])
def test_published_upper_bounds_lie_where_upper_bounds_can(name):
    """No printed F is below F* by more than its own noise, and the lower bound is below it."""
    rows = [row for row in compare(papers.load(name), []) if row.estimator == TRUTH]
    assert {row.verdict for row in rows} <= {"agrees", "no number"}
    assert any(row.verdict == "agrees" for row in rows)


def _planted(monkeypatch, **changes):
    """The verdict on the truth where NERD's point at d = 20, β = .25 is changed."""
    numbers = read(nerd_paper.PAPER.published)
    one = next(n for n in numbers if n.cases == ["nerd-d20"] and n.slope == 0.25)
    assert one.printed is not None
    printed = msgspec.structs.replace(one.printed, **changes)
    wrong = msgspec.structs.replace(one, printed=printed, estimators=[TRUTH])
    monkeypatch.setattr(published, "read", lambda _: [wrong])
    (row,) = compare(nerd_paper.PAPER, [])
    return row.verdict


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0.6372 * math.log(2.0)},  # nats, read as bits
        {"distortion": 7.7323 / 20.0},  # a mean, read as a sum
        {"distortion": 7.5},
    ],
)
def test_a_wrong_number_is_caught(monkeypatch, changes):
    """A printed point below the true curve is no point of any channel."""
    assert _planted(monkeypatch, **changes) == "does not agree"
    assert _planted(monkeypatch) == "agrees"


def test_a_wrong_number_of_a_computation_is_caught(monkeypatch):
    paper = papers.load("root_tracking")
    (one,) = read(paper.published)
    verdicts = {row.estimator: row.verdict for row in compare(paper, [])}
    assert verdicts["tracking, mass ≤ 0.01"] == "agrees"
    assert verdicts[TRUTH] == "does not agree"  # the published slope is where mass is .01
    wrong = msgspec.structs.replace(one, value=math.log(7.0 / 3.0))
    monkeypatch.setattr(published, "read", lambda _: [wrong])
    turned = {row.estimator: row.verdict for row in compare(paper, [])}
    assert turned[TRUTH] == "agrees"
    assert turned["tracking, mass ≤ 0.01"] == "does not agree"


def test_what_was_not_computed_is_not_run(monkeypatch, tmp_path):
    paper = replace(papers.load("root_tracking"), folder=tmp_path)
    (tmp_path / "published.toml").write_bytes(papers.load("root_tracking").published.read_bytes())
    assert {row.verdict for row in compare(paper, [])} == {"not run"}
    paper.computed.parent.mkdir()
    paper.computed.write_text("case,by\na,b\n")
    with pytest.raises(RdbenchError, match="not a table of case, by, quantity"):
        compare(paper, [])


def test_the_noise_of_nerd_is_that_of_a_mean_over_its_symbols():
    """2 sqrt(Var f* / 50,000), of 1/2 per active direction, 2 β² σ⁴ per other; and rounding."""
    for dim, case in ((20, "nerd-d20"), (40, "nerd-d40")):
        cases = registry.load_suite("gaussian_spectra").cases([dim])
        (source,) = [c.problem.source for c in cases if c.name == case]
        assert isinstance(source, GaussianSource)
        variances = source.stds.numpy() ** 2
        for one in read(nerd_paper.PAPER.published):
            if one.cases == [case]:
                assert one.printed is not None
                beta = one.printed.slope
                spread = np.where(variances > 0.5 / beta, 0.5, 2.0 * (beta * variances) ** 2)
                rounding = 0.0005 * math.log(2.0) + beta * 0.00005
                expected = 2.0 * math.sqrt(spread.sum() / 50_000) + rounding
                assert one.within == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", COMPUTED)
def test_the_tables_of_computations_are_read(name):
    table = read_computed(papers.load(name).computed)
    assert table
    assert all(ends.lo <= ends.hi for ends, _ in table.values())
