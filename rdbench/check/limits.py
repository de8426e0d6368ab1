"""The edges: budgets, few training points, odd sources, slopes and dimensions."""

from __future__ import annotations

import math

from rdbench.check.answers import faults_of_answers
from rdbench.check.attempts import Attempt, Options
from rdbench.check.bench import Bench
from rdbench.check.claims import fault_of_side
from rdbench.check.findings import Outcome, failed, judged, passed, skipped
from rdbench.check.forms import faults_of_channels
from rdbench.check.points import CLAIM_TOLERANCE, FIVE, impossibility
from rdbench.check.problems import Probe, constant, letters, scalar

_SILENCE = 3.0  # CPU seconds; what is asked for is a call every 0.2
_UNHEARD = 0.5
_WORK, _DEAF = 1.0, 0.8  # CPU seconds, and share of the whole fit, that may follow a stop
_NOISE = 3.5  # nats per root dimension: five standard deviations of a potential
_HELD = 0.1  # the share of few points that a claim is made on, at least
_MORE = 4.0  # times the effort
_EXTREMES = scalar().at("a scalar Gaussian at extreme slopes", 0.0, 1e-3, 1e4)
_NO_SLOPES = scalar().at("a scalar Gaussian without slopes")


def budget(bench: Bench) -> Outcome:
    """It reports progress, and once told to stop it stops."""
    whole = bench.fit(bench.base)
    faults = []
    listener = whole.listener
    if not listener.calls:
        if whole.cpu_s > _UNHEARD:
            return failed(
                f"monitor.advance was never called in {whole.cpu_s:.1f} CPU-s: no time budget can "
                "stop it; call it every few iterations and stop when it returns False"
            )
        return skipped("it never calls monitor.advance, and is done at once")
    if listener.longest_silence > _SILENCE:
        faults.append(
            f"{listener.longest_silence:.1f} CPU-s went by without a call of monitor.advance; "
            "budgets and progress need one every 0.2 s"
        )
    # At once: channels have to come out of a fit that has hardly begun.
    stopped = bench.fit(bench.base, Options(stop_after=1))
    heard = stopped.listener
    if stopped.error:
        faults.append(f"told to stop, fit raised {stopped.error}")
    slopes = len(bench.base.betas)
    if heard.steps_after_stop > 2 or heard.calls_after_stop > 3 * slopes + 3:
        faults.append(
            f"monitor.advance returned False, and it went on: {heard.calls_after_stop} more calls, "
            f"{heard.steps_after_stop} more gradient steps; leave the training loop when advance "
            "(or checkpoint) returns False, and yield what is there"
        )
    after = stopped.after_stop_s
    if after > _WORK and after > _DEAF * whole.cpu_s:
        faults.append(
            f"monitor.advance returned False at its first call, and {after:.1f} CPU-s of work "
            f"followed, where the whole fit takes {whole.cpu_s:.1f}: it does not hear what advance "
            "answers; leave off when that is False, and yield what is there"
        )
    faults += [f for f in faults_of_answers(stopped) if not f.startswith("no answer")]
    out_of_form = faults_of_channels(stopped.channels, bench.base)
    faults += [f"stopped early, {fault}" for fault in out_of_form]
    done = f"{len(stopped.channels)} of {slopes} channels"
    return judged(faults, f"{listener.calls} calls of monitor.advance; told to stop it gave {done}")


def effort(bench: Bench) -> Outcome:
    """Four times the effort is more work."""
    plain = bench.fit(bench.base)
    steps = plain.listener.steps
    if not steps:
        return skipped("it counts no gradient steps (monitor.count), so its work cannot be told")
    # The fit is stopped as soon as the answer is clear.
    options = Options(effort=_MORE * bench.effort, most_steps=1 + round(1.5 * steps))
    more = bench.fit(bench.base, options)
    if more.error:
        return failed(f"with {_MORE:g} times the effort fit raised {more.error}")
    if more.listener.steps <= 1.2 * steps:
        return failed(
            f"{steps} gradient steps at effort {bench.effort:g}, {more.listener.steps} at "
            f"{_MORE * bench.effort:g}: multiply the number of steps by monitor.effort"
        )
    return passed(f"{steps} gradient steps at effort {bench.effort:g}, more at {_MORE:g} times it")


