"""F(start) - F(q): against closed forms, and what it says where little is known."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from rdbench.audit.evaluation import Evaluation
from rdbench.audit.gain import UNKNOWN, gain_of
from rdbench.audit.symbols import Symbols
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import GaussianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density, Start


def gaussian(variances):
    """N(0, diag(variances)) as a mixture of one."""
    v = torch.tensor(variances).double()
    zeros = torch.zeros_like(v)
    return GaussianMixture(torch.ones(1).double(), zeros[None], torch.diag(v)[None])


def density(mixture, beta):
    return Density(mixture.sample, mixture.log_prob, mixture.proposal(beta))


def lagrangian(source, q, beta):
    """F of N(0, q) on N(0, source), coordinate by coordinate, in closed form.

    -log E exp(-beta (x - Y)^2) = .5 log(1 + 2 beta q) + beta x^2 / (1 + 2 beta q).
    """
    return sum(
        0.5 * math.log(1.0 + 2.0 * beta * b) + beta * a / (1.0 + 2.0 * beta * b)
        for a, b in zip(source, q, strict=True)
    )


def test_the_gain_is_that_of_the_closed_forms(channel, run):
    source, beta, wide, best = (1.0, 2.0), 3.0, (1.5, 2.5), (1.0 - 1 / 6, 2.0 - 1 / 6)
    began = Start(density(gaussian(wide), beta), "too wide")
    q = dataclasses.replace(channel(beta, density(gaussian(best), beta)), start=began)
    stds = torch.tensor(source).double().sqrt()
    x = GaussianSource("two", torch.zeros(2).double(), stds, torch.eye(2).double())
    found = run(q, x, WaterFilling(x))
    right = lagrangian(source, wide, beta) - lagrangian(source, best, beta)
    assert found.gain_lo <= right <= found.gain_hi
    # In pairs: the spread of f over the symbols would leave three times that.
    assert found.gain_hi - found.gain_lo < 0.03
    same = dataclasses.replace(q, start=Start(q.marginal, "itself"))
    still = run(same, x, WaterFilling(x))
    assert (still.gain, still.gain_lo, still.gain_hi) == (0.0, 0.0, 0.0)
    # The start is looked at last: it moves none of the other numbers.
    without = run(channel(beta, q.marginal), x, WaterFilling(x))
    assert without.gap == found.gap == still.gap
    assert math.isnan(without.gain)


def test_an_upper_bound_leaves_the_end_unknown_that_it_may_move():
    symbols = Symbols(torch.zeros(640, 1).double(), block=10)
    values = torch.randn(640, generator=torch.Generator().manual_seed(3)).double()
    exact = Evaluation(values, values, "sums", "exact")
    upper = dataclasses.replace(exact, potential=values + 1.0, side="upper")
    of_start = gain_of(upper, exact, symbols)
    assert of_start.value == pytest.approx(1.0)
    assert math.isnan(of_start.lo)
    assert of_start.hi == pytest.approx(1.0)
    known = dataclasses.replace(upper, excess=torch.full_like(values, 0.01))
    assert gain_of(known, exact, symbols).lo == pytest.approx(0.98)
    of_q = gain_of(exact, upper, symbols)
    assert of_q.lo == pytest.approx(-1.0)
    assert math.isnan(of_q.hi)
    assert gain_of(dataclasses.replace(exact, accepted=False), exact, symbols) == UNKNOWN
