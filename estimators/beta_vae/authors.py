"""The presets `paper` and `paper_maf`: the authors' models, in source coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from rdbench.estimators.beta_vae.channels import network_channel
from rdbench.estimators.beta_vae.common import (
    DECODED,
    bound_of,
    claimed,
    each,
    parameters_of,
    slopes_of,
)
from rdbench.estimators.beta_vae.descent import Plan, descend
from rdbench.estimators.beta_vae.published import (
    FactorisedVAE,
    FlowVAE,
    PublishedVAE,
    learning_rate,
    looks_gaussian,
)
from rdbench.estimators.beta_vae.settings import Settings
from rdbench.fitting import Task
from rdbench.types import Refusal, Start, TestChannel

_OTHER = "the authors used this set-up for Gaussian sources, and another one for others: paper_maf"


def fit_published(config: Settings, task: Task) -> Iterator[TestChannel | Refusal]:
    """The authors' models, in source coordinates."""
    slopes, sizes = slopes_of(task), (config.hidden, config.layers, config.masked)
    start: PublishedVAE
    if config.algorithm == "published":
        start = FactorisedVAE(slopes, task.dim, task.generator)
        q_is = "Gaussian, independent coordinates"
        reason = "" if looks_gaussian(task.warm) else _OTHER
    else:
        start = FlowVAE(slopes, task.dim, *sizes, task.generator)
        q_is, reason = DECODED, ""
    task.monitor.count(parameters=parameters_of(start))
    rate = config.learning_rate or 5e-4
    plan = Plan(config.steps or 1000, config.batch, learning_rate, 0.0, (0.9, 0.999))
    model, taken, finished = start, 0, task.monitor.advance(0.0)
    if finished:
        model, taken, finished = descend(
            task,
            start,
            lambda m: [(list(m.parameters()), rate)],
            partial(bound_of, task=task),
            plan,
            channels=lambda m: [network_channel(one, task, q_is) for one in each(m)],
        )
    claimed_on = task.draws.claim(config.claim_draws)
    for one, first in zip(each(model), each(start), strict=True):
        begun = Start(network_channel(first, task, q_is).marginal, "untrained networks")
        channel = replace(network_channel(one, task, q_is), reason=reason)
        if not taken:
            channel = replace(channel, marginal=begun.marginal)
        yield claimed(config, channel, one, task, claimed_on, begun, finished)
