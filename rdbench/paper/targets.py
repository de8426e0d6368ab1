"""Figure 4: our targets for estimates trained on fresh draws, and what a fixed set costs."""

from __future__ import annotations

from rdbench.paper.judgement import Evidence, Finding, Verdict, mixture_note, needs_of, of_the_model
from rdbench.paper.numbers import (
    Row,
    mean_text,
    number,
    point_text,
    rate_text,
    state,
    worst_point,
)
from rdbench.report.summary import SCORED, is_scored, mean_gap
from rdbench.run.records import PointRecord
from rdbench.suites._recipe import Target


def targets(evidence: Evidence) -> list[Finding]:
    """Whether each estimator meets the targets of the part that has some."""
    target = evidence.recipe.target
    part = evidence.part(target.part) if target is not None else None
    if target is None or part is None:
        return []
    claim = (
        f"Our target: gap ≤ {evidence.number(target.gap)} {evidence.units} from β = "
        f"{target.steep:g} up, ≤ {evidence.number(target.gap_below)} below, mode mass within "
        f"{target.mode_mass:g} at every β"
    )
    out = []
    for label in part.part.estimators:
        for row in evidence.rows(target.part, label):
            verdict, text = _met(row, target, evidence)
            verdict, note = of_the_model(verdict, row.points), mixture_note(row.points)
            out.append(Finding(target.part, claim, verdict, f"{text}.", label, note))
    return out


def _met(row: Row, target: Target, evidence: Evidence) -> tuple[Verdict, str]:
    """``met`` or ``missed`` by the whole interval; a failed fit misses."""
    if not row.records:
        return "not run", f"{row.case}: not run"
    steep = [p for p in row.points if p.beta >= target.steep * (1.0 - 1e-9)]
    flat = [p for p in row.points if p not in steep]
    pairs = [(steep, target.gap, "from"), (flat, target.gap_below, "below")]
    texts, states = [], []
    for points, limit, where in pairs:
        if not points:
            continue
        worst = worst_point(points)
        at = f"at R = {rate_text(worst, evidence.scale)} {evidence.units}"
        texts.append(
            f"worst gap {where} β = {target.steep:g}{' up' if where == 'from' else ''} "
            + (f"{point_text(worst, evidence.scale)} {at}" if worst else f"unknown ({state(row)})")
        )
        states.append(_within(points, limit))
    masses = [p.mode_mass_error for p in row.points if p.mode_mass_error is not None]
    if masses:
        texts.append(f"mode mass off by at most {number(max(masses))}")
        states.append("met" if max(masses) <= target.mode_mass else "missed")
    unknown = len(row.points) - len(masses)
    if unknown:
        texts.append(f"unknown at {unknown} slopes, where p*(y|x) cannot be drawn or p(y|x) failed")
    text = ", ".join(texts)
    failed = sum(p.status not in SCORED for p in row.points)
    if failed:
        text += f", {failed} of {len(row.points)} slopes without an answer"
    if "missed" in states:
        return "missed", text
    if "open" in states:
        silent = sum(p.gap is None or p.gap_hi is None for p in row.points)
        why = f"no gap at {silent} of {len(row.points)} slopes" if silent else (
            "the intervals reach beyond the target")  # fmt: skip
        return "not decided", f"{text}: {why}"
    return ("met where known" if unknown else "met"), text


def _within(points: list[PointRecord], limit: float) -> str:
    for point in points:
        above = point.side != "upper" and point.gap_lo is not None and point.gap_lo > limit
        if above or point.status not in SCORED:
            return "missed"
    below = (is_scored(p) and p.gap_hi is not None and p.gap_hi <= limit for p in points)
    return "met" if all(below) else "open"


def fixed_set(evidence: Evidence) -> list[Finding]:
    """Figure 4 (b) beside (a): what training on the paper's number of points does."""
    fixed, fresh = evidence.part("4b"), evidence.part("4a")
    if fixed is None:
        return []
    claim = f"“We sample {fixed.part.n_train:,} points”: the paper trains on a fixed set"
    out = []
    for label in fixed.part.estimators:
        rows = evidence.rows("4b", label)
        texts = [_means("fixed set", row, evidence) for row in rows]
        if fresh is not None:
            texts += [_means("fresh draws", row, evidence) for row in evidence.rows("4a", label)]
        if "density" in needs_of(label):
            texts.append(
                "it is given the density of the source, from which it solves: the training draws "
                "serve only to place its grid"
            )
        verdict: Verdict = "no claim" if any(row.records for row in rows) else "not run"
        text = f"Mean gap on the population in {evidence.units}: {'; '.join(texts)}."
        note = mixture_note(point for row in rows for point in row.points)
        out.append(Finding("4b", claim, verdict, text, label, note))
    return out


def _means(how: str, row: Row, evidence: Evidence) -> str:
    scored = [p for p in row.points if is_scored(p)]
    if not scored:
        return f"{how} {state(row)}"
    upper = any(p.side == "upper" for p in scored)
    worst = worst_point(row.points)
    text = f"{how} {mean_text(mean_gap(scored), upper, evidence.scale)}, worst "
    return f"{text}{point_text(worst, evidence.scale)} (R = {rate_text(worst, evidence.scale)})"
