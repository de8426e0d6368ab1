"""Quadrature panels and the rigorous maximum, against dense grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbench.certify.line.panels import ELLIPSES, NODES, Panels, layout
from rdbench.certify.maximum import interpolate, maximum


def smooth(x, w, beta):
    return lambda y: np.exp(-beta * (x - y[:, None]) ** 2) @ w


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0.01, 5)), min_size=1, max_size=12),
    st.floats(0.1, 40.0),
)
def test_maximum_is_above_a_dense_grid_and_close_to_it(nodes, beta):
    x, w = (np.array(v) for v in zip(*nodes, strict=True))
    c = smooth(x, w, beta)
    found = maximum(interpolate(c, -4.0, 4.0, beta), 1e-9)
    dense = c(np.linspace(-4.0, 4.0, 20_001)).max()
    assert found >= dense
    # Between grid points c can rise by (step / 2)^2 beta at most.
    assert found <= dense * (1 + beta * (2e-4) ** 2) + 1e-8


def test_a_flat_function_needs_no_splitting_and_loses_nothing():
    x = np.linspace(-30, 30, 601)
    c = smooth(x, np.full(601, 0.1 / np.sqrt(np.pi)), 1.0)
    assert maximum(interpolate(c, -10.0, 10.0, 1.0), 1e-12) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("pole", [0.3, 1.0, 3.0])
def test_the_error_of_gauss_is_below_its_bound(pole):
    panels = Panels.between(np.array([-1.0, 0.5, 2.0]))
    x, w = panels.quadrature()
    errors = np.abs(
        (w / (x**2 + pole**2)).sum(1) - np.diff(np.arctan(np.array([-1.0, 0.5, 2.0]) / pole)) / pole
    )
    reach, height = panels.rectangles()
    away = np.maximum(np.abs(panels.centre)[:, None] - reach, 0.0)
    # |z - i pole| |z + i pole| over the rectangle.
    least = np.hypot(away, pole) * np.hypot(away, np.maximum(pole - height, 0.0))
    with np.errstate(divide="ignore"):
        log_modulus = np.where(height < pole, -np.log(least), np.inf)
    bound = np.exp(panels.log_error(log_modulus).min(1))
    assert (errors <= bound + 1e-15).all()
    assert ELLIPSES[0] > 1
    assert x.shape == (2, NODES)
    assert bound.max() < 1.0


def test_layout_keeps_breaks_and_widths():
    edges = layout(-5.0, 7.0, 0.5, growth=0.25, onset=2.0, breaks=(0.3, 9.0))
    assert {-5.0, 0.0, 0.3, 7.0} <= set(edges)
    widths = np.diff(edges)
    assert (widths > 0).all()
    far = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
    assert (widths <= np.maximum(0.5, 0.25 * (far - 2.0)) + 1e-12).all()


def test_bisected_panels_cover_the_same_interval():
    panels = Panels.between(np.array([0.0, 1.0, 3.0])).bisected(np.array([False, True]))
    np.testing.assert_allclose(panels.left, [0.0, 1.0, 2.0])
    np.testing.assert_allclose(panels.right, [1.0, 2.0, 3.0])
