"""Points that cover the line or the plane: there eq. (4) is two weighted sums, without chains.

The points are strata of a product of one law per axis, half uniform over a box around the draws
and half like the draws, shifted at random every step. With log weights -E(y_j) - log g(y_j) their
softmax is q, and the same less beta rho(x, y_j) is p(y|x): far less noise than any chain gives, and
modes far apart need no crossing.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

MOST_DIM = 2
_SIDE = {1: 512, 2: 36}  # points along an axis
_KNOTS = 33
_MARGIN = 0.25  # of the range of the draws, on either side


class Strata:
    """The law g of the points, by its knots: equal mass lies between neighbours of an axis."""

    def __init__(self, symbols: Float[Tensor, "n d"]) -> None:
        """Cover ``symbols``, in float64."""
        x = symbols.double()
        lo, hi = x.amin(0), x.amax(0)
        wide = _MARGIN * (hi - lo).clamp(min=1e-3)
        level = torch.linspace(0.0, 1.0, _KNOTS, dtype=x.dtype, device=x.device)
        even = (lo - wide) + level[:, None] * (hi - lo + 2.0 * wide)
        few = x[:100_000]  # quantile() takes no more
        self.knots = torch.cat([even, torch.quantile(few, level, dim=0)]).sort(0).values.T

    def along(
        self, side: int, generator: Generator | None = None
    ) -> tuple[Float[Tensor, "d m"], Float[Tensor, "d m"]]:
        """``side`` points on every axis, one in each stratum, and -log g there up to a constant.

        Args:
            side: how many.
            generator: of the shift of every axis; None: midpoints.
        """
        (dim, knots), dev = self.knots.shape, self.knots.device
        shift = self.knots.new_full((dim, 1), 0.5)
        if generator is not None:
            shift = torch.rand(dim, 1, generator=generator, dtype=self.knots.dtype, device=dev)
        at = (torch.arange(side, device=dev) + shift) / side * (knots - 1)
        cell = at.long().clamp(max=knots - 2)
        low, high = self.knots.gather(1, cell), self.knots.gather(1, cell + 1)
        return low + (at - cell) * (high - low), (high - low).log()

    def points(self, generator: Generator) -> tuple[Float[Tensor, "m d"], Float[Tensor, " m"]]:
        """One point in each stratum of the line or the plane, and -log g up to a constant."""
        nodes, sizes = self.along(_SIDE[len(self.knots)], generator)
        if len(nodes) == 1:
            return nodes.T, sizes[0]
        return torch.cartesian_prod(*nodes), (sizes[0][:, None] + sizes[1]).flatten()
