"""Problems with their truth, named and in sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rdbench.outcomes import RdbenchError
from rdbench.types.problem import Problem
from rdbench.types.truth import Reference


@dataclass(frozen=True)
class Case:
    """One problem, its truth, and the ladder of target rates (nats) at which it is solved."""

    name: str
    problem: Problem
    reference: Reference
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Suite:
    """A named, versioned set of cases.

    ``build(dim)`` gives the cases of one dimension. A suite whose cases have dimensions of their
    own has ``default_dims = None``: its ``build`` is called once, with ``None``.
    """

    name: str
    version: int
    summary: str
    build: Callable[[int | None], tuple[Case, ...]]
    default_dims: tuple[int, ...] | None = None
    dim_range: tuple[int, int] | None = None

    def cases(self, dims: Sequence[int] | None = None) -> tuple[Case, ...]:
        """The cases, at ``dims`` or at the default dimensions.

        Raises:
            RdbenchError: dims were given to a suite without them, or lie outside its range.
        """
        if self.default_dims is None or self.dim_range is None:
            if dims is not None:
                raise RdbenchError(f"suite {self.name} takes no dimensions (drop --dims)")
            return self.build(None)
        chosen = self.default_dims if dims is None else tuple(dict.fromkeys(dims))
        lo, hi = self.dim_range
        for dim in chosen:
            if not lo <= dim <= hi:
                raise RdbenchError(
                    f"dimension {dim} is out of range: suite {self.name} takes {lo} to {hi}"
                )
        if not chosen:
            raise RdbenchError(f"no dimensions given: suite {self.name} takes {lo} to {hi}")
        return tuple(case for dim in chosen for case in self.build(dim))
