"""What the fits share: slopes, frozen models, the loss, learning rates, the claim."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.beta_vae.channels import bounds
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.published import PublishedVAE
from rdbench.estimators.beta_vae.settings import Settings
from rdbench.fitting import Task, stopped
from rdbench.inference.networks import single
from rdbench.types import Claim, Refusal, Start, TestChannel

DECODED = "decoder network"
# A step costs some d^2 per symbol: fewer of them where there are many dimensions.
_FEW_DIMENSIONS = 20

Batched = TypeVar("Batched", MixtureVAE, PublishedVAE)


def slopes_of(task: Task) -> Float[Tensor, " B"]:
    """The slopes, as a tensor."""
    return torch.tensor(task.betas, dtype=torch.float64, device=task.device)


def each(model: Batched) -> list[Batched]:
    """The frozen models of every slope."""
    return [single(model, i) for i in range(len(model.slopes))]


def parameters_of(model: torch.nn.Module) -> int:
    """How many numbers a model has."""
    return sum(p.numel() for p in model.parameters())


def bound_of(model: MixtureVAE | PublishedVAE, x: Float[Tensor, "n d"], task: Task) -> Tensor:
    """The loss: means of R + beta D, summed over slopes."""
    rate, distortion = model.bound(x, task.distortion, task.generator)
    return (rate.mean(1) + model.slopes * distortion.mean(1)).sum()


def network_rates(
    config: Settings, model: MixtureVAE
) -> list[tuple[list[torch.nn.Parameter], float]]:
    """Parameters with their learning rates, where there are networks."""
    rate = config.learning_rate or (1e-2 if model.shift.shape[1] == 1 else 3e-3)
    return [(model.prior_parameters, config.prior_rate), (model.network_parameters, rate)]


def fewer(task: Task, steps: int) -> int:
    """So many steps, or half of them in many dimensions."""
    return steps if task.dim <= _FEW_DIMENSIONS else (steps + 1) // 2


def claimed(
    config: Settings,
    channel: TestChannel,
    model: MixtureVAE | PublishedVAE,
    task: Task,
    x: Float[Tensor, "n d"],
    start: Start,
    finished: bool,
) -> TestChannel | Refusal:
    """The channel with the bound on the symbols x as its claim, and its start."""
    bound, rho = bounds(model, task, x, config.components)
    total, distortion = float(bound.mean()), float(rho.mean())
    if not math.isfinite(total):
        return Refusal(channel.beta, "not_converged", "the bound is not finite")
    claim = Claim(total - channel.beta * distortion, distortion, task.draws.side)
    channel = replace(channel, claim=claim, start=start)
    return channel if finished else stopped(channel)
