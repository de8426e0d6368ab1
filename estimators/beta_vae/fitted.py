"""The preset `mixture`: from the exact posterior of a mixture that is fitted to draws."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from rdbench.estimators.beta_vae.channels import best, bounds, network_channel
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
from rdbench.estimators.beta_vae.descent import Plan, descend
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.neutral import assumed_noise
from rdbench.estimators.beta_vae.settings import Settings
from rdbench.fitting import Task, cosine
from rdbench.inference.em import fit_gaussian, refined, select_mixture, widened
from rdbench.inference.networks import single
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Refusal, Start, TestChannel


def fit_mixture(config: Settings, task: Task) -> Iterator[TestChannel | Refusal]:
    """A training from every start; for each slope held-out draws choose among all of them."""
    starts = _fitted(config, task)
    task.monitor.count(parameters=sum(parameters_of(start) for start in starts))
    steps = config.steps or fewer(task, 1000)
    plan = Plan(steps, config.batch, cosine, config.averaging, (0.9, 0.999))
    trained: list[MixtureVAE] = []
    for i, start in enumerate(starts):
        part = i, len(starts)
        if not task.monitor.advance(i / len(starts)):
            break

        # Later trainings are offered only after the choice: they may be worse than the first.
        def channels(model: MixtureVAE) -> list[TestChannel]:
            return [network_channel(one, task, DECODED) for one in each(model)]

        offered = None if i else channels
        model, _, _ = descend(
            task,
            start,
            partial(network_rates, config),
            partial(bound_of, task=task),
            plan,
            part=part,
            channels=offered,
        )
        trained.append(model)
    held_out = task.draws.held_out(config.held_out_draws)
    claimed_on = task.draws.claim(config.claim_draws)
    models = [*starts, *trained]
    picked = [0] * len(task.betas)
    if len(models) > 1:
        found = [bounds(model, task, held_out, config.components)[0] for model in models]
        shortest = min(bound.shape[1] for bound in found)  # a stop leaves fewer symbols
        picked = [best([bound[i, :shortest] for bound in found]) for i in range(len(task.betas))]
    for i, pick in enumerate(picked):
        model = single(models[pick], i)
        begun = single(starts[pick % len(starts)], i)
        channel = network_channel(model, task, DECODED)
        marginal = channel.marginal
        if pick >= len(starts):
            marginal = network_channel(begun, task, "").marginal
        name = "fitted Gaussian" if begun.shift.shape[1] == 1 else "fitted mixture"
        yield claimed(config, channel, model, task, claimed_on, Start(marginal, name), True)


def _fitted(config: Settings, task: Task) -> list[MixtureVAE]:
    """The linear-Gaussian optimum of every component of mixtures fitted to draws.

    A mixture of the size that held-out likelihood chooses and, where that is not one, a single
    Gaussian too: a mixture that fits well leaves the flow little to learn from, and what one
    Gaussian and a flow reach can be better (products of independent coordinates).
    """
    warm, slopes = task.warm, slopes_of(task)
    most = min(config.components, len(warm) // (10 * task.dim))
    fits = [fit_gaussian(warm)]
    if task.go_on() and most > 1:
        choose_on = warm[: config.selection_draws]
        chosen = select_mixture(choose_on, most, task.generator, go_on=task.go_on)
        if chosen.size > 1:
            fits = [refined(chosen, warm, config.polish, go_on=task.go_on), *fits]
    noise = assumed_noise(slopes, task.distortion)
    if task.distortion.name == "squared_error":
        starts = [(fit, [_deconvolved(config, fit, v) for v in noise.tolist()]) for fit in fits]
    else:
        wide = widened(fits[0])
        starts = [(wide, [wide] * len(noise))]
    sizes = (config.hidden, config.layers, config.bins)
    return [
        MixtureVAE(fit, priors, slopes, noise, *sizes, task.generator) for fit, priors in starts
    ]


def _deconvolved(config: Settings, fitted: GaussianMixture, noise: float) -> GaussianMixture:
    spread = float(fitted.variances.max())
    return fitted.deconvolved(noise, config.floor * min(1.0, noise / spread))
