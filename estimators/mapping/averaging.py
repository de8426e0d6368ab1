"""Fixed-point steps on fresh symbols: sums are averaged over minibatches before they are divided.

Online expectation and maximisation: O. Cappe and E. Moulines, J. R. Stat. Soc. B 71(3), 2009.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.mapping.symbols import Atoms
from rdbench.inference.particles import posterior_sums, working_type

_BEGIN, _POWER = 10.0, 0.6
_LEAST_MASS = 1e-9


def averaged(
    atoms: Atoms,
    beta: float,
    draw: Callable[[], Float[Tensor, "b d"]],
    steps: int,
    go_on: Callable[[float], bool],
) -> Atoms:
    """The atoms after ``steps`` minibatches, with the gains (10 + t)^-0.6.

    Args:
        atoms: at first.
        beta: the slope.
        draw: a minibatch in standard coordinates.
        steps: how many.
        go_on: told the fraction that is done; False ends the work.
    """
    first = draw()
    kind = working_type(first, beta, True)
    y, log_w = atoms.y.to(kind), atoms.log_w.to(kind)
    mass = log_w.exp()
    moment = mass[:, None] * y
    for t in range(steps):
        if not go_on(t / steps):
            break
        x = (first if t == 0 else draw()).to(kind)
        c, m, _ = posterior_sums(x, y, log_w, beta, True)
        gain = (_BEGIN + t) ** -_POWER
        mass.lerp_(c, gain)
        moment.lerp_(m, gain)
        # an atom that nothing is near to stays where it is
        alive = (mass > _LEAST_MASS)[:, None]
        y = torch.where(alive, moment / mass.clamp(min=_LEAST_MASS)[:, None], y)
        log_w = torch.log(mass.clamp(min=_LEAST_MASS))
        log_w = log_w - torch.logsumexp(log_w, 0)
    return Atoms(y.double(), torch.log_softmax(log_w.double(), 0))
