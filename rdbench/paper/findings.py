"""What the paper says of its figures, held against the records: one function per claim.

The paper's curves show no numbers; ``accurate`` is read as a gap of at most .05 sqrt(d) nats, which
is also the tolerance for claims, and a good p(y|x) as one within 5% of the spread of the optimal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from rdbench.paper.cells import Found
from rdbench.paper.judgement import (
    Evidence,
    Finding,
    Verdict,
    accurate,
    cases_of,
    is_mixture,
    mixture_note,
    of_the_model,
    protocol_text,
    protocol_worst,
    reconstruction,
    together,
)
from rdbench.paper.numbers import Row, number, point_text, rate_text, worst_point
from rdbench.paper.targets import fixed_set, targets
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.refined import refined_rate
from rdbench.report.claims import tolerance
from rdbench.report.protocol import log_draws, saturated
from rdbench.report.summary import SCORED
from rdbench.report.units import nats_per
from rdbench.run.records import PointRecord
from rdbench.suites._recipe import Recipe
from rdbench.types import Bracket, Case, OutOfRange


def findings(recipe: Recipe, found: Sequence[Found], units: str) -> list[Finding]:
    """All findings, in the order of the paper's figures.

    Args:
        recipe: the paper.
        found: its parts with their records.
        units: ``nats`` or ``bits``.

    Raises:
        RdbenchError: an unknown unit.
    """
    evidence = Evidence(recipe, tuple(found), units, nats_per(units))
    claims: tuple[Callable[[Evidence], list[Finding]], ...] = (
        scalars, vectors, high_rates, spectrum, targets, fixed_set, claimed_point, conditionals,
        printed_chains, boltzmann,
    )  # fmt: skip
    return [one for claim in claims for one in claim(evidence)]


def scalars(evidence: Evidence) -> list[Finding]:
    """Figure 2, as printed and with our settings."""
    claim = "“Our EBRD model accurately computes the RD function” (Gaussian and Laplacian)"
    return _accuracy(evidence, "2", claim, None)


def vectors(evidence: Evidence) -> list[Finding]:
    """Figure 3, the two lower dimensions, the paper's method and the one it is compared with."""
    part = evidence.part("3")
    cases = part.part.cases[:-1] if part else ()
    claim = "“Both methods consistently obtain accurate results for d = 2 and 5”"
    return _accuracy(evidence, "3", claim, cases)


def _accuracy(
    evidence: Evidence, name: str, claim: str, cases: Sequence[str] | None
) -> list[Finding]:
    recipe = evidence.recipe
    labels = [recipe.as_printed, recipe.method] + ([recipe.rival] if cases is not None else [])
    out = []
    for label in labels:
        rows = evidence.rows(name, label, cases)
        if not rows:
            continue
        judged = [accurate(row, evidence.scale) for row in rows]
        verdict = together(
            [of_the_model(v, row.points) for row, (v, _) in zip(rows, judged, strict=True)]
        )
        note = mixture_note(point for row in rows for point in row.points)
        texts = [
            "; ".join(filter(None, (text, protocol_text(row.points, evidence.scale))))
            for row, (_, text) in zip(rows, judged, strict=True)
        ]
        text = f"In {evidence.units}: {'. '.join(texts)}."
        out.append(Finding(name, claim, verdict, text, label, note))
    return out


def high_rates(evidence: Evidence) -> list[Finding]:
    """Figure 3, the highest dimension: is it the algorithms that err at high rate?"""
    part = evidence.part("3")
    if part is None:
        return []
    claim = (
        "“For sufficiently high rates, errors emerge in both algorithms since the number of "
        "samples required for accurate computation grows exponentially with the rate” (d = 10)"
    )
    out = []
    for label in (evidence.recipe.method, evidence.recipe.rival):
        for row in evidence.rows("3", label, part.part.cases[-1:]):
            verdict, text = _high_rates(row, evidence)
            text = f"In {evidence.units}: {text}."
            out.append(Finding("3", claim, verdict, text, label, mixture_note(row.points)))
    return out


