"""An estimator's functions as the audit calls them: finite, and the same when asked again."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import Encoder

_KEPT = 4  # points kept of every call
_MOST_KEPT = 400
_ALONE = 8  # of them evaluated one by one
# Other blocks of a matrix product move the last digits of float64; float32 would not pass.
_TOLERANCE = 1e-7


class NotFinite(ValueError):
    """A log density or a sampler gave NaN or infinite values."""


class ProposalFault(ValueError):
    """An encoder or a proposal failed: it only proposes, and the audit can do without it."""


class Watched:
    """A function of points, row by row, with a memory of some of them for ``verify``.

    Args:
        function: maps (n, d) to n log densities, or to n points.
        name: what messages call it.
        points: it maps to points, which have to be finite; a density may be zero.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], name: str, *, points: bool = False
    ) -> None:
        self._function, self._name, self._is_points = function, name, points
        self._points: list[Tensor] = []
        self._values: list[Tensor] = []

    def __call__(self, y: Float[Tensor, "n d"]) -> Tensor:
        """The values in float64.

        Raises:
            NotFinite: some are NaN or inf (-inf is a density of zero).
        """
        values = self._function(y).double()
        if values.shape[:1] != y.shape[:1] or values.dim() != 1 + self._is_points:
            raise ValueError(
                f"{self._name} maps points of shape {tuple(y.shape)} to shape {tuple(values.shape)}"
            )
        if self._is_points:
            bad = int((~torch.isfinite(values)).any(1).sum())
        else:
            bad = int((torch.isnan(values) | (values == math.inf)).sum())
        if bad:
            raise NotFinite(f"{self._name} gave NaN or inf at {bad:,} of {len(y):,} points")
        if len(y) > 0:
            rows = torch.linspace(0, len(y) - 1, min(_KEPT, len(y)), dtype=torch.float64).long()
            self._points.append(y[rows].detach().clone())
            self._values.append(values[rows].detach().clone())
        return values

    def verify(self, generator: Generator) -> None:
        """Asks again: in another order, in one batch, and one by one.

        Raises:
            ValueError: a point has another value than before.
        """
        if not self._points:
            return
        y, before = torch.cat(self._points), torch.cat(self._values)
        order = torch.randperm(len(y), generator=generator, device=generator.device)[:_MOST_KEPT]
        y, before = y[order], before[order]
        self._compare(y, before, self._function(y).double())
        single = [self._function(y[i : i + 1]).double() for i in range(min(_ALONE, len(y)))]
        self._compare(y[: len(single)], before[: len(single)], torch.cat(single))

    def _compare(self, y: Tensor, before: Tensor, after: Tensor) -> None:
        same = (before == after) | ((before - after).abs() <= _TOLERANCE * (1.0 + before.abs()))
        if bool(same.all()):
            return
        first = tuple((~same).nonzero()[0])
        raise ValueError(
            f"{self._name} is not a function of its points: it gave {float(before[first]):.6g} "
            f"and, asked again in another batch, {float(after[first]):.6g} at the same one "
            f"({int((~same).reshape(len(y), -1).any(1).sum())} of {len(y)} points differ)"
        )


class WatchedEncoder:
    """An encoder or proposal: finite, and the same when asked again for the same symbols.

    It may look at all symbols of a call together (Gauss-Newton steps that end for all at once), so
    that the symbols stay together here: their order, the draws and the time change.
    """

    def __init__(self, encoder: Encoder, name: str) -> None:
        self._encoder, self._name = encoder, name
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None

    def sample(self, x: Float[Tensor, "n d"], k: int, generator: Generator) -> Tensor:
        """k draws (n, k, l) for every row of x.

        Raises:
            ProposalFault: the encoder fails, or some are not finite.
        """
        z = self._called(lambda: self._encoder.sample(x, k, generator).double())
        if z.dim() != 3 or z.shape[:2] != (len(x), k):
            raise ProposalFault(
                f"{self._name} gave draws of shape {tuple(z.shape)}, not ({len(x)}, {k}, l)"
            )
        self._finite(torch.isfinite(z).all(2).all(1))
        return z

    def log_prob(self, z: Float[Tensor, "n k l"], x: Float[Tensor, "n d"]) -> Tensor:
        """Log densities (n, k).

        Raises:
            ProposalFault: the encoder fails, or some are NaN or +inf.
        """
        values = self._called(lambda: self._encoder.log_prob(z, x).double())
        if values.shape != z.shape[:2]:
            raise ProposalFault(
                f"{self._name} gave log densities of shape {tuple(values.shape)} for "
                f"{tuple(z.shape[:2])} draws"
            )
        self._finite((~torch.isnan(values) & (values != math.inf)).all(1))
        return values

    def keep(self, x: Float[Tensor, "n d"], k: int, generator: Generator) -> None:
        """Remember the densities of some draws for ``verify``."""
        z = self.sample(x, k, generator)
        self._kept = (x, z, self.log_prob(z, x))

    def verify(self, generator: Generator) -> None:
        """Asks again for the draws that were kept, in another order.

        Raises:
            ProposalFault: one has another value than before.
        """
        if self._kept is None:
            return
        x, z, before = self._kept
        rows = torch.randperm(len(x), generator=generator, device=generator.device)
        columns = torch.randperm(z.shape[1], generator=generator, device=generator.device)[:-1]
        after = self.log_prob(z[rows][:, columns], x[rows])
        before = before[rows][:, columns]
        same = (before == after) | ((before - after).abs() <= _TOLERANCE * (1.0 + before.abs()))
        if not bool(same.all()):
            raise ProposalFault(
                f"the log_prob of {self._name} is not a function of its points: "
                f"{int((~same).sum())} of {same.numel()} differ when asked again"
            )

    def _called(self, call: Callable[[], Tensor]) -> Tensor:
        try:
            return call()
        except Exception as fault:  # an estimator's code may raise anything
            raise ProposalFault(f"{self._name} failed ({type(fault).__name__}: {fault})") from fault

    def _finite(self, good: Tensor) -> None:
        bad = int((~good).sum())
        if bad:
            raise ProposalFault(f"{self._name} gave NaN or inf at {bad:,} of {len(good):,} symbols")
