"""Adam on a loss, with a schedule and the running mean of the parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from rdbench.fitting import RunningMean, Task, iterate
from rdbench.types import TestChannel

Model = TypeVar("Model", bound=torch.nn.Module)


@dataclass(frozen=True)
class Plan:
    """How to descend."""

    steps: int
    """At effort one."""
    batch: int
    """Symbols per step."""
    factor: Callable[[float], float]
    """Factor of the learning rates at each fraction of the training."""
    averaging: float
    """Decay of the running mean of the parameters; 0 keeps the last ones."""
    momenta: tuple[float, float] = (0.9, 0.99)
    """Of Adam."""


def geometric(done: float) -> float:
    """Up to 1 within the first thirtieth, and down to 0.02 at an even pace."""
    return float(min(1.0, 0.03 + 30.0 * done) * 0.02**done)


def descend(
    task: Task,
    start: Model,
    rates: Callable[[Model], Iterable[tuple[Iterable[torch.nn.Parameter], float]]],
    loss: Callable[[Model, Tensor], Tensor],
    plan: Plan,
    *,
    part: tuple[int, int] = (0, 1),
    channels: Callable[[Model], Sequence[TestChannel]] | None = None,
) -> tuple[Model, int, bool]:
    """Train a copy of ``start``.

    Args:
        task: draws, generator and monitor.
        start: the model.
        rates: groups of its parameters with their learning rates.
        loss: of the model on symbols (n, d); a scalar.
        plan: steps, batch and schedule.
        part: (i, n): this is the i-th, from 0, of n trainings.
        channels: of the running mean, offered as a checkpoint; None offers nothing.

    Returns:
        The running mean of the parameters, the number of steps taken, whether the budget lasted.
    """
    model = copy.deepcopy(start).requires_grad_(True)
    steps, taken = max(1, round(plan.steps * task.monitor.effort)), 0
    groups = [{"params": list(params), "lr": rate} for params, rate in rates(model)]
    optimiser = torch.optim.Adam(groups, betas=plan.momenta)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: plan.factor(i / steps))
    average = RunningMean(model, plan.averaging)

    def step(_: int) -> bool:
        nonlocal taken
        value = loss(model, task.draws.sample(plan.batch))
        if not bool(value.isfinite()):
            return False  # what the running mean holds is still good
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
        average.update()
        taken += 1
        return True

    build = None if channels is None else lambda: channels(average.mean)
    finished = iterate(task.monitor, steps, step, build, part=part)
    return average.mean, taken, finished
