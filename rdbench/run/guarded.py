"""A channel as the audit uses it: what it writes into its arguments stays with it.

The audit hands symbols, draws and latent points to the callables of a channel and goes on with the
same tensors. Each callable therefore gets a copy, and none can move the points at which it is
judged. It draws from a stream of its own: the seed of the audit's generator would tell the symbols.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Generator, Tensor

from rdbench.types import Density, Encoder, Energy, Marginal, Pushforward, TestChannel

_Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def guarded(channel: TestChannel, stream: Generator) -> TestChannel:
    """The same channel, whose callables get copies of tensors and draw from ``stream``."""

    def wrap(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            return work(*(_handed(one, stream) for one in args))

        return call

    return dataclasses.replace(
        channel,
        marginal=_marginal(channel.marginal, wrap),
        sample_conditional=wrap(channel.sample_conditional),
    )


def _handed(value: Any, stream: Generator) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return stream if isinstance(value, Generator) else value


def _marginal(marginal: Marginal, wrap: _Wrap) -> Marginal:
    if isinstance(marginal, Density):
        return _density(marginal, wrap)
    if isinstance(marginal, Energy):
        return dataclasses.replace(
            marginal,
            sample=wrap(marginal.sample),
            value_and_grad=wrap(marginal.value_and_grad),
        )
    if isinstance(marginal, Pushforward):
        prior, encoder = marginal.prior, marginal.encoder
        return dataclasses.replace(
            marginal,
            decode=wrap(marginal.decode),
            prior=None if prior is None else _density(prior, wrap),
            encoder=None if encoder is None else _encoder(encoder, wrap),
        )
    return marginal


def _density(density: Density, wrap: _Wrap) -> Density:
    proposal = density.proposal
    return dataclasses.replace(
        density,
        sample=wrap(density.sample),
        log_prob=wrap(density.log_prob),
        proposal=None if proposal is None else _encoder(proposal, wrap),
    )


def _encoder(encoder: Encoder, wrap: _Wrap) -> Encoder:
    return dataclasses.replace(
        encoder, sample=wrap(encoder.sample), log_prob=wrap(encoder.log_prob)
    )
