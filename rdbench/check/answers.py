"""Does fit answer every slope, once, with channels of the right form and honest densities?"""

from __future__ import annotations

import math
from typing import Any

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.normalisation import checked
from rdbench.check.attempts import Attempt, stream
from rdbench.check.bench import Bench
from rdbench.check.findings import Outcome, failed, judged, passed, skipped
from rdbench.check.forms import faults_of_channels
from rdbench.check.invariance import BASE
from rdbench.check.laws import fault_of_gradient, fault_on_line
from rdbench.check.problems import Probe
from rdbench.types import Density, DualBound, Encoder, Energy, Pushforward, Refusal, TestChannel


def answers(bench: Bench) -> Outcome:
    """Every slope is answered exactly once, lazily."""
    found = bench.fit(bench.base)
    if found.error:
        return failed(
            f"fit raised {found.error} on {bench.base.label}"
            if not found.too_long
            else f"fit on {bench.base.label}: {found.error}; does some loop never end?"
        )
    faults = faults_of_answers(found)
    if not found.is_iterator:
        faults.append(
            "fit returns a finished collection; make it a generator (yield) or return an iterator: "
            "what was done before a failure or a stop is kept only if it was yielded before"
        )
    if found.refused:
        faults.append(f"it refuses {bench.base.label} and a scalar Gaussian too: {found.refused}")
    return judged(faults, f"every slope of {bench.base.label} once")


def faults_of_answers(found: Attempt) -> list[str]:
    """Slopes that were left out, answered twice or never asked for."""
    faults = []
    times = dict.fromkeys(found.probe.betas, 0)
    for answer in found.answers:
        if not isinstance(answer, (TestChannel, DualBound, Refusal)):
            faults.append(f"it yielded a {type(answer).__name__}, not a TestChannel or a Refusal")
            continue
        beta: Any = answer.beta
        near = [b for b in times if isinstance(beta, (int, float)) and _same(b, float(beta))]
        if near:
            times[near[0]] += 1
        else:
            faults.append(f"it yielded beta = {beta!r}, which was not asked for")
        if isinstance(answer, Refusal) and not answer.reason.strip():
            faults.append(f"it refuses beta = {beta!r} without a reason")
    for beta, count in times.items():
        where = f"beta = {beta:.4g} on {found.probe.label}"
        if count == 0:
            faults.append(f"no answer at {where}: yield a TestChannel or a Refusal for every slope")
        elif count > 1:
            faults.append(f"{count} answers at {where}, where one is meant")
    return faults


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6) or a == b


def shapes(bench: Bench) -> Outcome:
    """Channels have float64 draws, densities and atoms of the right shape, and finite numbers."""
    faults = [
        f"{probe.label}, {fault}"
        for probe in (bench.base, *_planes(bench))
        for fault in faults_of_channels(bench.fit(probe).channels, probe)
    ]
    return judged(faults, "float64, finite, of the right shapes; weights sum to one")


def _planes(bench: Bench) -> tuple[Probe, ...]:
    return (BASE,) if bench.continuous else ()


def density(bench: Bench) -> Outcome:
    """log_prob integrates to one and fits its sampler; likewise an encoder's and a prior's.

    An energy has its own gradient, and on the line the draws that it says.
    """
    channels = bench.fit(bench.base).channels
    probes = [bench.base, *_planes(bench)]
    faults: list[str] = []
    open_, sure = 0, 0
    for probe in probes:
        for channel in bench.fit(probe).channels[-1:]:
            if isinstance(channel.marginal, Energy) and bench.continuous:
                fault = fault_of_gradient(channel.marginal)
                faults += [f"{probe.label}: {fault}"] if fault else []
                sure += not fault
            for what, one in _densities(channel, probe):
                try:
                    known = checked(one, 2, stream("density")) is not None
                    open_, sure = open_ + (not known), sure + known
                except ValueError as problem:
                    faults.append(
                        f"{what} on {probe.label}: {problem}; this usually means a forgotten "
                        "constant or log-determinant, and it fakes a rate"
                    )
    if bench.continuous:
        for channel in channels:
            if isinstance(channel.marginal, (Density, Energy)):
                fault = fault_on_line(channel.marginal)
                faults += [f"beta = {channel.beta:.4g}: {fault}"] if fault else []
                sure += not fault
    if faults:
        return judged(faults, "")
    if not sure and not open_:
        return skipped("it claims no log density")
    if not sure:
        return skipped("its mass cannot be told: the density and a Gaussian fit hardly overlap")
    return passed("log densities and energies belong to the draws of their samplers")


def _densities(channel: TestChannel, probe: Probe) -> list[tuple[str, Density]]:
    """The normalised densities that a channel holds."""
    marginal = channel.marginal
    if isinstance(marginal, Density):
        return [("the density of q", marginal)]
    found = []
    if isinstance(marginal, Pushforward):
        if marginal.prior is not None:
            found.append(("the prior's density", marginal.prior))
        if marginal.encoder is not None:
            x = probe.problem.source.sample(1, stream("density", "x")).double()
            found.append(("the encoder's density", _at(marginal.encoder, x)))
    return found


def _at(encoder: Encoder, x: Float[Tensor, "1 d"]) -> Density:
    """e(z|x) at one x."""

    def sample(n: int, generator: Generator) -> Tensor:
        return encoder.sample(x, n, generator)[0].detach()

    def log_prob(z: Tensor) -> Tensor:
        return encoder.log_prob(z[None], x)[0].detach()

    return Density(sample, log_prob)
