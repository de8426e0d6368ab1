"""The checks of an estimator whose answers are dual bounds: their form, claims and F_lo."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rdbench.audit import audit
from rdbench.audit.possible import impossibility
from rdbench.check.answers import faults_of_answers
from rdbench.check.attempts import Attempt, Options, deadline, stream
from rdbench.check.bench import AUDIT_SIZE, Bench
from rdbench.check.findings import Outcome, failed, judged, passed, skipped
from rdbench.check.invariance import BASE, MOVED
from rdbench.check.points import CLAIM_TOLERANCE, FIVE, LAPLACIAN
from rdbench.check.problems import Probe, constant, letters, scalar
from rdbench.outcomes import in_words
from rdbench.run.guarded import guarded
from rdbench.types import Audited, DualBound

_SYMBOLS = 7
_LOOSE = 0.25  # of F_lo, and in nats: a claim farther below says nothing
_SLACK, _SHARE = 0.15, 0.5  # nats by which two audited gaps may differ, and a part of the smaller
_BITS = 1.0 / math.log(2.0)
_CLOSE = 0.1  # of a ratio to that of bits to nats
_EXTREMES = scalar().at("a scalar Gaussian at extreme slopes", 0.0, 1e-3, 1e4)


@dataclass(frozen=True)
class Weighed:
    """A dual bound with its audit; None, with the reason, where there is none."""

    probe: Probe
    bound: DualBound
    audited: Audited | None
    reason: str = ""

    @property
    def where(self) -> str:
        """The problem and the slope, in words."""
        return f"{self.probe.label}, beta = {self.bound.beta:.4g}"


def weighed(bench: Bench, probe: Probe, options: Options | None = None) -> list[Weighed]:
    """Every bound of the fit with its audit; audited at the first call only."""
    key = (probe.label, options or Options())
    if key not in bench.weighed:
        bounds = bench.fit(probe, options).bounds
        bench.weighed[key] = [_weigh(bench, probe, bound) for bound in bounds]
    found: list[Weighed] = bench.weighed[key]
    return found


def _weigh(bench: Bench, probe: Probe, bound: DualBound, salt: int = 0) -> Weighed:
    own = stream(bench.seed, probe.dim, "bound", salt)
    try:
        with deadline(bench.limit):
            found = audit(
                guarded(bound, own),
                probe.problem,
                probe.reference,
                size=AUDIT_SIZE,
                generator=stream(bench.seed, probe.dim, "audit", salt),
            )
    except BaseException as problem:  # an estimator's code may raise anything
        if isinstance(problem, KeyboardInterrupt):
            raise
        return Weighed(probe, bound, None, in_words(problem))
    return Weighed(probe, bound, found)


def _points(bench: Bench) -> list[Weighed]:
    probes = (bench.base, BASE, FIVE, LAPLACIAN) if bench.continuous else (bench.base,)
    return [one for probe in probes for one in weighed(bench, probe)]


def shapes(bench: Bench) -> Outcome:
    """log_lambda gives (n,) finite float64, the same for the same symbols; peaks are (m, d)."""
    probes = (bench.base, BASE) if bench.continuous else (bench.base,)
    faults = [
        f"{probe.label}, {fault}"
        for probe in probes
        for fault in _faults_of_bounds(bench.fit(probe))
    ]
    return judged(faults, "float64, finite, of the right shapes; equal symbols, equal lambda")


def _faults_of_bounds(found: Attempt) -> list[str]:
    named = ((one.beta, _fault(one, found.probe)) for one in found.bounds)
    return [f"beta = {beta:.4g}: {fault}" for beta, fault in named if fault]


def _fault(bound: DualBound, probe: Probe) -> str:
    """The first thing wrong with the form of a bound, in words; empty where nothing is."""
    x = probe.problem.source.sample(_SYMBOLS, stream("form", "x")).double()
    given = x.clone()
    try:
        first = bound.log_lambda(x)
        again = bound.log_lambda(x)
    except Exception as problem:  # an estimator's code may raise anything
        return f"log_lambda raised {in_words(problem)}"
    if not isinstance(first, Tensor) or first.shape != (_SYMBOLS,):
        shape = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        return f"log_lambda(x) gives {shape} where (n,) = ({_SYMBOLS},) is meant"
    if first.dtype != torch.float64:
        return f"log_lambda(x) is {str(first.dtype).removeprefix('torch.')}, not float64"
    if not bool(first.isfinite().all()):
        return "log_lambda(x) is not finite at a draw of the source"
    if not torch.equal(x, given):
        return "log_lambda writes into the x it is given"
    if not torch.equal(first, again):
        return (
            "log_lambda gives other numbers for the same symbols: lambda has to be a function of "
            "x; fix the draws that it uses when the bound is made"
        )
    peaks = bound.peaks
    if not isinstance(peaks, Tensor) or peaks.ndim != 2 or peaks.shape[1] != probe.dim:
        return f"its peaks are not points (m, {probe.dim})"
    if not isinstance(bound.claim, (int, float)) or not math.isfinite(bound.claim):
        return f"its claim is {bound.claim!r}, not a finite float"
    return ""


def possible(bench: Bench) -> Outcome:
    """No audited bound lies above F*."""
    points = _points(bench)
    known = [one for one in points if one.audited is not None]
    if not known:
        return skipped("no audit has a point")
    faults = [
        f"{one.where}: {fault}; no lambda can do that: this usually means one that follows the "
        "audit's own draws, keeps a state, or that the search missed where c is large"
        for one in known
        if one.audited is not None
        and (fault := impossibility(one.audited, one.probe.reference, one.probe.problem))
    ]
    return judged(faults, f"{len(known)} of {len(points)} bounds audited, none above F*")


def units(bench: Bench) -> Outcome:
    """The claimed F_lo is in nats."""
    ratios = [
        one.bound.claim / one.audited.lagrangian
        for one in _points(bench)
        if one.audited is not None and one.audited.lagrangian > 0.3
    ]
    if len(ratios) < 2:
        return skipped(f"{len(ratios)} bounds are large enough to tell units apart")
    if all(abs(ratio / _BITS - 1.0) < _CLOSE for ratio in ratios):
        return failed(
            "its claims are 1.44 = 1 / ln 2 times what the audit finds: they are in bits; bounds "
            "are in nats here (use log, not log2)"
        )
    return passed(f"in nats: {len(ratios)} bounds compared with the audit")


def claims(bench: Bench) -> Outcome:
    """The claimed F_lo is not above what the audit finds of it, nor so low that it says nothing."""
    if units(bench).verdict == "fail":
        return skipped("see units")
    points = _points(bench)
    faults = [f"{one.where}: cannot be audited: {one.reason}" for one in points if one.reason]
    faults += [f"{one.where}: {fault}" for one in points if (fault := _fault_of_claim(one))]
    if not points:
        return skipped("no claim to look at")
    return judged(faults, f"{len(points)} claims, as the audit finds them or below")


def _fault_of_claim(one: Weighed) -> str:
    found = one.audited
    if found is None or impossibility(found, one.probe.reference, one.probe.problem):
        return ""  # told by the check of what is possible
    slack = CLAIM_TOLERANCE * math.sqrt(one.probe.dim)
    high = one.bound.claim - max(found.lagrangian_hi, found.lagrangian) - slack
    if high > 0.0:
        return (
            f"it claims F_lo = {one.bound.claim:.4g} nats, the audit finds at most "
            f"{found.lagrangian_hi:.4g}: this usually means a supremum of c that was missed (start "
            "from more points, follow them further), or a mean of log lambda on the draws that "
            "lambda was fitted to"
        )
    low = found.lagrangian_lo - one.bound.claim - slack
    if low > _LOOSE * max(1.0, abs(found.lagrangian)):
        return (
            f"it claims F_lo = {one.bound.claim:.4g} nats where the audit finds at least "
            f"{found.lagrangian_lo:.4g}: this usually means a wrong unit or constant"
        )
    return ""


def works(bench: Bench, probe: Probe) -> Outcome:
    """The problem is refused, or answered in form with nothing impossible."""
    if not bench.continuous:
        return skipped("it refuses continuous sources")
    found = bench.fit(probe)
    if found.refused:
        return skipped(f"it refuses {probe.label}: {found.refused}")
    faults = _faults_of(found)
    gaps = [f"{one.audited.gap:.3g}" for one in weighed(bench, probe) if one.audited is not None]
    return judged(faults, f"{probe.label}: audited gaps {', '.join(gaps) or 'unknown'} nats")


def _faults_of(found: Attempt) -> list[str]:
    if found.error:
        return [f"fit raised {found.error}"]
    return faults_of_answers(found) + _faults_of_bounds(found)


def invariant(bench: Bench, name: str) -> Outcome:
    """The mean, the scale or the axes of the source do not matter to F* - F_lo."""
    info = bench.estimator.info
    declared = bool({name, f"{name}:{bench.preset}"} & info.not_invariant)
    base = bench.fit(BASE)
    if not bench.continuous or base.refused:
        return skipped(f"it refuses {BASE.label}")
    if base.trouble:
        return failed(base.trouble)
    for words, probe in MOVED[name]:
        seen = _moved(bench, probe, Options())
        # What is seen once may be chance; the second seed has to show it too.
        if seen and _moved(bench, probe, Options(seed=1)):
            if declared:
                return passed(f"declared in info.not_invariant, and so it is: {words}, {seen}")
            return failed(
                f"the source {words}, {seen}; standardise by the training draws "
                f"(rdbench.inference.scaling), or declare {name!r} in info.not_invariant"
            )
    return passed(" and ".join(words for words, _ in MOVED[name]) + ": the same gap")


def _moved(bench: Bench, probe: Probe, options: Options) -> str:
    moved = bench.fit(probe, options)
    if moved.trouble or moved.refused:
        return f"it fails: {moved.trouble or moved.refused}"
    pairs = zip(weighed(bench, BASE, options), weighed(bench, probe, options), strict=False)
    return next(filter(None, (_apart(a, b) for a, b in pairs)), "")


def _apart(first: Weighed, second: Weighed) -> str:
    a, b = first.audited, second.audited
    if a is None or b is None:
        return "" if a is b else f"it cannot be audited: {first.reason or second.reason}"
    noise = sum(max(f.gap_hi - f.gap, f.gap - f.gap_lo) for f in (a, b))
    allowed = _SLACK + _SHARE * max(0.0, min(a.gap, b.gap)) + noise
    if abs(a.gap - b.gap) <= allowed:
        return ""
    return f"the audited gap is {b.gap:.3g} nats, and {a.gap:.3g} without that"


def no_peeking(bench: Bench) -> Outcome:
    """A view with no source behind it does as well."""
    alone = bench.fit(bench.base.highest, Options(bare=True))
    if alone.trouble or alone.refused:
        return failed(
            "fit works with the runner's view but not with one that has only draws behind it "
            f"({alone.trouble or alone.refused}); does it look for the source inside view.sample?"
        )
    bare = {one.bound.beta: one for one in weighed(bench, bench.base.highest, Options(bare=True))}
    faults = []
    for one in weighed(bench, bench.base):
        other = bare.get(one.bound.beta)
        apart = "" if other is None else _apart(one, other)
        again = _apart(one, _weigh(bench, bench.base, one.bound, salt=1))
        faults += [f"{one.where}: with draws alone {apart}"] if apart else []
        faults += [f"{one.where}: by a second audit {again}"] if again else []
    return judged(faults, "as good on draws alone; a second audit finds the same")


def few_points(bench: Bench) -> Outcome:
    """A fixed training set of 200 points works; 2 and 1 do not crash."""
    faults = []
    for n in (200, 2, 1):
        found = bench.fit(bench.base.highest, Options(n_train=n))
        if n < 200 and found.own_error:
            continue
        if n == 200 and found.refused:
            faults.append(f"it refuses a training set of 200 points: {found.refused}")
        faults += [f"with {n} training points: {fault}" for fault in _faults_of(found)]
    return judged(faults, "200 training points work; 2 and 1 are answered or refused")


def bad_input(bench: Bench) -> Outcome:
    """A constant source, extreme slopes and other alphabets are answered or refused in words."""
    faults, tried = [], []
    for probe in (constant(), _EXTREMES, letters()):
        found = bench.fit(probe)
        if found.own_error:
            tried.append(f"{probe.label}: an RdbenchError")
            continue
        faults += [f"{probe.label}: {fault}" for fault in _faults_of(found)]
        answered = "refused" if found.refused else f"{len(found.bounds)} bounds"
        tried.append(f"{probe.label}: {answered}")
    return judged(faults, "; ".join(tried))


def no_channel(_: Bench) -> Outcome:
    """What speaks of channels does not apply."""
    return skipped("its answers are lower bounds, which have no channel")


CHECKS: dict[str, Callable[[Bench], Outcome]] = {
    "shapes": shapes,
    "density": no_channel,
    "checkpoints": no_channel,
    "possible": possible,
    "units": units,
    "below truth": no_channel,
    "claims": claims,
    "side": no_channel,
    "monotone": no_channel,
    "conditional": no_channel,
    "no peeking": no_peeking,
    "shift": lambda bench: invariant(bench, "shift"),
    "scale": lambda bench: invariant(bench, "scale"),
    "rotation": lambda bench: invariant(bench, "rotation"),
    "dimensions": lambda bench: works(bench, FIVE),
    "absolute error": lambda bench: works(bench, LAPLACIAN),
    "few points": few_points,
    "bad input": bad_input,
}
"""In the place of the checks of channels of these names."""
