"""A fixed number of atoms, without annealing: the map of Rose on a grid of [0, 1], and RDFC.

RDFC: A. Banerjee, I. Dhillon, J. Ghosh, S. Merugu, "An information theoretic analysis of maximum
likelihood mixture estimation for exponential families", ICML 2004.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator

from rdbench.estimators.mapping.symbols import Atoms, Symbols

_ASK_EVERY = 10


def first_atoms(symbols: Symbols, count: int, weights: bool, generator: Generator) -> Atoms:
    """Where the iteration starts.

    With weights to find, on a line equally spaced points from the least to the largest symbol, else
    symbols; their weights are uniform draws. With equal weights the points are uniform draws from
    the box of the symbols.
    """
    x = symbols.x
    lo, hi = x.amin(0), x.amax(0)
    made = {"generator": generator, "device": x.device, "dtype": x.dtype}
    if not weights:
        u = torch.rand(count, x.shape[1], **made)  # type: ignore[call-overload]
        return Atoms(lo + (hi - lo) * u, torch.full_like(u[:, 0], 1.0 / count).log())
    at = torch.linspace(0.0, 1.0, count, dtype=x.dtype, device=x.device)[:, None]
    y = lo + (hi - lo) * at if x.shape[1] == 1 else x[:count].clone()
    q = torch.rand(len(y), **made).clamp(min=1e-12)  # type: ignore[call-overload]
    return Atoms(y, (q / q.sum()).log())


def iterated(
    symbols: Symbols,
    atoms: Atoms,
    beta: float,
    weights: bool,
    limit: int,
    go_on: Callable[[int], bool],
) -> tuple[Atoms, int, bool]:
    """Plain fixed-point steps; the atoms, how many steps, and whether the rule of the authors held.

    It is |w' - w| < 1e-4 with weights, |y' - y| < 1e-5 without, in standard coordinates.

    Args:
        symbols: that they are fitted to.
        atoms: at first.
        beta: the slope.
        weights: whether they are updated.
        limit: the most steps.
        go_on: asked now and then with the number of steps.
    """
    for done in range(1, limit + 1):
        ahead = symbols.step(atoms, beta, weights).ahead
        if weights:
            settled = float((ahead.log_w.exp() - atoms.log_w.exp()).norm()) < 1e-4
        else:
            settled = float((ahead.y - atoms.y).norm()) < 1e-5
        atoms = ahead
        if settled:
            return atoms, done, True
        if done % _ASK_EVERY == 0 and not go_on(done):
            return atoms, done, False
    return atoms, limit, False
