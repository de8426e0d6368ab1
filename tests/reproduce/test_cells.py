"""Which cells a paper consists of, and which records answer them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from rdbench.reproduce.cells import answers, find, planned, to_run
from rdbench.reproduce.paper import Paper, Part
from rdbench.reproduce.settings import SIDE_BY_SIDE
from rdbench.run.records import Draws
from rdbench.types import RdbenchError

FRESH = Part("2", "Scalar", "paper", ("gaussian",), ("mixture_em",), rates=(0.5, 1.0))
FIXED = replace(FRESH, name="4b", n_train=100)
OTHER = replace(FRESH, name=SIDE_BY_SIDE, estimators=("mixture_em[components=2]",))
TINY = Paper("A paper", Path(), (FRESH, FIXED), (OTHER,), more_seeds=(1,), budget="quick")


@pytest.fixture(scope="module")
def plans():
    """Both parts, the other setting, both parts at another seed."""
    return planned(TINY, full=True)


def test_what_is_not_asked_for_is_neither_planned_nor_run(plans):
    plain, full = planned(TINY, full=False), plans
    assert [(p.part.name, p.runs) for p in plain] == [("2", True), ("4b", True)]
    assert [p.runs for p in full] == [True, True, False, False, False]
    assert [c.seed for p in full for c in p.cells] == [0, 0, 0, 1, 1]
    assert {c.id for cells in to_run(full, {}).values() for c in cells} == {
        c.id for p in plain for c in p.cells
    }
    assert {c.n_train for c in plain[1].cells} == {100}
    assert {c.budget for p in full for c in p.cells} == {"quick"}


def test_an_unknown_name_is_told():
    with pytest.raises(RdbenchError, match="no case matches"):
        planned(replace(TINY, parts=(replace(FRESH, cases=("nope",)),)), full=False)
    with pytest.raises(RdbenchError, match="unknown estimator"):
        planned(replace(TINY, parts=(replace(FRESH, estimators=("nope",)),)), full=False)


def test_the_same_question_of_earlier_code_answers_only_what_is_never_run(record, plans):
    held = []
    for plan in plans:
        for cell in plan.cells:
            for commit, when in (("a" * 40, "2026-01-02"), ("b" * 40, "2026-01-01")):
                held.append(record(cell, when, cell=f"{commit} {cell.id}", commit=commit))
    found = {one.part.name: one for one in find(plans, held)}
    # the further seed of part 2 is shown, its first seed has to be run
    assert [r.seed for r in found["2"].records] == [1]
    assert found["2"].missing == ("paper/gaussian mixture_em seed 0",)
    assert found["2"].stale == ("paper/gaussian mixture_em seed 1, commit aaaaaaa",)
    assert len(found[SIDE_BY_SIDE].records) == 1
    assert found[SIDE_BY_SIDE].stale[0].endswith("commit aaaaaaa")


@pytest.mark.parametrize(
    "change",
    [{"budget": "full"}, {"seed": 7}, {"suite_version": 99}, {"params": {}}, {"n_train": 3},
     {"preset": "paper"}, {"case": "laplacian-absolute"}],
)  # fmt: skip
def test_another_question_is_no_answer(record, change, plans):
    (cell,) = plans[2].cells
    stale = record(cell, cell="f" * 16, **change)
    (found,) = [one for one in find(plans, [stale]) if one.part.name == SIDE_BY_SIDE]
    assert found.records == ()
    assert found.missing == (cell.title,)


def test_other_slopes_are_no_answer(record, point, plans):
    (cell,) = plans[2].cells
    whole = record(cell, cell="f" * 16)
    for points in (whole.points[:1], [point(p.beta * 1.01, 1.0) for p in whole.points]):
        held = msgspec.structs.replace(whole, points=points)
        assert find(plans, [held])[2].records == ()
    assert find(plans, [whole])[2].records == (whole,)


def test_identity_comes_before_what_is_newer(record, plans):
    (cell,) = plans[2].cells
    exact, stale = record(cell, "2026-01-01"), record(cell, "2026-02-01", cell="f" * 16)
    (found,) = [o for o in find(plans, [exact, stale]) if o.part.name == SIDE_BY_SIDE]
    assert found.records == (exact,)
    assert found.stale == ()


def test_a_cell_that_kept_too_few_draws_runs_again(record):
    drawn = replace(FRESH, name="5", draws=3)
    plans = planned(replace(TINY, parts=(FRESH, drawn)), full=False)
    (cell,) = plans[0].cells
    none = record(cell)
    kept = Draws(x=[[0.0]], y=[[[0.0]] * 3], source=[[0.0]] * 3, reproduction=[[0.0]] * 3)
    enough = record(cell, point={"draws": kept})
    # one cell of two parts: it runs once, with the draws of the part that wants most
    assert {n: [c.id for c in cells] for n, cells in to_run(plans, {}).items()} == {3: [cell.id]}
    assert to_run(plans, {cell.id: none}) == {3: [cell]}
    assert to_run(plans, {cell.id: enough}) == {}
    assert not answers(enough, 4)
    refused = {"status": "unsupported", "claimed_rate": None, "gap": None}
    assert answers(record(cell, point=refused), 3)  # there is nothing to draw from
    assert answers(record(cell, dim=3), 3)  # nor a picture
    assert not answers(record(cell, status="crashed"), 0)


def test_a_part_has_slopes_dimensions_and_a_budget_of_its_own():
    part = Part("1", "", "gaussian_spectra", ("nerd-d40",), ("mixture_em",), betas=(1.0, 0.25),
                dims=(40,), budget="quick")  # fmt: skip
    ((cell,),) = [plan.cells for plan in planned(Paper("", Path(), (part,)), full=False)]
    assert (cell.betas, cell.dim, cell.budget) == ((0.25, 1.0), 40, "quick")


def test_estimators_that_nobody_registered_are_left_out_of_what_is_only_shown():
    part = Part("1", "", "paper", ("gaussian",), ("nobody:has[it=1]", "mixture_em"), rates=(1.0,))
    (shown,) = planned(Paper("", Path(), (), stored=(part,)), full=True)
    assert [cell.label for cell in shown.cells] == ["mixture_em"]
    with pytest.raises(RdbenchError, match="unknown estimator 'nobody'"):
        planned(Paper("", Path(), (part,)), full=False)
