"""An independent check of certificates, in ball arithmetic (Arb): docs/certificates.md, section 10.

What a file claims is computed again from the problem, beta, q and lambda alone, every rounding
enclosed. Nothing here is shared with the solvers: no import of the package but this folder's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

from flint import arb, ctx

from rdbench.outcomes import RdbenchError
from rdbench.verify.files import read
from rdbench.verify.finite import absolute, cloud, letters, table
from rdbench.verify.laws import LAWS
from rdbench.verify.line import Absolute, Squared, bracket
from rdbench.verify.radial import Radial, noisy_sphere, student
from rdbench.verify.radial import bracket as isotropic

PRECISION = 128
RADIAL: dict[str, Callable[..., Radial]] = {"student": student, "noisy_sphere": noisy_sphere}
KERNELS: dict[str, type[Squared] | type[Absolute]] = {
    "squared_error": Squared,
    "absolute_error": Absolute,
}
Both = tuple[arb, arb]


class Verdict(NamedTuple):
    """What became of a claim: "verified", "rejected" or "not checked", and the bracket found."""

    case: str
    rate: float
    claim: dict[str, Any]
    state: str
    why: str = ""
    lo: float = float("nan")
    hi: float = float("nan")
    cpu_s: float = 0.0


def verify(path: Path) -> list[Callable[[], Verdict]]:
    """The checks of a file's certificates, each to be carried out by a call.

    Raises:
        RdbenchError: the file is not as docs/certificates.md describes it.
    """
    content, checks = read(path), list[Callable[[], Verdict]]()
    for k, rung in enumerate(content["rungs"]):
        try:
            with ctx.workprec(PRECISION):
                found = _sides(content["problem"], rung["certificate"])
        except KeyError as missing:
            raise RdbenchError(f"{path}, certificate {k + 1}: {missing} is missing") from None
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise RdbenchError(f"{path}, certificate {k + 1}: {error}") from None
        checks.append(partial(_check, content["case"], rung["rate"], rung["certificate"], found))
    return checks


def _check(
    case: str, rate: float, claim: dict[str, Any], sides: Callable[[], Both] | None
) -> Verdict:
    """Whether lo <= F* <= hi follows: lo <= the lower bound that is found, the upper one <= hi."""
    if sides is None:
        return Verdict(case, rate, claim, "not checked", f"kind of evidence: {claim['kind']}")
    began = process_time()
    try:
        with ctx.workprec(PRECISION):
            lower, upper = sides()
            lo, hi = lower.lower().max(arb(0)), upper.upper()
            low, high = bool(lo >= claim["lo"]), bool(hi <= claim["hi"])
    except (ArithmeticError, ValueError) as error:
        return Verdict(case, rate, claim, "rejected", str(error), cpu_s=process_time() - began)
    ends = max(math.nextafter(float(lo), -math.inf), 0.0), math.nextafter(float(hi), math.inf)
    shown = f"F* in [{ends[0]:.17g}, {ends[1]:.17g}] follows from it"
    claimed = [
        f"{end} = {claim[end]:.17g}" for end, good in (("lo", low), ("hi", high)) if not good
    ]
    why = f"{shown}, not {' and '.join(claimed)}" if claimed else ""
    state = "rejected" if claimed else "verified"
    return Verdict(case, rate, claim, state, why, *ends, process_time() - began)


def _sides(problem: dict[str, Any] | None, claim: dict[str, Any]) -> Callable[[], Both] | None:
    """What computes both sides of F*; None where it is not known how, or there is no lambda."""
    dual = claim.get("lambda")
    if problem is None or dual is None or not claim["points"]:
        return None
    source, distortion = dict(problem["source"]), dict(problem["distortion"])
    family, name, form = source.pop("family"), distortion.pop("name"), dual["form"]
    beta, width = arb(claim["beta"]), max(claim["hi"] - claim["lo"], 1e-12)
    total = sum(map(arb, claim["weights"]), arb(0))
    atoms = sorted((y, w) for y, w in zip(claim["points"], claim["weights"], strict=True) if w > 0)
    points, weights = [y for y, _ in atoms], [w / total for _, w in atoms]
    if (family, name, form) == ("letters", "random_table", "inverse"):
        letter = {int(y[0]): w for y, w in zip(points, weights, strict=True)}
        return partial(letters, table(**distortion), letter, beta)
    if family == "points" and form == "inverse" and max(map(len, source["points"])) <= 2:
        if name == "squared_error":
            return partial(cloud, source["points"], points, weights, beta, width)
        if name == "absolute_error":
            return partial(absolute, source["points"], points, weights, beta)
    if family in RADIAL and form == "radial" and name == "squared_error":
        law, shells = RADIAL[family](**source), [y[0] for y in points]
        return partial(isotropic, law, shells, weights, beta, dual["outer"], dual["shells"], width)
    if family in LAWS and name in KERNELS and form == "core":
        z = KERNELS[name]([y[0] for y in points], weights, beta)
        gaps = dual.get("gaps", ()), dual.get("gap_kappa", ())
        return partial(
            bracket, LAWS[family](**source), z, dual["core"], dual["kappa"], width, *gaps
        )
    return None
