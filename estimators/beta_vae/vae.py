"""The default: from N(m, C), the affine part for several sizes, then networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.beta_vae.channels import (
    BLOCK,
    affine_channel,
    best,
    bounds,
    network_channel,
)
from rdbench.estimators.beta_vae.common import (
    DECODED,
    bound_of,
    claimed,
    each,
    fewer,
    network_rates,
    parameters_of,
    slopes_of,
)
from rdbench.estimators.beta_vae.descent import Plan, descend, geometric
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.neutral import untrained
from rdbench.estimators.beta_vae.settings import Settings
from rdbench.fitting import Task
from rdbench.types import Refusal, Start, TestChannel

_SIZES = 8, 32, 128  # of the prior, after 1
_NETWORK_GAIN = 1e-3  # nats; without networks F is in closed form
_LARGEST = 2048  # components times dimensions: what a step can afford


def fit_vae(config: Settings, task: Task) -> Iterator[TestChannel | Refusal]:
    """The affine part for several sizes, then everything from the best of them."""
    held_out = task.draws.held_out(config.held_out_draws)
    claimed_on = task.draws.claim(config.claim_draws)
    start = _untrained(config, task, 1)
    starts = [Start(affine_channel(one, task).marginal, "N(m, C)") for one in each(start)]
    fit, moved, finished = _affine(config, task, start, held_out)
    task.monitor.count(parameters=parameters_of(fit))
    models = [each(fit)]
    if finished:
        steps = config.steps or fewer(task, 400)
        trained, taken, finished = descend(
            task,
            fit,
            partial(network_rates, config),
            partial(bound_of, task=task),
            Plan(steps, config.batch, geometric, config.averaging),
            part=(1, 2),
            channels=lambda m: [network_channel(one, task, DECODED) for one in each(m)],
        )
        models += [each(trained)] if taken else []
    for i, begun in enumerate(starts):
        pick = 0
        if len(models) > 1:
            found = [bounds(model[i], task, held_out)[0][0] for model in models]
            pick = best(found, _NETWORK_GAIN, errors=2.0)
        model = models[pick][i]
        channel = network_channel(model, task, DECODED) if pick else affine_channel(model, task)
        if not moved:
            channel = replace(channel, marginal=begun.marginal)
        yield claimed(config, channel, model, task, claimed_on, begun, finished)


def _untrained(config: Settings, task: Task, size: int) -> MixtureVAE:
    widths = config.hidden, config.layers, config.bins
    return untrained(task.warm, size, slopes_of(task), task.distortion, widths, task.generator)


def _affine(
    config: Settings, task: Task, start: MixtureVAE, held_out: Float[Tensor, "n d"]
) -> tuple[MixtureVAE, bool, bool]:
    """The best model without networks, whether it moved, and whether the budget lasted.

    Sizes are compared by the mean of their bounds over the slopes, on held-out draws; the first
    one that gains nothing is the last one tried.
    """
    most = min(config.components, len(task.warm) // (10 * task.dim), _LARGEST // task.dim)
    sizes = [1]
    for size in _SIZES:
        if sizes[-1] < most:
            sizes.append(min(size, most))
    closed = task.distortion.name == "squared_error"

    def loss(model: MixtureVAE, x: Tensor) -> Tensor:
        return model.potential(x).mean(1).sum() if closed else bound_of(model, x, task)

    def channels(model: MixtureVAE) -> list[TestChannel]:
        return [affine_channel(one, task) for one in each(model)]

    steps = fewer(task, config.affine_steps)
    plan = Plan(steps, config.affine_batch, geometric, config.averaging)
    found, scores = start, list[Tensor]()
    for i, size in enumerate(sizes):
        model, taken, finished = descend(
            task,
            start if size == 1 else _untrained(config, task, size),
            partial(_of_prior, config.affine_rate / size**0.4),
            loss,
            plan,
            part=(i, 2 * len(sizes)),
            channels=None if i else channels,
        )
        if not taken:
            return found, bool(scores), False
        scores.append(_scores(task, model, held_out, finished).mean(0))
        if len(scores) == 1 or best(scores[-2:], errors=2.0):
            found = model
        if not finished or found is not model:
            break
    return found, True, finished


def _scores(
    task: Task, model: MixtureVAE, x: Float[Tensor, "n d"], finished: bool
) -> Float[Tensor, "B m"]:
    """The bound at every symbol, with networks that are zero; after a stop at few of them."""
    if task.distortion.name != "squared_error" or not finished:
        return bounds(model, task, x)[0]
    rows = max(256, BLOCK * task.dim // model.triangle.numel())
    with torch.no_grad():
        return torch.cat([model.potential(part) for part in x.split(rows)], 1)


def _of_prior(rate: float, model: MixtureVAE) -> list[tuple[list[torch.nn.Parameter], float]]:
    return [(model.prior_parameters, rate)]
