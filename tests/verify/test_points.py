"""Points under absolute error: a small problem whose bracket is known from dense sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy import ndarray

from rdbench.verify import Verdict
from tests.verify.conftest import one

Judge = Callable[[dict[str, Any]], Verdict]
BETA = 1.7


def _points(dim: int) -> ndarray:
    """Twelve points: coordinates that occur twice, a point that occurs twice, one far out."""
    x = np.random.default_rng(3).normal(size=(12, 2))
    x[3, 0], x[5, 1], x[8], x[11] = x[7, 0], x[1, 1], x[2], (-9.0, 6.0)
    return x[:, :dim]


def _kernel(x: ndarray, y: ndarray) -> ndarray:
    found: ndarray = np.exp(-BETA * np.abs(x[:, None] - y).sum(2))
    return found


def _corners(x: ndarray) -> ndarray:
    return np.stack(np.meshgrid(*x.T, indexing="ij"), -1).reshape(-1, x.shape[1])


def _solved(x: ndarray, y: ndarray) -> tuple[ndarray, float, ndarray]:
    """Blahut's weights of the letters y, F(q), and c at all corners."""
    kernel, w = _kernel(x, y), np.full(len(y), 1.0 / len(y))
    for _ in range(20_000):
        w *= (1.0 / (len(x) * (kernel @ w))) @ kernel
        w /= w.sum()
    z = kernel @ w
    return w, float(-np.log(z).mean()), (1.0 / (len(x) * z)) @ _kernel(x, _corners(x))


def _file(x: ndarray, y: ndarray, w: ndarray, lo: float, hi: float) -> dict[str, Any]:
    content = one("real_data-digits-2-absolute")
    content["problem"]["source"]["points"] = x.tolist()
    content["rungs"][0]["certificate"].update(
        beta=BETA, points=y.tolist(), weights=w.tolist(), lo=lo, hi=hi
    )
    return content


@pytest.mark.parametrize("dim", [1, 2])
def test_both_ends_are_those_of_dense_sums(dim: int, judge: Judge) -> None:
    x = _points(dim)
    y = np.unique(_corners(x), axis=0)
    w, hi, c = _solved(x, y)
    lo = hi - float(np.log(c.max()))
    assert hi - lo < 1e-3
    anywhere = np.random.default_rng(0).uniform(x.min(0) - 1.0, x.max(0) + 1.0, (20_000, dim))
    z = _kernel(x, y) @ w
    assert ((1.0 / (len(x) * z)) @ _kernel(x, anywhere)).max() <= c.max()
    found = judge(_file(x, y, w, lo - 1e-13, hi + 1e-13))
    assert found.state == "verified", found.why
    assert found.lo == pytest.approx(lo, abs=1e-13)
    assert found.hi == pytest.approx(hi, abs=1e-13)
    rounded = w.copy()
    rounded[w.argmax()] *= 1.002
    planted = {
        "weight": _file(x, y, rounded, lo - 1e-13, hi + 1e-13),
        "lo": _file(x, y, w, lo + 1e-12, hi + 1e-12),
        "hi": _file(x, y, w, lo - 1e-12, hi - 1e-12),
        "a point": _file(np.vstack([x[:-1], x[-1:] + 0.01]), y, w, lo - 1e-13, hi + 1e-13),
        "a coordinate too few": _file(x, y[:, : dim - 1], w, 0.0, 99.0),
    }
    for beta in (BETA * 1.001, 1.0 / BETA):
        planted[f"beta {beta}"] = _file(x, y, w, lo - 1e-13, hi + 1e-13)
        planted[f"beta {beta}"]["rungs"][0]["certificate"]["beta"] = beta
    for name, content in planted.items():
        found = judge(content)
        assert (found.state, bool(found.why)) == ("rejected", True), name


def test_a_missed_corner(judge: Judge) -> None:
    """Reproductions at the points alone: c is at most one there, and larger at another corner."""
    x = 0.3 * np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 0.0]])
    w, hi, c = _solved(x, x)
    at_points = (1.0 / (len(x) * (_kernel(x, x) @ w))) @ _kernel(x, x)
    lo, missed = (hi - float(np.log(each.max())) for each in (c, at_points))
    assert missed > _solved(x, _corners(x))[1] + 1e-3  # what is claimed is wrong
    found = judge(_file(x, x, w, missed, hi + 1e-12))
    assert (found.state, "not lo" in found.why) == ("rejected", True)
    assert judge(_file(x, x, w, lo - 1e-12, hi + 1e-12)).state == "verified"


@pytest.mark.parametrize("name", ["absolute_error", "squared_error"])
def test_points_in_space_are_not_checked(name: str, judge: Judge) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    content = _file(x, x, np.ones(4), 0.0, 9.0)
    content["problem"]["distortion"]["name"] = name
    assert judge(content).state == "not checked"
