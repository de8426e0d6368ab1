"""A lower bound from every upper one: lambda(x) = 1 / Z(x), Z(x) = E_q exp(-beta rho(x, Y)).

At the optimal q this is the optimal dual function: c(y) <= 1 everywhere, and both bounds meet
(Csiszar 1974). A good q has a good one. What log Z is to the last digit for atoms and products is
estimated for other laws: by importance sampling where the channel has a proposal, else by a fixed
set of draws of q. An estimate of Z is as good as Z: every lambda gives a bound.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Generator

from rdbench.fitting.duals import bounded
from rdbench.fitting.partition import log_partition
from rdbench.fitting.samples import Sample, draws_for_bounds
from rdbench.types import Atoms, DualBound, Monitor, Refusal, TestChannel, View

DRAWS = 100_000
"""Draws on which a bound is capped and claimed, times the effort."""
_LEAST_DRAWS = 4_000
_MOST_PEAKS = 200
_MOST_TERMS = 400_000_000  # atoms times draws


def lowered(upper: Any) -> Any:
    """The class of the lower twin of an estimator: the same fields, the same fit, 1 / Z of its q.

    Each of the channels becomes a `DualBound`, whose cap, peaks and claim come from draws of the
    training stream; refusals are passed on.
    """
    return _lowered(upper)


@functools.cache
def _lowered(upper: Any) -> Any:
    info = replace(upper.info, side="lower", summary=f"the lower bound 1/Z of {upper.info.summary}")

    def fit(
        self: Any, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[DualBound | Refusal]:
        """The dual bound of every channel of the fit."""
        sample: Sample | None = None
        for answer in upper.fit(self, view, betas, generator, _Unseen(monitor)):
            if not isinstance(answer, TestChannel):
                yield answer
                continue
            if sample is None:
                count = max(_LEAST_DRAWS, round(DRAWS * monitor.effort))
                draws = draws_for_bounds(view, count)
                stream = Generator(device=view.device).manual_seed(0)
                sample = Sample.of(draws, stream, fixed=view.training is not None)
            yield dual_of(answer, view, sample)
            monitor.advance(0.0)

    members = {
        "info": info,
        "fit": fit,
        "upper": upper,
        "__module__": upper.__module__,
        "__qualname__": upper.__qualname__,
        "__doc__": upper.__doc__,
    }
    return type(upper.__name__, (upper,), members)


@dataclass(frozen=True, eq=False)
class _Unseen:
    """A monitor whose checkpoints build nothing: the trace is of lower bounds, not of channels."""

    inner: Monitor

    @property
    def effort(self) -> float:
        return self.inner.effort

    def advance(self, done: float) -> bool:
        return self.inner.advance(done)

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:  # noqa: ARG002
        return self.inner.checkpoint(lambda: ())

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.inner.count(gradient_steps=gradient_steps, parameters=parameters)


def dual_of(channel: TestChannel, view: View, sample: Sample) -> DualBound:
    """The dual bound 1 / Z of a channel's q, capped by the sample.

    Args:
        channel: its q and slope.
        view: the problem; its distortion and alphabet.
        sample: draws that choose the cap.
    """
    beta, q = channel.beta, channel.marginal
    stream = Generator(device=view.device).manual_seed(0)
    log_z, what = log_partition(q, view.distortion, beta, stream)
    if isinstance(q, Atoms):
        sample = sample.first(max(_LEAST_DRAWS, _MOST_TERMS // len(q.points)))
    draws = q.sample(_MOST_PEAKS, stream).detach().double()
    found = bounded(
        beta,
        lambda x: -log_z(x),
        sample,
        view.distortion,
        stream,
        alphabet=view.alphabet,
        peaks=draws,
        made_of=f"1/Z of {what}",
    )
    return replace(found, status=channel.status, reason=channel.reason)
