"""Gauss's rule on adaptive panels, with the bound (2) of docs/certificates.md for r = 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from flint import acb, arb

ORDER, _MOST, _LEAST = 20, 20_000, 2.0**-36


class Panel(NamedTuple):
    """Nodes and weights, the integrands there (nodes, integrands), and bounds of the errors."""

    nodes: list[tuple[arb, arb]]
    values: list[list[Any]]
    errors: list[arb]
    centre: arb
    half: arb
    integrands: Callable[[Any], list[Any]]

    def integral(self, k: int) -> arb:
        """Of integrand k, as a ball."""
        parts = (w * v[k] for (_, w), v in zip(self.nodes, self.values, strict=True))
        return sum(parts, arb(0, self.errors[k]))


@cache
def _rule() -> list[tuple[arb, arb]]:
    return [arb.legendre_p_root(ORDER, k, weight=True) for k in reversed(range(ORDER))]


def panels(
    lo: arb,
    hi: arb,
    integrands: Callable[[arb, arb], Callable[[Any], list[Any]]],
    budget: float = 1e-17,
) -> Iterator[Panel]:
    """Panels from lo to hi in order, bisected until every error is below the budget.

    ``integrands(x0, h)`` gives those of zeta = x - x0, NaN unless known to be analytic on a box.

    Raises:
        ArithmeticError: too many panels, or too small ones.
    """
    waiting, tried = [(lo, hi)], 0
    while waiting:
        (a, b), tried = waiting.pop(), tried + 1
        x0, h = (a + b) / 2, (b - a) / 2
        f = integrands(x0, h)
        bounds = [abs(v).upper() for v in f(acb(arb(0, 5 * h / 3), arb(0, 4 * h / 3)))]
        errors = [h * bound * arb(64) / 15 / (arb(3) ** (2 * ORDER) * 8 / 9) for bound in bounds]
        if all(error < budget for error in errors):
            nodes = [(h * t, h * w) for t, w in _rule()]
            values = [f(t) for t, _ in nodes]
            yield Panel([(x0 + t, w) for t, w in nodes], values, errors, x0, h, f)
        elif tried < _MOST and h > _LEAST * (hi - lo):
            waiting += [(x0, b), (a, x0)]
        else:
            raise ArithmeticError(f"no bound of an integral near {float(x0):.6g}")
