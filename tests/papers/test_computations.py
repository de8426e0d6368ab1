"""The computations of papers without cells: each against something computed in another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rdbench.bracket import Bracket
from rdbench.papers.discretisation import orders
from rdbench.papers.root_tracking import tracking
from rdbench.papers.sample_size import sizes
from rdbench.reproduce import paper as papers
from rdbench.reproduce.numbers import read_computed

# ---------------------------------------------------------------- root tracking


def test_the_atom_vanishes_at_log_7_3():
    lo, hi = tracking.vanishing()
    assert lo <= math.log(7.0 / 3.0) <= hi
    assert hi - lo <= 1e-12


def test_tracking_finds_what_is_published_where_it_is_told_to_stop():
    """.86 and 3,115 solutions, both printed: the mass is .01 at log(7/3) + .0195."""
    found = tracking.track(0.01)
    assert float(found.betas[-1]) == pytest.approx(0.86)
    assert len(found.betas) == 3115
    exact = [tracking.mass(float(beta)) for beta in found.betas]
    assert np.allclose(found.masses, exact, atol=1e-6)
    stored = read_computed(papers.load("root_tracking").computed)
    ends, _ = stored["bernoulli-0.3", "tracking, mass ≤ 0.01", "slope"]
    assert ends.lo == pytest.approx(0.86)


# ---------------------------------------------------------------- discretisation


def test_cells_have_the_masses_and_moments_of_the_law():
    made = orders.cells(stats.norm.logpdf, 2.0, 0.5)
    edges = np.linspace(-2.0, 2.0, 9)
    masses = np.diff(stats.norm.cdf(edges))
    assert np.allclose(made.p, masses / masses.sum())
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        law = stats.truncnorm(a, b)
        assert made.mean[i] == pytest.approx(law.mean())
        assert made.variance[i] == pytest.approx(law.var(), rel=1e-9)


@pytest.mark.parametrize("kind", orders.COSTS)
def test_the_order_is_found_on_errors_of_a_known_order(kind):
    h = np.array([1.0, 0.5, 0.25])
    rows = pd.DataFrame({"h": h, "cost": kind, "error_lo": -3.0 * h**1.5,
                         "error_hi": -3.0 * h**1.5})  # fmt: skip
    assert orders.orders(rows, "h") == pytest.approx((1.5, 1.5))
    rows["error_hi"] = 1.0  # brackets as wide as the errors say nothing
    assert orders.orders(rows, "h") is None


def test_a_coarse_grid_has_the_stored_error_and_averages_bound_from_above():
    study = orders.STUDIES[0]
    table = pd.read_csv(orders.DATA / "errors.csv")
    for kind in orders.COSTS:
        found = orders.optimum(orders.cells(study.log_prob, study.half, 0.5), kind, study.beta)
        error = Bracket(found.lo - study.truth.hi, found.hi - study.truth.lo)
        (stored,) = table.query(
            f"source == 'gaussian' and varied == 'step' and cost == '{kind}' and h == 0.5"
        )["error_lo"]
        assert error.lo == pytest.approx(stored, rel=1e-5)
        assert error.lo > 0.0 or kind == "midpoints"


def test_the_stored_orders_are_those_of_the_stored_errors():
    made = {(row["case"], row["by"], row["quantity"]): (row["lo"], row["hi"])
            for row in orders.summary(pd.read_csv(orders.DATA / "errors.csv"))}  # fmt: skip
    stored = read_computed(papers.load("discretisation").computed)
    assert made.keys() == stored.keys()
    for key, ends in made.items():
        assert tuple(stored[key][0]) == pytest.approx(ends, rel=1e-4)


# ---------------------------------------------------------------- sample size


def test_the_size_is_where_the_gap_last_falls_below():
    gaps = {10: 0.04, 100: 0.2, 1000: 0.05 * math.exp(-1.0)}
    found = sizes._crossed(2.0, gaps)  # the dip at 10 is noise
    share = math.log(0.2 / 0.05) / math.log(0.2 / gaps[1000])
    assert found.known == "measured"
    assert found.log_n == pytest.approx(math.log(100) + share * math.log(10))
    assert sizes._crossed(2.0, {10: 0.3, 100: 0.2}) == (2.0, math.log(100), "more than")
    assert sizes._crossed(2.0, {10: 0.03, 100: 0.02}) == (2.0, math.log(10), "at most")


def test_the_plug_in_grows_as_its_table_says():
    """log N at R = 1 and 6 is 3.918 and 10.995: 1.415 nats per nat on average."""
    lo, hi = sizes.growth([1.0, 3.0, 6.0], [1.0, 5.0, 8.0])
    assert (lo, hi) == (1.0, 2.0)
    (row,) = sizes.rows()
    assert row["lo"] < (10.994724 - 3.917584) / 5.0 < row["hi"]
    stored = read_computed(papers.load("sample_size").computed)
    ends, _ = stored[row["case"], row["by"], "order"]
    assert tuple(ends) == pytest.approx((row["lo"], row["hi"]))
