"""Draws that fit, draws that choose, draws that a claim is made on: never the same ones.

Where draws are fresh, all three are. Of a fixed training set (``--n-train``) the first tenth of
the points is held out for choices, the next tenth for the claim, and the rest is fitted to, in an
order that is the same for every estimator. The points are independent draws of the source, so that
the split stays honest where values repeat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import Side, Unsupported, View

_LEAST = 2  # of every part: a standard error takes two


@dataclass(frozen=True, eq=False)
class Split:
    """The draws of one fit, each kind from points of its own, (n, d)."""

    sample: Callable[[int], Tensor]
    """``sample(n)``: n draws to fit to, fresh ones or with replacement from the fixed points."""
    distinct: Callable[[int], Tensor]
    """``distinct(n)``: n draws to fit to, no fixed point twice, so that there may be fewer."""
    held_out: Callable[[int], Tensor]
    """``held_out(n)``: at most n draws that choose between fits (hyper-parameters, stopping)."""
    claim: Callable[[int], Tensor]
    """``claim(n)``: at most n draws for the claimed point alone."""
    side: Side
    """The side on which a mean of the potential over ``claim`` lies: ``upper`` in expectation on
    fresh draws, ``estimate`` on the few fixed ones."""
    fixed: int | None
    """The number of fixed points to fit to; None where draws are fresh."""

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Split:
        """The same draws in other coordinates."""

        def of(draw: Callable[[int], Tensor]) -> Callable[[int], Tensor]:
            return lambda n: change(draw(n))

        return Split(
            of(self.sample),
            of(self.distinct),
            of(self.held_out),
            of(self.claim),
            self.side,
            self.fixed,
        )


def split(view: View, generator: Generator, ahead: tuple[int, int, int] | None = None) -> Split:
    """The draws of a view, split by purpose.

    Only the grids of blahut_arimoto take no split: their numbers come from the density, and draws
    only find the box of the source.

    Args:
        view: the problem.
        generator: picks among fixed points.
        ahead: how many to fit to, to choose and to claim on, where all three are drawn in one go:
            ``distinct``, ``held_out`` and ``claim`` then return these, whatever n is asked for.

    Raises:
        Unsupported: the fixed points are too few to be split in three.
    """
    if view.training is not None:
        return _of_points(view.training.double(), generator)
    if ahead is None:
        return Split(view.sample, view.sample, view.sample, view.sample, "upper", None)
    fit, held_out, claim = view.sample(sum(ahead)).split(list(ahead))
    return Split(view.sample, _always(fit), _always(held_out), _always(claim), "upper", None)


def _always(x: Tensor) -> Callable[[int], Tensor]:
    return lambda _: x


def _of_points(points: Float[Tensor, "n d"], generator: Generator) -> Split:
    tenth = max(_LEAST, len(points) // 10)
    if len(points) < 3 * tenth:
        raise Unsupported(
            f"needs at least {3 * _LEAST} training points to fit, choose and claim on different "
            f"ones (not {len(points)})"
        )
    mixed = torch.randperm(len(points), generator=Generator().manual_seed(0))  # they may be sorted
    points = points[mixed.to(points.device)]
    held_out, claim, fit = points.split([tenth, tenth, len(points) - 2 * tenth])

    def sample(n: int) -> Tensor:
        rows = torch.randint(len(fit), (n,), generator=generator, device=fit.device)
        return torch.index_select(fit, 0, rows)

    def first(part: Tensor) -> Callable[[int], Tensor]:
        return lambda n: part[:n]

    return Split(sample, first(fit), first(held_out), first(claim), "estimate", len(fit))
