"""The draws that EBRD fits, selects and claims on under squared error.

Fixed training points are split as points, not as draws of them: no point both fits and selects,
and none counts twice as evidence. Where values repeat, as letters do, nothing is held out: every
fit has seen all of them, and how often each occurs is what there is to learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.types import Side, View

_HELD = 20_000  # draws that choose the number of components
SELECT = 4000  # of them that decide about the network
_CLAIM = 4000
_JUDGES = 200  # held-out points, or training points that repeat, that can judge a network


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws in standard coordinates: to fit, to select, to claim on; and how to draw more."""

    scaling: Scaling
    fit: Float[Tensor, "n d"]
    held: Float[Tensor, "m d"]
    claim: Float[Tensor, "l d"]
    draw: Callable[[int], Tensor]
    side: Side
    """Of F of a mixture, which is exact on ``claim``: of fresh draws it is above F* in expectation,
    of fixed ones nothing is known."""
    judged: bool
    """Whether enough is held out to judge a network."""


def split_draws(config: Settings, view: View, generator: Generator, effort: float) -> Draws | None:
    """All of them; ``None`` of a constant source."""
    # p fitted parameters cost p / 2n nats.
    wanted = max(config.draws, min(150_000, 100 * (view.dim * (view.dim + 3) // 2)))
    count = max(1000, round(wanted * min(1.0, effort)))
    if view.n_train is not None:
        points = _points(view, view.n_train, count, generator)
        if points is not None:
            return _held_out(view, points, count, generator)
    raw = view.sample(count).double()
    if bool((raw == raw[0]).all()):
        return None
    scaling = fit_scaling(raw, view.distortion)
    z = scaling.forward(raw)
    held, claim = (scaling.forward(view.sample(n)) for n in (_HELD, _CLAIM))
    side: Side = "upper" if view.n_train is None else "estimate"
    judged = view.n_train is None or view.n_train >= _JUDGES

    def more(n: int) -> Tensor:
        return scaling.forward(view.sample(n))

    return Draws(scaling, z, held, claim, more, side, judged)


def _points(
    view: View, n_train: int, count: int, generator: Generator
) -> Float[Tensor, "n d"] | None:
    """The distinct training points in random order; ``None`` where fewer than half are distinct."""
    # Draws with replacement miss a point in eight times as many with probability exp(-8).
    drawn = min(8 * n_train, 2 * count)
    points: Tensor = torch.unique(view.sample(drawn).double(), dim=0)
    if 2 * len(points) < -math.expm1(-drawn / n_train) * n_train:
        return None
    return points[torch.randperm(len(points), generator=generator, device=points.device)]


def _held_out(
    view: View, points: Float[Tensor, "n d"], count: int, generator: Generator
) -> Draws | None:
    """A tenth of the points to select and a tenth to claim on; of fewer than ten none."""
    if len(points) < 2:
        return None
    tenth = len(points) // 10
    claim, held, fit = points.split([tenth, tenth, len(points) - 2 * tenth])
    if tenth == 0:
        claim = held = fit
    scaling = fit_scaling(fit, view.distortion)
    z = scaling.forward(fit[:count])

    def more(n: int) -> Tensor:
        return z[torch.randint(len(z), (n,), generator=generator, device=z.device)]

    held, claim = scaling.forward(held[:_HELD]), scaling.forward(claim[:_CLAIM])
    return Draws(scaling, z, held, claim, more, "estimate", tenth >= _JUDGES)
