"""Parts of a training by gradients: its loop, the mean of the weights, the learning rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import torch

from rdbench.types import Monitor, TestChannel

Trained = TypeVar("Trained", bound=torch.nn.Module)


class RunningMean(Generic[Trained]):
    """An exponential mean of a module's weights; ``mean`` is the module that holds it.

    A plain mean at first, so that the start is forgotten at once (Polyak and Juditsky 1992).
    """

    def __init__(self, module: Trained, decay: float) -> None:
        """Follow ``module`` with weight 1 - ``decay`` for every new step, or 1 / steps if more."""
        self._module = module
        self._decay = decay
        self._steps = 0
        self.mean: Trained = copy.deepcopy(module)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the module's weights as they are now."""
        self._steps += 1
        weight = max(1.0 - self._decay, 1.0 / self._steps)
        for old, new in zip(self.mean.parameters(), self._module.parameters(), strict=True):
            old.lerp_(new, weight)


def cosine(done: float, hold: float = 0.35) -> float:
    """Learning-rate factor: 1 until the fraction ``hold``, then a half cosine down to 0.01."""
    if done < hold:
        return 1.0
    return max(0.01, 0.5 * (1.0 + math.cos(math.pi * (done - hold) / (1.0 - hold))))


def stopped(channel: TestChannel) -> TestChannel:
    """The channel of a training that the budget cut short."""
    reason = "stopped before the end of training"
    return replace(channel, status="not_converged", reason=reason)


class Progress:
    """Reports ``done``, the fraction that is done, when asked whether to go on.

    A stop stays a stop.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self.stopped = False
        self.done = 0.0

    def __call__(self) -> bool:
        """Whether the budget lasts."""
        self.stopped = self.stopped or not self._monitor.advance(self.done)
        return not self.stopped


def iterate(
    monitor: Monitor,
    steps: int,
    step: Callable[[int], bool],
    channels: Callable[[], Sequence[TestChannel]] | None,
    *,
    every: int = 20,
    part: tuple[int, int] = (0, 1),
) -> bool:
    """Take ``steps`` gradient steps, tell of progress, offer checkpoints, stop when told to.

    Args:
        monitor: progress, checkpoints and the budget; it counts the steps.
        steps: how many.
        step: ``step(i)`` takes the i-th, from 0, or takes none and returns False: the training is
            at its end, though the budget lasts.
        channels: builds what is offered as a checkpoint; None offers nothing.
        every: steps from one checkpoint to the next; the first follows the first step.
        part: (i, n): this is the i-th, from 0, of n trainings of the fit.

    Returns:
        Whether the budget lasts.
    """
    index, count = part
    for i in range(steps):
        if not monitor.advance((index + i / steps) / count):
            return False
        if not step(i):
            break
        monitor.count(gradient_steps=1)
        if channels is not None and i % every == 0 and not monitor.checkpoint(channels):
            return False
    return True
