"""The preset `tied`: all slopes in turn, from the largest down, each one from the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from rdbench.estimators.beta_vae.common import parameters_of
from rdbench.estimators.beta_vae.descent import Plan, descend, geometric
from rdbench.estimators.beta_vae.published import looks_gaussian
from rdbench.estimators.beta_vae.settings import Settings
from rdbench.estimators.beta_vae.tied import TiedVAE
from rdbench.fitting import NO_CLAIM, Task, stopped
from rdbench.inference.product import conditional, exact_point, independent, principal
from rdbench.types import Claim, Refusal, Start, TestChannel

_INDEPENDENT = 50  # from so many dimensions on, a rotation is not found by gradients alone


def fit_tied(config: Settings, task: Task) -> Iterator[TestChannel | Refusal]:
    """From the largest slope down, each one from the last."""
    x, claimed_on = task.warm, task.draws.claim(config.claim_draws)
    searched = task.dim >= _INDEPENDENT and not looks_gaussian(x) and task.go_on()
    axes = independent(x, task.generator) if searched else principal(x)[0]
    model = start = TiedVAE(axes, x, config.components, task.generator)
    task.monitor.count(parameters=parameters_of(start))
    moved, finished, count = 0, True, len(task.betas)
    plan = Plan(config.affine_steps, config.affine_batch, geometric, config.averaging)

    def channel(model: TiedVAE, beta: float) -> TestChannel:
        q, q_is = model.law(beta), "product of mixtures, rotated"
        return TestChannel(beta, q, NO_CLAIM, conditional(q, beta), q_is=q_is)

    for rung, beta in enumerate(task.betas):
        if finished:
            model, taken, finished = descend(
                task,
                model,
                lambda m: m.rates(config.affine_rate / 4.0),
                partial(TiedVAE.loss, beta=beta),
                plan,
                part=(rung, count),
                channels=lambda m: [channel(m, b) for b in task.betas],
            )
            moved += taken
        begun = Start(channel(start, beta).marginal, "mixtures along axes")
        found = channel(model, beta)
        if not moved:
            found = replace(found, marginal=begun.marginal)
        claim = Claim(*exact_point(model.law(beta), claimed_on, beta), task.draws.side)
        found = replace(found, claim=claim, start=begun)
        yield found if finished else stopped(found)
