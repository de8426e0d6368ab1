"""The checks by name, and the running of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from rdbench.check import answers, bounds, claims, conditional, invariance, limits, protocol, repeat
from rdbench.check.bench import Bench
from rdbench.check.findings import Finding, Outcome, failed, skipped
from rdbench.check.points import FIVE, LAPLACIAN
from rdbench.outcomes import in_words
from rdbench.types import EstimatorInfo, RdbenchError

EFFORT = 0.1
LIMIT_S = 120.0

CHECKS: dict[str, Callable[[Bench], Outcome]] = {
    "answers": answers.answers,
    "shapes": answers.shapes,
    "density": answers.density,
    "deterministic": repeat.deterministic,
    "checkpoints": repeat.checkpoints,
    "global state": repeat.global_state,
    "possible": claims.possible,
    "units": claims.units,
    "below truth": claims.below_truth,
    "claims": claims.claims,
    "side": claims.side,
    "monotone": claims.monotone,
    "conditional": conditional.conditional,
    "no peeking": claims.no_peeking,
    "shift": partial(invariance.invariant, name="shift"),
    "scale": partial(invariance.invariant, name="scale"),
    "rotation": partial(invariance.invariant, name="rotation"),
    "dimensions": partial(limits.works, probe=FIVE),
    "absolute error": partial(limits.works, probe=LAPLACIAN),
    "budget": limits.budget,
    "effort": limits.effort,
    "few points": limits.few_points,
    "bad input": limits.bad_input,
}
"""In the order in which they are run; ``protocol`` comes before all of them."""

NAMES = ("protocol", *CHECKS)
# Without these nothing else can be told.
_FIRST = ("answers", "shapes")
MEND = "failed: mend that first"
"""How the message ends of a check that was left out for the failure of an earlier one."""


def check_estimator(
    estimator: Any,
    preset: str = "default",
    *,
    seed: int = 0,
    effort: float = EFFORT,
    only: Collection[str] | None = None,
    limit: float = LIMIT_S,
) -> tuple[Finding, ...]:
    """Check an estimator and say what is wrong with it.

    Args:
        estimator: the class, or an instance of it (a preset is then a mere label).
        preset: which of ``info.presets`` to try; ``info.not_invariant`` may name it.
        seed: of the data, the fits and the audits.
        effort: what the fits multiply their work by.
        only: names of checks (see ``NAMES``); None means all.
        limit: wall seconds that one fit or one audit may take.

    Raises:
        RdbenchError: an unknown check or preset.
    """
    return tuple(findings(estimator, preset, seed, effort, only, limit))


def findings(
    estimator: Any,
    preset: str,
    seed: int,
    effort: float,
    only: Collection[str] | None,
    limit: float,
) -> Iterator[Finding]:
    """The findings of `check_estimator`, one by one as they are known."""
    known(only)
    cls = estimator if isinstance(estimator, type) else type(estimator)
    yield _timed("protocol", lambda: protocol.protocol(cls))
    instance = _instance(estimator, cls, preset)
    bench = None if instance is None else Bench(instance, preset, seed, effort, limit)
    broken = "protocol" if bench is None else ""
    for name, check in CHECKS.items():
        if only is not None and name not in only:
            continue
        if bench is None or broken:
            yield Finding(name, "skip", f"{broken} {MEND}", 0.0)
            continue
        if instance is not None and instance.info.side == "lower":
            check = bounds.CHECKS.get(name, check)
        found = _timed(name, partial(check, bench))
        yield found
        if found.verdict == "fail" and name in _FIRST:
            broken = name


def known(only: Collection[str] | None) -> None:
    """Do nothing where these are names of checks.

    Raises:
        RdbenchError: one is not.
    """
    strange = sorted(set(only or ()) - set(NAMES))
    if strange:
        raise RdbenchError(f"unknown check {strange[0]!r}; valid: {', '.join(NAMES)}")


def _instance(estimator: Any, cls: Any, preset: str) -> Any:
    """The instance to try; None where the class is so far off that none can be made."""
    if not (isinstance(getattr(cls, "info", None), EstimatorInfo) and hasattr(cls, "fit")):
        return None
    presets = {"default": {}, **cls.info.presets}
    if preset not in presets and isinstance(estimator, type):
        raise RdbenchError(f"unknown preset {preset!r}; valid: {', '.join(presets)}")
    try:
        return cls(**presets[preset]) if isinstance(estimator, type) else estimator
    except Exception:  # told by the check of the protocol
        return None


def _timed(name: str, check: Callable[[], Outcome]) -> Finding:
    began = time.process_time()
    try:
        outcome = check()
    except RdbenchError as problem:
        outcome = failed(in_words(problem))
    except NotImplementedError as problem:
        outcome = skipped(in_words(problem))
    except Exception as problem:  # an estimator's code may raise anything
        outcome = failed(f"it raised {in_words(problem)}")
    return Finding(name, outcome.verdict, outcome.message, time.process_time() - began)


def assert_conforms(estimator: Any, preset: str = "default", **options: Any) -> None:
    """Raise AssertionError with the failed checks, one a line; for the tests of a plug-in.

    Takes what `check_estimator` takes.
    """
    found = check_estimator(estimator, preset, **options)
    bad = [f"{one.name}: {one.message}" for one in found if one.verdict == "fail"]
    name = getattr(estimator, "__name__", type(estimator).__name__)
    if bad:
        raise AssertionError(f"{name} fails {len(bad)} of {len(found)} checks:\n" + "\n".join(bad))