def _high_rates(row: Row, evidence: Evidence) -> tuple[Verdict, str]:
    if not row.records:
        return "not run", f"{row.case}: not run"
    known = [p for p in row.points if p.status in SCORED and p.gap_paper_protocol is not None]
    unknown = len(row.points) - len(known)
    beyond = [p for p in known if saturated(p)]
    below = [p for p in known if not saturated(p)]
    if not beyond:
        return "not decided", f"{row.case}: no rate beyond the ceiling log N of Appendix A"
    limit = tolerance(row.records[0].dim)
    ceiling = evidence.number(log_draws(beyond[0]))
    audited = worst_point(beyond)
    worst = protocol_worst(beyond)
    assert worst is not None
    text = (
        f"{row.case}: beyond log N = {ceiling} the gap by Appendix A reaches "
        f"{evidence.number(worst.gap_paper_protocol)} (R = {rate_text(worst, evidence.scale)}), "
        f"the worst audited gap of the same q is {point_text(audited, evidence.scale)}"
    )
    if below:
        text += f"; below log N {protocol_text(below, evidence.scale)}"
    if unknown:
        text += f"; {unknown} of {len(row.points)} points were not evaluated so"
    verdict, why = _cause(beyond, below, unknown, limit)
    return verdict, f"{text}. {why}"


def _cause(
    beyond: Sequence[PointRecord], below: Sequence[PointRecord], unknown: int, limit: float
) -> tuple[Verdict, str]:
    """Whether it is q that errs beyond log N, and there alone: by its audited gap, not without."""
    if all((p.gap_paper_protocol or 0.0) <= limit for p in beyond):
        return "does not agree", "Nothing errs at these rates"
    if all(_is_small(p, limit) for p in beyond) and not unknown:
        q = "the q that was found"
        if all(map(is_mixture, beyond)):
            q += ", here the fitted mixture and no trained model,"
        return "agrees in part", (
            "The errors are those of the evaluation, which needs N of the order of e^R for any q; "
            f"{q} is right at these rates"
        )
    if not any(_is_large(p, limit) for p in beyond):
        return "not decided", "The audited gaps do not tell whether q errs at these rates"
    if any(_is_large(p, limit) for p in below):
        return "not decided", "q errs below log N as well, so that the rate is not shown to be why"
    if not below or unknown or not all(_is_small(p, limit) for p in below):
        return "not decided", "q errs at these rates; whether it is right below log N is open"
    return "agrees", "q errs at these rates and is right below log N"


def _is_small(point: PointRecord, limit: float) -> bool:
    return point.gap is not None and point.gap_hi is not None and point.gap_hi <= limit


def _is_large(point: PointRecord, limit: float) -> bool:
    return point.side != "upper" and point.gap_lo is not None and point.gap_lo > limit


def spectrum(evidence: Evidence) -> list[Finding]:
    """Figure 3: what the paper prints of its spectrum cannot be meant."""
    if evidence.part("3") is None or not evidence.recipe.method:
        return []
    text = (
        "As printed, every σ_i is the same number and i does not occur. We take σ_i = 2^(−i/10), "
        "i = 1 to d, under a random rotation. Equal σ_i are in the suite gaussian_spectra."
    )
    return [Finding("3", "“We … set σ_i = 2^(−1/10)”", "not decided", text)]


def claimed_point(evidence: Evidence) -> list[Finding]:
    """Figure 6: is the point that the paper states on the curve?"""
    case = _case_of(evidence, "4a", "6", "5")
    if evidence.recipe.claimed_point is None or case is None:
        return []
    rate, distortion = evidence.recipe.claimed_point
    half = 0.5 * 10.0 ** int(Decimal(repr(distortion)).as_tuple().exponent)
    reference = case.reference
    try:
        true = reference.point(reference.slope(rate)).distortion
        at, low, high = (
            refined_rate(reference, d) for d in (distortion, distortion + half, distortion - half)
        )
    except OutOfRange as problem:
        text = f"The truth does not reach there: {problem}."
        return [Finding("6", _point_claim(rate, distortion), "not decided", text)]
    is_on = distortion - half <= true.hi and true.lo <= distortion + half
    text = (
        f"At R = {evidence.number(rate)} {evidence.units} the curve has D = {_bracket(true)}; "
        f"at D = {distortion:g} it has R = {_bracket(at, evidence.scale)}. "
    )
    if is_on:
        text += (
            f"D = {distortion:g} can only be {_bracket(true)} rounded: anything from "
            f"{distortion - half:g} to {distortion + half:g}, whose rates run from "
            f"{_bracket(low, evidence.scale)} to {_bracket(high, evidence.scale)} {evidence.units}."
        )
    else:
        text += "No rounding of the printed digits brings the two together."
    return [
        Finding("6", _point_claim(rate, distortion), "agrees" if is_on else "does not agree", text)
    ]


