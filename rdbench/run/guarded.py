"""A channel as the audit uses it: what it writes into its arguments stays with it.

The audit hands symbols, draws and latent points to the callables of a channel and goes on with the
same tensors. Each callable therefore gets a copy, and none can move the points at which it is
judged. No number of an honest channel changes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from rdbench.types import Density, Encoder, Energy, Marginal, Pushforward, TestChannel


def guarded(channel: TestChannel) -> TestChannel:
    """The same channel with callables that get copies of their tensors."""
    return dataclasses.replace(
        channel,
        marginal=_marginal(channel.marginal),
        sample_conditional=_on_copies(channel.sample_conditional),
    )


def _marginal(marginal: Marginal) -> Marginal:
    if isinstance(marginal, Density):
        return _density(marginal)
    if isinstance(marginal, Energy):
        return dataclasses.replace(marginal, value_and_grad=_on_copies(marginal.value_and_grad))
    if isinstance(marginal, Pushforward):
        prior, encoder = marginal.prior, marginal.encoder
        return dataclasses.replace(
            marginal,
            decode=_on_copies(marginal.decode),
            prior=None if prior is None else _density(prior),
            encoder=None if encoder is None else _encoder(encoder),
        )
    return marginal


def _density(density: Density) -> Density:
    return dataclasses.replace(density, log_prob=_on_copies(density.log_prob))


def _encoder(encoder: Encoder) -> Encoder:
    return dataclasses.replace(
        encoder, sample=_on_copies(encoder.sample), log_prob=_on_copies(encoder.log_prob)
    )


def _on_copies(work: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        return work(*(one.clone() if isinstance(one, Tensor) else one for one in args))

    return call
