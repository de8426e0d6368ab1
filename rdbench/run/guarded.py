"""A channel as the audit uses it: what it writes into its arguments stays with it.

The audit hands symbols, draws and latent points to the callables of a channel and goes on with the
same tensors. Each callable therefore gets a copy, and none can move the points at which it is
judged. It draws from a stream of its own: the seed of the audit's generator would tell the symbols.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from torch import Generator, Tensor

from rdbench.types import (
    Density,
    DualBound,
    Encoder,
    Energy,
    Pushforward,
    Start,
    TestChannel,
)

_HELD = (TestChannel, DualBound, Start, Density, Encoder, Energy, Pushforward)
Answer = TypeVar("Answer", bound=TestChannel | DualBound)


def guarded(channel: Answer, stream: Generator) -> Answer:
    """The same channel or bound, whose callables get copies of tensors and draw from ``stream``."""
    copies: dict[int, Any] = {}

    def guard(value: Any) -> Any:
        if isinstance(value, _HELD):
            # One object stays one: a channel is known as its start by that.
            if id(value) not in copies:
                fields = {f.name: guard(getattr(value, f.name)) for f in dataclasses.fields(value)}
                copies[id(value)] = dataclasses.replace(value, **fields)
            return copies[id(value)]
        if not callable(value):
            return value

        def call(*args: Any) -> Any:
            return value(*(_handed(one, stream) for one in args))

        return call

    found: Answer = guard(channel)
    return found


def _handed(value: Any, stream: Generator) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return stream if isinstance(value, Generator) else value
