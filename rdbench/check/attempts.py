"""One fit under observation: what it answered, what it raised, what it changed, what it took."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Generator, Tensor

from rdbench.check.listener import Listener, Look
from rdbench.check.problems import Probe
from rdbench.check.state import changed, explained, kept, snapshot
from rdbench.fitting.support import refused_rest, uncovered
from rdbench.outcomes import in_words
from rdbench.run.seeds import seed_for
from rdbench.run.views import make_view
from rdbench.types import (
    DualBound,
    Estimator,
    RdbenchError,
    Refusal,
    TestChannel,
    Unsupported,
    View,
)

_POOL = 100_000  # draws behind a view that holds no source
_MOST_ANSWERS = 50
_PRINT = (4, 3, 8)  # symbols, draws of p(y|x) at each, draws of q


class TooLong(BaseException):
    """Raised into code that outlasts its limit; ``except Exception`` does not stop it."""


@dataclass(frozen=True)
class Options:
    """How a fit is run; equal options on one probe are the same fit."""

    seed: int = 0
    effort: float | None = None
    """None: that of the bench."""
    global_seed: int = 1
    """The seed of the global generators; an honest fit does not depend on it."""
    looks: bool = False
    stop_after: int | None = None
    most_steps: int | None = None
    n_train: int | None = None
    bare: bool = False
    """Show a view whose ``sample`` has draws behind it, and no source."""


@dataclass
class Attempt:
    """The outcome of a fit."""

    probe: Probe
    listener: Listener
    answers: list[Any] = field(default_factory=list)
    prints: list[Any] = field(default_factory=list)
    """Claims and draws of every channel at the moment when it was yielded."""
    error: str = ""
    own_error: bool = False
    """The error is an RdbenchError: a refusal in words."""
    too_long: bool = False
    is_iterator: bool = True
    draws_own: bool = False
    """Whether the generator of the fit was drawn from."""
    touched: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    """CPU seconds of the fit itself."""
    after_stop_s: float = 0.0
    """Those of them after it was first told to stop."""

    @property
    def channels(self) -> list[TestChannel]:
        """The answers that are channels."""
        return [a for a in self.answers if isinstance(a, TestChannel)]

    @property
    def bounds(self) -> list[DualBound]:
        """The answers that are dual bounds."""
        return [a for a in self.answers if isinstance(a, DualBound)]

    @property
    def results(self) -> list[TestChannel | DualBound]:
        """Channels and bounds."""
        return [a for a in self.answers if isinstance(a, (TestChannel, DualBound))]

    @property
    def refusals(self) -> list[Refusal]:
        """The answers that are refusals."""
        return [a for a in self.answers if isinstance(a, Refusal)]

    @property
    def refused(self) -> str:
        """The reason of the first refusal where nothing but refusals came; else empty."""
        if self.answers and len(self.refusals) == len(self.answers):
            return self.refusals[0].reason or "it gives no reason"
        return ""

    @property
    def trouble(self) -> str:
        """Why there is no channel to look at, in words; empty where there is one."""
        if self.error:
            return f"fit raised {self.error} on {self.probe.label}"
        if not self.answers:
            return f"fit yielded nothing on {self.probe.label}"
        if not self.channels and not self.bounds and not self.refused:
            return f"fit yielded no TestChannel on {self.probe.label}"
        return ""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise `TooLong` into the block after so many wall seconds (in the main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TooLong(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def stream(*purpose: Any) -> Generator:
    """The generator of one purpose of the checks."""
    return Generator().manual_seed(seed_for("rdbench check", *purpose))


def attempt(
    estimator: Estimator,
    probe: Probe,
    options: Options,
    effort: float,
    limit: float,
    look: Look | None = None,
) -> Attempt:
    """Run one fit to its end, or to its limit in seconds.

    The streams depend on the seed and the dimension, not on the probe, so that probes which
    differ by a shift, a scale and a rotation see the same draws, transformed.
    """
    own = stream(options.seed, "fit")
    view = _view(probe, estimator, options)
    listener = Listener(options.effort or effort, options.stop_after, options.most_steps, look)
    found = Attempt(probe, listener)
    fresh: Tensor = own.get_state()
    with kept(options.global_seed):
        try:
            with deadline(limit):
                _run(estimator, view, own, found)
        except TooLong as problem:
            found.error, found.too_long = str(problem), True
        except Exception as problem:  # an estimator's code may raise anything
            found.error = in_words(problem)
            found.own_error = isinstance(problem, RdbenchError)
    found.draws_own = not torch.equal(fresh, own.get_state())
    return found


def _run(estimator: Estimator, view: View, own: Generator, found: Attempt) -> None:
    listener = found.listener
    before = snapshot()
    answers: Iterator[Any] = iter(())

    refused = uncovered(estimator, view, found.probe.betas)
    found.answers += refused
    skipped = {refusal.beta for refusal in refused}
    betas = [beta for beta in found.probe.betas if beta not in skipped]

    def begin() -> Any:
        return estimator.fit(view, betas, own, listener)

    if refused and not betas:
        return
    try:
        fit: Any = _turn(found, begin)
        found.is_iterator = isinstance(fit, Iterator)
        answers = iter(fit)
        while len(found.answers) < _MOST_ANSWERS:
            try:
                answer = _turn(found, lambda: next(answers))
            except StopIteration:
                break
            _note(found, changed(before, snapshot()))
            found.answers.append(answer)
            if isinstance(answer, (TestChannel, DualBound)):
                found.prints.append(fingerprint(answer, found.probe))
    except Unsupported as reason:
        answered = [getattr(one, "beta", None) for one in found.answers]
        found.answers += refused_rest(betas, answered, reason)
    finally:
        _note(found, changed(before, snapshot()))


def _turn(found: Attempt, work: Callable[[], Any]) -> Any:
    """Let the fit work until it answers, and note the time that it takes."""
    listener = found.listener
    began = time.process_time()
    listener.resumed()
    try:
        return work()
    finally:
        listener.heard()
        ended = time.process_time()
        found.cpu_s += ended - began
        if listener.stopped_at is not None:
            found.after_stop_s += ended - max(began, listener.stopped_at)


def _note(found: Attempt, parts: list[str]) -> None:
    found.touched += [text for part in parts if (text := explained(part)) not in found.touched]


def fingerprint(channel: TestChannel | DualBound, probe: Probe) -> tuple[Any, ...]:
    """The claim and some draws of a channel, or values of a bound; equal for equal ones.

    A sampler that raises leaves its complaint in place of the draws.
    """
    symbols, each, draws = _PRINT
    x = probe.problem.source.sample(symbols, stream("print", "x")).double()
    claim: Any = channel.claim
    if isinstance(channel, DualBound):
        try:
            values: Any = channel.log_lambda(x).detach().clone()
        except Exception as problem:  # told by the check of shapes
            values = in_words(problem)
        return (float(channel.beta), channel.status, claim, values, channel.peaks.clone())
    parts: list[Any] = [
        float(channel.beta),
        channel.status,
        (getattr(claim, "rate", None), getattr(claim, "distortion", None)),
    ]
    samplers: dict[str, Callable[[Generator], Tensor]] = {
        "y|x": lambda g: channel.sample_conditional(x, each, g),
        "y": lambda g: channel.marginal.sample(draws, g),
    }
    for name, draw in samplers.items():
        try:
            parts.append(draw(stream("print", name)).detach().clone())
        except Exception as problem:  # told by the check of shapes
            parts.append(in_words(problem))
    return tuple(parts)


def differing(first: tuple[Any, ...], second: tuple[Any, ...]) -> str:
    """The difference between two fingerprints, in words; empty where they agree."""
    names = (
        "the slope", "the status", "the claim", "draws of p(y|x) (log_lambda)",
        "draws of q (the peaks)",
    )  # fmt: skip
    for name, a, b in zip(names, first, second, strict=True):
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            same = a.shape == b.shape and torch.equal(a.nan_to_num(), b.nan_to_num())
        else:
            same = repr(a) == repr(b)
        if not same:
            return name
    return ""


def _view(probe: Probe, estimator: Estimator, options: Options) -> View:
    """The runner's view, or one through which nothing of the source can be reached."""
    data, needs = stream(options.seed, probe.dim, "data"), estimator.info.needs
    view, _ = make_view(probe.problem, needs, data, torch.device("cpu"), options.n_train)
    if not options.bare:
        return view
    pool, place = probe.problem.source.sample(_POOL, data).double(), 0

    def sample(n: int) -> Tensor:
        nonlocal place
        index = torch.arange(place, place + n) % len(pool)
        place = (place + n) % len(pool)
        return pool[index]

    return replace(view, sample=sample, log_prob=probe.log_prob if "density" in needs else None)
