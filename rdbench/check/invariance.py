"""Does the answer move with the source when that is shifted, rescaled or rotated?"""

from __future__ import annotations

from rdbench.check.attempts import Options
from rdbench.check.bench import Bench, Judged
from rdbench.check.findings import Outcome, failed, passed, skipped
from rdbench.check.problems import Probe, plane

BASE = plane("a Gaussian in the plane")
MOVED: dict[str, tuple[tuple[str, Probe], ...]] = {
    "shift": (("moved to a mean of 100", plane("the same with a mean of 100", mean=100.0)),),
    "scale": (
        ("multiplied by 50", plane("the same times 50", scale=50.0)),
        ("divided by 100", plane("the same over 100", scale=0.01)),
    ),
    "rotation": (("turned onto the axes", plane("the same along the axes", degrees=0.0)),),
}
_MEANING = {
    "shift": "this usually means that training starts at the origin or float32 meets raw "
    "coordinates: subtract the mean of the training draws first (rdbench.inference.scaling)",
    "scale": "this usually means that step sizes or the start assume unit scale: divide by the "
    "scale of the training draws and multiply beta accordingly (rdbench.inference.scaling)",
    "rotation": "this usually means that some part works coordinate by coordinate (a diagonal "
    "covariance, a factorised prior, a grid): whiten, or use a full covariance",
}
_SLACK = 0.1  # nats by which audited gaps may differ
_SHARE = 0.5  # and, besides, this share of the smaller one


def gap_apart(first: Judged | None, second: Judged | None) -> tuple[float, float] | None:
    """Two audited gaps that differ by more than noise; None where they agree or are unknown."""
    if first is None or second is None or first.interval is None or second.interval is None:
        return None
    a, b = first.audited, second.audited
    assert a is not None
    assert b is not None
    noise = sum(0.5 * (hi - lo) for lo, hi in (first.interval, second.interval))
    allowed = _SLACK + _SHARE * max(0.0, min(a.gap, b.gap)) + 2.0 * noise
    return (a.gap, b.gap) if abs(a.gap - b.gap) > allowed else None


def invariant(bench: Bench, name: str) -> Outcome:
    """The mean ("shift"), the scale or the axes ("rotation") of the source do not matter."""
    info = bench.estimator.info
    declared = bool({name, f"{name}:{bench.preset}"} & info.not_invariant)
    if not bench.continuous:
        return skipped(f"it refuses {BASE.label}")
    base = bench.fit(BASE)
    if base.refused:
        return skipped(f"it refuses {BASE.label}: {base.refused}")
    if base.trouble:
        return failed(base.trouble)
    if not any(judged.interval for judged in bench.audits(BASE)):
        reason = bench.audits(BASE)[0].reason or "its acceptance test failed"
        return skipped(f"the audit of {BASE.label} has no point: {reason}")
    seen = ""
    for words, probe in MOVED[name]:
        found = _violation(bench, probe, Options())
        # What is seen once may be chance; the second seed has to show it too.
        if found and _violation(bench, probe, Options(seed=1)):
            seen = f"{words}, {found}"
            break
    if seen and declared:
        return passed(f"declared in info.not_invariant, and so it is: {seen}")
    if seen:
        return failed(
            f"the source {seen}; {_MEANING[name]}, or declare "
            f"{name if bench.preset == 'default' else f'{name}:{bench.preset}'!r} in "
            "info.not_invariant"
        )
    if declared:
        return passed(
            f"declared in info.not_invariant, but not seen on {BASE.label}: is it needed?"
        )
    return passed(" and ".join(words for words, _ in MOVED[name]) + ": the same gap")


def _violation(bench: Bench, probe: Probe, options: Options) -> str:
    """How the transformed problem differs from the plain one, in words; empty where it does not."""
    plain, moved = bench.fit(BASE, options), bench.fit(probe, options)
    if plain.trouble or plain.refused:
        return ""
    if moved.trouble:
        return f"makes it fail: {moved.trouble}"
    if moved.refused:
        return f"is refused: {moved.refused}"
    first, second = bench.audits(BASE, options), bench.audits(probe, options)
    apart = gap_apart(first[0], second[0])
    if apart:
        return f"changes the audited gap from {apart[0]:.3g} to {apart[1]:.3g} nats"
    if first[0].interval and not second[0].interval:
        return f"cannot be audited any more ({second[0].reason or 'its acceptance test failed'})"
    return ""