def _point_claim(rate: float, distortion: float) -> str:
    return f"“R = {rate:g} and D = {distortion:g}”"


def _bracket(value: Bracket, scale: float = 1.0) -> str:
    lo, hi = (number(end, scale) for end in (value.lo, value.hi))
    return lo if lo == hi else f"[{lo}, {hi}]"


def _case_of(evidence: Evidence, *names: str) -> Case | None:
    """The first case of the first of these parts, from the suite."""
    parts = [part for name in names if (part := evidence.part(name))]
    if not parts:
        return None
    cases = cases_of(evidence.recipe.suite)
    return next((case for case in cases if case.name == parts[0].part.cases[0]), None)


def conditionals(evidence: Evidence) -> list[Finding]:
    """Figure 5: is p(y|x) the optimal one?"""
    claim = "“Successfully reconstructs the optimal conditional distribution”"
    out = []
    for label in (evidence.recipe.as_printed, evidence.recipe.method):
        for row in evidence.rows("5", label):
            verdict, text = reconstruction(row)
            verdict, note = of_the_model(verdict, row.points), mixture_note(row.points)
            out.append(Finding("5", claim, verdict, f"{text}.", label, note))
    return out


def printed_chains(evidence: Evidence) -> list[Finding]:
    """Algorithm 1: how far do its chains go with the K and the step that are printed?"""
    label, out = evidence.recipe.as_printed, []
    for printed in evidence.recipe.settings:
        rows = evidence.rows("2", label, [printed.case]) + evidence.rows(
            "2", evidence.recipe.method, [printed.case]
        )
        slopes = sorted({p.beta for row in rows for p in row.points})
        if not rows or not slopes:
            continue
        k, eps = printed.steps, printed.epsilon
        squared = any(r.distortion == "squared_error" for row in rows for r in row.records)
        text = f"{printed.case}: K = {k} steps of ε = {eps:g} from N(0, I) diffuse by "
        text += f"{number(k**0.5 * eps)} (standard deviation), and the distortion alone pulls y "
        ways = [_pull(beta, k, eps, squared) for beta in (slopes[0], slopes[-1])]
        if squared:
            text += f"{ways[0]:.2%} of the way to x at β = {number(slopes[0])}, "
            text += f"{ways[1]:.0%} at β = {number(slopes[-1])}."
        else:
            text += f"by at most {number(ways[0])} towards x at β = {number(slopes[0])}, "
            text += f"{number(ways[1])} at β = {number(slopes[-1])}."
        row = rows[0]
        verdict: Verdict = "not run"
        if row.records:
            verdict, said = reconstruction(row)
            verdict = of_the_model(verdict, row.points)
            text += f" Of its records, {said}."
        claim = f"Chains of K = {k} steps of ε = {eps:g}, the settings given, sample p(y|x)"
        note = mixture_note(row.points)
        out.append(Finding("Algorithm 1", claim, verdict, text, label, note))
    return out


def _pull(beta: float, steps: int, epsilon: float, squared: bool) -> float:
    """The part of the way to x under squared error, the distance under absolute error."""
    if squared:
        return 1.0 - float((1.0 - epsilon**2 * beta) ** steps)
    return 0.5 * steps * epsilon**2 * beta


def boltzmann(evidence: Evidence) -> list[Finding]:
    """The proof of Theorem 1: has the optimum a density exp(-E) / Z?"""
    part = evidence.part("2")
    if part is None:
        return []
    out = []
    for case in cases_of(evidence.recipe.suite):
        if case.name in part.part.cases and isinstance(case.reference, LaplacianAbsolute):
            scale = case.reference.source.scale
            points = [case.reference.point(case.reference.slope(r)) for r in case.rates]
            ends = [(point.distortion.mid / scale) ** 2 for point in (points[0], points[-1])]
            text = (
                f"{case.name}: q* is an atom of mass (D/b)² at the median and a Laplacian "
                f"({case.reference.citation}): mass {number(ends[0])} at "
                f"R = {evidence.number(case.rates[0])} {evidence.units}, {number(ends[1])} at "
                f"{evidence.number(case.rates[-1])}. An energy can only approach it."
            )
            claim = "“q*(y) … takes the form of the Boltzmann distribution” (proof of Theorem 1)"
            out.append(Finding("Theorem 1", claim, "does not agree", text))
    return out
