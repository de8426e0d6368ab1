"""The distortion of data where nothing is sent: the end of R(D) at rate zero, from above."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.sources.sample import SampleSource
from rdbench.types import HasSupport, Problem

_TRIED, _SEEN = 200, 2000
_ERRORS = 3.0
"""Standard errors above the mean over held-out rows: that much is exceeded once in 700 times."""


def silent(problem: Problem) -> float | None:
    """An upper bound of min_y E rho(X, y), with the best of some constants y.

    Of rows that are the source the mean is exact. Of a population y is chosen on the training rows,
    and the upper end of the mean over the held-out rows is given, by groups where there are any.

    Args:
        problem: made of data.

    Returns:
        The distortion; None where no constant has a finite one.
    """
    source = problem.source
    if isinstance(source, SampleSource):
        seen = source.training[:_SEEN]
        weights = torch.full((len(seen),), 1.0 / len(seen), dtype=torch.float64)
    elif isinstance(source, HasSupport):
        seen, weights = source.support, source.pmf.double()
    else:
        return None
    words = _constants(problem, seen, weights)
    of_words = torch.stack([weights @ _rho(problem, seen, y) for y in words])
    best = words[int(of_words.argmin())]
    found = float(of_words.min())
    if isinstance(source, SampleSource):
        values = _rho(problem, source.held_out, best)
        found = float(values.mean()) + _ERRORS * _error(values, source.groups)
    return found if math.isfinite(found) else None


def _constants(
    problem: Problem, x: Float[Tensor, "n d"], weights: Float[Tensor, " n"]
) -> Float[Tensor, "m d"]:
    if problem.alphabet is not None:
        return problem.alphabet
    if problem.distortion.name == "squared_error":
        return (weights @ x)[None]
    return torch.cat([x[:_TRIED], x.median(0).values[None]])


def _rho(problem: Problem, x: Float[Tensor, "n d"], y: Float[Tensor, " d"]) -> Float[Tensor, " n"]:
    return problem.distortion.pairwise(x, y[None]).double()[:, 0]


def _error(values: Float[Tensor, " n"], groups: Tensor | None) -> float:
    """The standard error of the mean; rows of a group err together."""
    off = values - values.mean()
    if groups is not None:
        _, where = torch.unique(groups, return_inverse=True)
        off = torch.zeros(int(where.max()) + 1, dtype=off.dtype).index_add(0, where, off)
    many = len(off)
    return float(off.square().sum().sqrt()) / len(values) * math.sqrt(many / max(many - 1, 1))
