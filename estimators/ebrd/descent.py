"""Gradient steps along eq. (4), which the energies of the default and of its products share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import RunningMean, iterate
from rdbench.inference.experts import Experts
from rdbench.types import Monitor, TestChannel

Weighted = tuple[Float[Tensor, "B m d"], Float[Tensor, "B m"]]
"""Points and weights: sum_j weight_j grad E(y_j) is eq. (4)."""

_FIRST = 10  # steps over which the learning rate rises
_LINEAR = 5.0  # times the learning rate: of the coefficients


def descend(
    config: Settings,
    monitor: Monitor,
    energy: Experts,
    average: RunningMean[Experts],
    weighted: Callable[[int], Weighted],
    channels: Callable[[], list[TestChannel]],
    part: tuple[int, int],
) -> bool:
    """Adam along eq. (4), with a learning rate that rises and decays; False where the budget ends.

    Args:
        config: steps and rates.
        monitor: the budget.
        energy: is trained in place.
        average: of its weights, updated at every step.
        weighted: the points and weights of a step.
        channels: what is offered as a checkpoint.
        part: (i, n): this is the i-th, from 0, of n trainings of the fit.
    """
    linear = list(energy.coefficients())
    known = {id(p) for p in linear}
    others = [p for p in energy.parameters() if id(p) not in known]
    rate = config.learning_rate or 0.015
    optimiser = torch.optim.Adam(
        [{"params": others, "lr": rate}, {"params": linear, "lr": _LINEAR * rate}],
        betas=(0.5, 0.99),
    )
    steps = max(1, round(config.iterations * monitor.effort))

    def factor(i: int) -> float:
        decay = 0.5 * (1.0 + math.cos(math.pi * i / steps)) + 0.01
        return decay * min(1.0, (i + 1) / _FIRST)

    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)

    def step(i: int) -> bool:
        at, weight = weighted(i)
        optimiser.zero_grad()
        (weight * energy(at)).sum().backward()
        optimiser.step()
        decay.step()
        average.update()
        return True

    return iterate(monitor, steps, step, channels, part=part)