def works(bench: Bench, probe: Probe) -> Outcome:
    """The problem is refused, or answered in form with nothing impossible."""
    if not bench.continuous:
        return skipped("it refuses continuous sources")
    found = bench.fit(probe)
    if found.refused:
        return skipped(f"it refuses {probe.label}: {found.refused}")
    faults = _faults_of(found)
    points = bench.audits(probe)
    faults += [fault for one in points if (fault := impossibility(one))]
    gaps = [f"{one.audited.gap:.3g}" for one in points if one.audited is not None]
    told = f"audited gaps {', '.join(gaps)} nats at this effort" if gaps else "none was audited"
    return judged(faults, f"{probe.label}: {told}")


def few_points(bench: Bench) -> Outcome:
    """A fixed training set of 200 points works; 3, 2 and 1 do not crash; no side is made up."""
    faults = []
    sizes = [(bench.base.highest, n) for n in (200, 2, 1)]
    if bench.continuous:
        sizes.append((FIVE.highest, 3))  # fewer points than dimensions: far from the source's law
    for probe, n in sizes:
        found = bench.fit(probe, Options(n_train=n))
        if n < 200 and found.own_error:
            continue
        if n == 200 and found.refused:
            faults.append(f"it refuses a training set of 200 points: {found.refused}")
        told = _faults_of(found) or _faults_of_sides(bench, found, n)
        faults += [f"with {n} training points of {probe.label}: {fault}" for fault in told]
    return judged(faults, "200 training points work; 3, 2 and 1 are answered or refused")


def _faults_of_sides(bench: Bench, found: Attempt, points: int) -> list[str]:
    """Claims far on the wrong side of F(q) on fresh draws.

    What was left out of the fit is fresh, so a bound is possible, with the noise of those points.
    """
    noise = _NOISE / math.sqrt(max(1.0, _HELD * points))
    slack = (CLAIM_TOLERANCE + noise) * math.sqrt(found.probe.dim)
    bounds = [channel for channel in found.channels if channel.claim.side != "estimate"]
    faults = (fault_of_side(bench.judge(found.probe, one), slack) for one in bounds)
    return [
        f"{fault}: draws of the points that were fitted to guarantee nothing"
        for fault in faults
        if fault
    ]


def bad_input(bench: Bench) -> Outcome:
    """A constant source, extreme slopes and other alphabets are answered or refused in words."""
    faults = []
    tried = []
    for probe in (constant(), _EXTREMES, letters(), _NO_SLOPES):
        if not bench.continuous and probe.label == bench.base.label:
            continue
        found = bench.fit(probe)
        if found.own_error:
            tried.append(f"{probe.label}: an RdbenchError")
            continue
        if probe is _NO_SLOPES:
            if found.error:
                faults.append(f"without slopes: fit raised {found.error}")
            elif found.answers:
                faults.append("without slopes it answers all the same")
            continue
        faults += [f"{probe.label}: {fault}" for fault in _faults_of(found)]
        if probe is _EXTREMES:
            faults += _impossible(found)
        answered = "refused" if found.refused else f"{len(found.channels)} channels"
        tried.append(f"{probe.label}: {answered}")
    if faults:
        faults[0] += (
            "; answer what can be answered, and yield Refusal(beta, 'unsupported', reason) for "
            "the rest"
        )
    return judged(faults, "; ".join(tried))


def _impossible(found: Attempt) -> list[str]:
    """Claims below the truth."""
    faults = []
    for channel in found.channels:
        least = found.probe.reference.point(channel.beta).lagrangian.lo
        claimed = channel.claim.rate + channel.beta * channel.claim.distortion
        if claimed < least - CLAIM_TOLERANCE and channel.claim.side != "lower":
            faults.append(
                f"{found.probe.label}: at beta = {channel.beta:g} it claims R + beta D = "
                f"{claimed:.4g}, and {least:.4g} is the least that is possible"
            )
    return faults


def _faults_of(found: Attempt) -> list[str]:
    """Exceptions, slopes without an answer, channels out of form."""
    if found.error:
        return [f"fit raised {found.error}"]
    return faults_of_answers(found) + faults_of_channels(found.channels, found.probe)
