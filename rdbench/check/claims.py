"""Are the claims in nats and summed distortion, on their side, and borne out by an audit?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from statistics import median

from rdbench.check.attempts import Options
from rdbench.check.bench import Bench, Judged
from rdbench.check.findings import Outcome, failed, judged, passed, skipped
from rdbench.check.invariance import BASE, gap_apart
from rdbench.check.problems import Probe, five, laplacian
from rdbench.types import Energy

FIVE, LAPLACIAN = five(), laplacian()
CLAIM_TOLERANCE = (
    0.08  # nats per root dimension: five standard errors of a claim on 2,000 held-out draws
)
_CLOSE = 0.08  # relative, of a ratio to the number that a confusion gives
_RISE = 0.05  # nats, and relative, by which a curve may seem to turn


def _points(bench: Bench) -> list[Judged]:
    probes: tuple[Probe, ...] = (bench.base,)
    if bench.continuous:
        probes = (bench.base, BASE, FIVE, LAPLACIAN)
    return [one for probe in probes for one in bench.audits(probe)]


def _slack(one: Judged) -> float:
    return CLAIM_TOLERANCE * math.sqrt(one.probe.dim)


def _where(one: Judged) -> str:
    return f"{one.probe.label}, beta = {one.channel.beta:.4g}"


def units(bench: Bench) -> Outcome:
    """R in nats per symbol, D summed over dimensions."""
    named = _confusion(_points(bench))
    if named:
        return failed(named)
    return passed("rates in nats, distortions summed over dimensions, as far as the audit can tell")


def _confusion(points: list[Judged]) -> str:
    """The ratios of claimed to audited R and D, matched with the usual confusions."""
    rates: list[tuple[float, int]] = []
    spent: list[tuple[float, int]] = []
    for one in points:
        found = one.audited
        if found is None or not found.accepted or not (found.rate > 0.3 and found.distortion > 0):
            continue
        rates.append((one.channel.claim.rate / found.rate, one.probe.dim))
        spent.append((one.channel.claim.distortion / found.distortion, one.probe.dim))
    if len(rates) < 2:
        return ""

    def match(values: list[tuple[float, int]], wanted: Callable[[int], float]) -> bool:
        near = [abs(value / wanted(d) - 1.0) <= _CLOSE for value, d in values]
        return all(near)

    bits = match(rates, lambda _: 1.0 / math.log(2.0))
    per_dim = any(d > 1 for _, d in spent) and match(spent, lambda d: 1.0 / d)
    rate_per_dim = any(d > 1 for _, d in rates) and match(rates, lambda d: 1.0 / d)
    half = match(spent, lambda _: 0.5)
    r, e = median(value for value, _ in rates), median(value for value, _ in spent)
    if bits:
        return (
            f"its claimed rates are {r:.3g} times what the audit finds, which is 1 / ln 2: they "
            "are in bits; rates are in nats here (use log, not log2)"
        )
    if per_dim:
        return (
            "its claimed distortions are those of the audit divided by the dimension: they are "
            "means over coordinates; distortion is summed over dimensions here (sum, not mean)"
        )
    if half:
        return (
            f"its claimed distortions are {e:.3g} times what the audit finds: is the squared error "
            "halved somewhere?"
        )
    if rate_per_dim:
        return (
            "its claimed rates are those of the audit divided by the dimension: rates are per "
            "symbol here, not per coordinate"
        )
    return ""


def below_truth(bench: Bench) -> Outcome:
    """No claim lies below what is possible."""
    points = _points(bench)
    if _confusion(points):
        return skipped("see units")
    faults = []
    for one in points:
        short = one.truth.lagrangian.lo - one.claimed
        if short > _slack(one) and one.channel.claim.side != "lower":
            faults.append(
                f"{_where(one)}: it claims R + beta D = {one.claimed:.4g} nats, {short:.3g} below "
                "the least that is possible; this usually means a claim computed on the training "
                "draws, noise that was fitted to, a mean where a sum is meant, or a wrong constant"
            )
    return judged(faults, "no claim below the true curve")


def claims(bench: Bench) -> Outcome:
    """C = claimed R + beta D agrees with the audited F(q), as far as its side says."""
    points = _points(bench)
    if _confusion(points):
        return skipped("see units")
    faults: list[str] = []
    known = 0
    for one in points:
        claim, inside = one.channel.claim, one.interval
        if claim.rate < -_slack(one) or claim.distortion < 0.0:
            faults.append(
                f"{_where(one)}: it claims R = {claim.rate:.3g}, D = {claim.distortion:.3g}; "
                "neither can be negative"
            )
        if inside is None:
            if one.reason:
                faults.append(f"{_where(one)}: it cannot be audited: {one.reason}")
            continue
        known += 1
        too_low = inside[0] - _slack(one) - one.claimed
        too_high = one.claimed - inside[1] - _slack(one)
        if claim.side == "estimate" and (too_low > 0.0 or too_high > 0.0):
            faults.append(_disagreement(one, inside))
    if faults or known:
        return judged(faults, f"{known} claims within noise of the audit")
    return skipped("no audit has a point to hold its claims against")


def _disagreement(one: Judged, inside: tuple[float, float]) -> str:
    below = one.claimed < inside[0]
    energy = isinstance(one.channel.marginal, Energy)
    meaning = (
        "this usually means that its chains do not reach q: the claim is then of their draws, the "
        "audit of the energy"
        if below and energy
        else "this usually means that the claim was computed on the draws (or the noise) that the "
        "marginal was fitted to; claim on fresh draws of view.sample"
        if below
        else "this usually means a plug-in average of too few draws at a high rate, or R of one "
        "formula and D of another; say side='upper' where it is a bound by its construction"
    )
    return (
        f"{_where(one)}: it claims R + beta D = {one.claimed:.4g} nats, the audit finds "
        f"{inside[0]:.4g} to {inside[1]:.4g}; {meaning}"
    )


def side(bench: Bench) -> Outcome:
    """An upper bound is not below F(q), a lower one not above it, an exact value neither."""
    if _confusion(_points(bench)):
        return skipped("see units")
    faults: list[str] = []
    sides = set()
    for one in _points(bench):
        sides.add(one.channel.claim.side)
        fault = fault_of_side(one, _slack(one))
        faults += [f"{_where(one)}: {fault}"] if fault else []
    if sides == {"estimate"}:
        return skipped("it claims estimates, which have no side")
    return judged(faults, f"the audit agrees with {', '.join(sorted(sides))}")


_SIDES = {"upper": "above", "lower": "below"}


def fault_of_side(one: Judged, slack: float) -> str:
    """A claim off its side of F(q) by more than the slack in nats, in words; empty otherwise."""
    stated, inside = one.channel.claim.side, one.interval
    if inside is None or stated == "estimate":
        return ""
    low = one.claimed < inside[0] - slack and stated != "lower"
    high = one.claimed > inside[1] + slack and stated != "upper"
    if not (low or high):
        return ""
    word = "an exact value" if stated == "exact" else f"a bound from {_SIDES[stated]}"
    return (
        f"its claim {one.claimed:.4g} is said to be {word} (side = {stated!r}), but the audit "
        f"finds F(q) = {inside[0]:.4g} to {inside[1]:.4g}; say 'estimate' where nothing is "
        "guaranteed"
    )


def monotone(bench: Bench) -> Outcome:
    """R rises and D falls with beta, claimed and audited."""
    faults: list[str] = []
    points = sorted(bench.audits(bench.base), key=lambda one: one.channel.beta)
    if len(points) < 2:
        return skipped("fewer than two slopes were answered")
    claimed = [(p.channel.beta, p.channel.claim.rate, p.channel.claim.distortion) for p in points]
    found = [
        (p.channel.beta, p.audited.rate, p.audited.distortion)
        for p in points
        if p.audited is not None and p.audited.accepted
    ]
    for word, curve in (("claimed", claimed), ("audited", found)):
        for (b0, r0, d0), (b1, r1, d1) in itertools.pairwise(curve):
            if r1 < r0 - _RISE or d1 > d0 * (1.0 + _RISE):
                faults.append(
                    f"from beta = {b0:.3g} to {b1:.3g} the {word} rate goes from {r0:.3g} to "
                    f"{r1:.3g} and the distortion from {d0:.3g} to {d1:.3g}: R must rise and "
                    "D fall as beta grows; this usually means channels yielded with another "
                    "slope's beta, or D / beta mixed up"
                )
    return judged(faults, "rates rise and distortions fall with beta")


def no_peeking(bench: Bench) -> Outcome:
    """A view with no source behind it does as well, and a second audit finds the same."""
    bare = Options(bare=True)
    alone = bench.fit(bench.base.highest, bare)
    if alone.trouble or alone.refused:
        return failed(
            "fit works with the runner's view but not with one that has only draws behind it "
            f"({alone.trouble or alone.refused}); this usually means that it looks for the source "
            "inside view.sample"
        )
    faults: list[str] = []
    others = {other.channel.beta: other for other in bench.audits(bench.base.highest, bare)}
    for one in bench.audits(bench.base):
        apart = gap_apart(one, others.get(one.channel.beta))
        if apart and apart[1] > apart[0]:
            faults.append(
                f"beta = {one.channel.beta:.4g}: the audited gap is {apart[0]:.3g} nats with the "
                f"runner's view and {apart[1]:.3g} with one that has only draws behind it; does it "
                "look for the source inside view.sample?"
            )
        again = bench.judge(bench.base, one.channel, salt=1)
        shifted = gap_apart(one, again)
        if shifted:
            faults.append(
                f"beta = {one.channel.beta:.4g}: two audits on different draws find gaps of "
                f"{shifted[0]:.3g} and {shifted[1]:.3g} nats; this usually means a sampler whose "
                "law changes from call to call"
            )
    return judged(faults, "as good on draws alone; a second audit finds the same")
