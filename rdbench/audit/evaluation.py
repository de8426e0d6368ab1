"""The evaluation of one channel by one method, on the symbols of an audit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.types import HasPotential, OutOfRange, Reference, Side, TruthPoint


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of one channel on the symbols x, in nats.

    ``potential`` estimates f(x) = -log E_q exp(-beta rho(x, Y)); ``distortion`` estimates
    E[rho(x, Y) | x] on the first rows. ``common_se`` is the standard error of what all rows share
    (log Z, the draws of q); the truth of E f may lie ``below`` or ``above`` the estimate by as much
    as the method's own bracket says. Not ``accepted``: an acceptance test failed, and only the
    bracket counts.
    """

    potential: Float[Tensor, " n"]
    distortion: Float[Tensor, " k"]
    method: str
    side: Side
    common_se: float = 0.0
    below: float = 0.0
    above: float = 0.0
    ess: float = 1.0
    accepted: bool = True
    excess: Float[Tensor, " n"] | None = None
    """By how much ``potential`` is too high in expectation, to leading order: no correction, but R
    and D are uncertain by its mean."""
    distortion_bias: Float[Tensor, " k"] | None = None
    """The bias of ``distortion``, to leading order, where it is a ratio of weighted sums."""
    distortion_se: float = 0.0
    """The standard error of the mean of ``distortion`` that all rows share."""
    note: str = ""
    """Why the side is not better, or what was left out."""


def truth_at(reference: Reference, beta: float) -> TruthPoint | None:
    """The reference's point, or ``None`` where it does not cover beta."""
    try:
        return reference.point(beta)
    except OutOfRange:
        return None


def is_optimal(reference: Reference, truth: TruthPoint) -> bool:
    """Whether f* and p*(y|x) are those of the optimum itself, not of a q that was found near it.

    F* may then still be known within a bracket alone, where it contains an entropy.
    """
    return (truth.kind or reference.kind) == "closed form"


def optimal_potential(
    reference: Reference, x: Float[Tensor, "n d"], beta: float
) -> Float[Tensor, " n"] | None:
    """f*(x) where the reference knows it: the control variate of the gap."""
    if not isinstance(reference, HasPotential):
        return None
    try:
        return reference.potential(x, beta)
    except OutOfRange:
        return None


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """log of the mean of exponentials."""
    return log_sum_exp(values, dim) - math.log(values.shape[dim])
