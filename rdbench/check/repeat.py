"""Does the same seed give the same numbers, whoever looks on, and is the process left alone?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rdbench.check.attempts import Attempt, Options, differing, fingerprint
from rdbench.check.bench import Bench
from rdbench.check.findings import Outcome, failed, judged, passed, skipped
from rdbench.check.invariance import BASE

_AGAIN = Options(global_seed=2)
_LOOKS = Options(looks=True)
_OF_IMPORTS = ("the warning filters", "the environment variables")


def deterministic(bench: Bench) -> Outcome:
    """A second fit with the same generators, other global seeds, gives equal claims and draws."""
    first, second = bench.fit(bench.base), bench.fit(bench.base, _AGAIN)
    if second.trouble:
        return failed(f"the second of two equal fits failed: {second.trouble}")
    what = _difference(first, second)
    if what:
        return failed(
            f"two fits with the same generators differ in {what}; this usually means draws from "
            "a global random state (torch.randn without generator=..., torch.nn layers, numpy, "
            "random) or state kept between fits"
        )
    now = (fingerprint(one, first.probe) for one in first.results)
    moved = _first_difference(first.prints, now)
    if moved:
        return failed(
            f"a channel changes in {moved} after it was yielded; this usually means that its "
            "samplers share a network or a generator with the fit, which went on: copy what they "
            "use, and draw from the generator they are given"
        )
    source = "the fit draws from" if first.draws_own else "the fit does not draw from"
    return passed(f"equal claims and draws for equal seeds; {source} its generator")


def _difference(first: Attempt, second: Attempt) -> str:
    if len(first.answers) != len(second.answers) or len(first.prints) != len(second.prints):
        return "the number of answers"
    return _first_difference(first.prints, second.prints)


def _first_difference(prints: Iterable[Any], others: Iterable[Any]) -> str:
    return next(filter(None, map(differing, prints, others)), "")


def checkpoints(bench: Bench) -> Outcome:
    """Looking at checkpoints changes nothing, and what they build is in form."""
    plain, looked = bench.fit(bench.base), bench.fit(bench.base, _LOOKS)
    listener = looked.listener
    if listener.faults:
        return judged(listener.faults, "")
    if looked.trouble:
        return failed(f"building the channels of a checkpoint broke the fit: {looked.trouble}")
    if not listener.offered:
        return skipped("it offers no checkpoints (monitor.checkpoint): no time-to-accuracy traces")
    what = _difference(plain, looked)
    if what:
        return failed(
            f"with looks at its checkpoints the fit ends with another result ({what}); this "
            "usually means that build() draws from the fit's generator, or changes the network, "
            "the running mean or the training mode"
        )
    return passed(f"{listener.offered} offered; looking at them changes nothing")


def global_state(bench: Bench) -> Outcome:
    """Default dtype, threads, random states, grad mode and the rest are as they were."""
    faults: list[str] = []
    # The first fit of a process may import what others then find imported.
    first, *others = [bench.fit(bench.base), bench.fit(bench.base, _AGAIN), bench.fit(BASE)]
    faults += [text for text in first.touched if not text.startswith(_OF_IMPORTS)]
    for found in others:
        faults += [text for text in found.touched if text not in faults]
    return judged(faults, "dtype, threads, random states, grad mode, environment as before")
