"""The ladder of a case: from rates, distortions or slopes to the slopes that estimators get."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rdbench.data.case import DataCase
from rdbench.fitting.support import SAME_SLOPE
from rdbench.run.slopes import Scale, default_rates, find_scale, slopes_at
from rdbench.run.waiting import waiting
from rdbench.types import Case, OutOfRange, RdbenchError


@dataclass(frozen=True)
class Asked:
    """What a ladder is to be made of; at most one of these is given."""

    rates: Sequence[float] | None = None
    """Target rates in nats."""
    distortions: Sequence[float] | None = None
    """Target distortions, in the source's units."""
    betas: Sequence[float] | None = None
    """Slopes."""

    def __post_init__(self) -> None:
        given = (self.rates, self.distortions, self.betas)
        if sum(one is not None for one in given) > 1:
            raise RdbenchError("give --rates, --distortions or --betas, not both")


@dataclass(frozen=True)
class Step:
    """A row of a ladder: the slope, the rate it aims at where one is known, and a remark."""

    beta: float
    target_rate: float | None
    note: str = ""
    target_distortion: float | None = None


@dataclass(frozen=True)
class Ladder:
    """The slopes of one case, ascending, with the rates they aim at; a slope may come again."""

    betas: tuple[float, ...]
    target_rates: tuple[float | None, ...]
    row_notes: tuple[str, ...] = ()
    """A remark for every row; none where no row has one."""
    target_distortions: tuple[float | None, ...] = ()
    """The distortion that every row aims at; none where no row has one."""


def ladder_of(title: str, case: Case, asked: Asked, notes: list[str]) -> Ladder:
    """The ladder of a case whose truth is known, at least in part.

    Args:
        title: how messages call the case.
        case: its reference turns rates and distortions into slopes.
        asked: what for; the case's own rates where nothing is.
        notes: what the reader should know is added.

    Raises:
        RdbenchError: no slope is left.
    """
    steps: list[Step] = []
    refused = ""
    if asked.betas is not None:
        for beta in _apart(title, asked.betas, notes):
            try:
                with waiting(f"{title}: the truth at beta {beta:g}"):
                    truth = case.reference.point(beta)
                steps.append(Step(beta, truth.rate.mid))
            except OutOfRange as reason:
                notes.append(f"{title}: no truth at beta {beta:g} ({reason}); it is run without")
                steps.append(Step(beta, None))
    elif asked.distortions is not None:
        for distortion in sorted(set(asked.distortions), reverse=True):
            try:
                with waiting(f"{title}: the slope of D = {distortion:g}"):
                    steps += _for_distortion(case, distortion)
            except OutOfRange as reason:
                refused = f"D = {distortion:g}: {reason}"
                notes.append(f"{title}: no slope known at D = {distortion:g} ({reason}); left out")
    else:
        for rate in sorted(set(case.rates if asked.rates is None else asked.rates)):
            try:
                with waiting(f"{title}: the slope of R = {rate:g} nats"):
                    steps.append(Step(float(case.reference.slope(rate)), rate))
            except OutOfRange as reason:
                refused = f"R = {rate:g}: {reason}"
                notes.append(f"{title}: no slope known at {rate:g} nats ({reason}); left out")
    if not steps:
        what = "any distortion" if asked.distortions is not None else "any rate"
        why = f": {refused}" if refused else ""
        raise RdbenchError(
            f"{title}: its reference knows no slope at {what} asked for{why}; it holds for "
            f"{case.reference.validity} (give --betas to run without a truth)"
        )
    return _ladder(steps)


def data_ladder(data: DataCase, asked: Asked, notes: list[str]) -> Ladder:
    """The ladder of data: slopes at which a cheap fit finds about what was asked for.

    Args:
        data: the case, of which no truth is known.
        asked: what for; about six rates up to what the rows can tell where nothing is.
        notes: what the reader should know is added.

    Raises:
        RdbenchError: no slope is left.
    """
    title = data.spec.title
    if asked.betas is not None:
        return _ladder([Step(beta, None) for beta in _apart(title, asked.betas, notes)])
    problem = data.case.problem
    with waiting(f"{title}: slopes by short fits"):
        if asked.distortions is not None:
            steps, scale = _at_distortions(data, asked.distortions, notes)
        else:
            rates = sorted(set(asked.rates or _usual_rates(data)))
            steps, scale = [], find_scale(problem, max(rates), rates)
    if asked.distortions is None:
        for rate in rates:
            beta = scale.at_rate(rate)
            if beta is None:
                notes.append(
                    f"{title}: no slope was found at {rate:g} nats (R goes up to "
                    f"{scale.rates[-1]:.3g} there); left out"
                )
            else:
                steps.append(Step(beta, rate))
            if rate > data.most_rate:
                notes.append(
                    f"{title}: {rate:g} nats are above the {data.most_rate:.3g} of the rows"
                )
    if not steps:
        raise RdbenchError(
            f"{title}: no slope was found for what was asked: R goes from {scale.rates[0]:.3g} to "
            f"{scale.rates[-1]:.3g} nats and D from {scale.distortions[-1]:.3g} to "
            f"{scale.distortions[0]:.3g}"
        )
    notes.append(f"{title}: slopes by short fits of {scale.estimator}, rates are near those asked")
    return _ladder(steps)


def _usual_rates(data: DataCase) -> list[float]:
    """About six rates up to what the rows can tell, or the letters have."""
    most = min(data.most_rate, math.log(data.facts.rows - data.facts.duplicates))
    if data.case.problem.alphabet is not None:
        most = min(most, float(find_scale(data.case.problem, most).rates[-1]))
    return default_rates(most)


def _at_distortions(
    data: DataCase, wanted: Sequence[float], notes: list[str]
) -> tuple[list[Step], Scale]:
    problem, least = data.case.problem, min(wanted)
    scale = find_scale(problem, min(1.0, data.most_rate))
    top = float(scale.rates[-1])
    # D falls with R: the scale goes on until it holds the least D, or the rows' own rate
    while scale.distortions[-1] > least and top < 2.0 * data.most_rate + 4.0:
        top += max(1.0, 0.5 * problem.source.dim)
        scale = find_scale(problem, top)
        if scale.rates[-1] < top:
            break
    near = [r for d in wanted if (b := scale.at_distortion(d)) is not None
            for r in [scale.rung(b).rate]]  # fmt: skip
    scale = find_scale(problem, float(scale.rates[-1]), near) if near else scale
    steps = []
    for distortion in sorted(set(wanted), reverse=True):
        beta = scale.at_distortion(distortion)
        if beta is None:
            notes.append(f"{data.spec.title}: no slope was found at D = {distortion:g}; left out")
            continue
        rate = float(f"{scale.rung(beta).rate:.3g}")
        steps.append(Step(beta, rate, f"for D = {distortion:g}", distortion))
    return steps, scale


def _for_distortion(case: Case, distortion: float) -> list[Step]:
    """One row, or the two whose time-sharing has this distortion."""
    found = slopes_at(case.reference, distortion, case.problem.source.dim)
    steps = []
    for beta, weight in found:
        note = f"for D = {distortion:g}"
        if len(found) > 1:
            note += f", with weight {weight:.6g} in the time-sharing of two rows: R(D) is straight"
        steps.append(Step(beta, case.reference.point(beta).rate.mid, note, distortion))
    return steps


def _ladder(steps: Sequence[Step]) -> Ladder:
    slopes = merged([step.beta for step in steps])
    rows = sorted(zip(slopes, steps, strict=True), key=lambda pair: pair[0])
    remarks = tuple(step.note for _, step in rows)
    distortions = tuple(step.target_distortion for _, step in rows)
    return Ladder(
        tuple(beta for beta, _ in rows),
        tuple(step.target_rate for _, step in rows),
        remarks if any(remarks) else (),
        () if set(distortions) == {None} else distortions,
    )


def merged(betas: Sequence[float]) -> list[float]:
    """The slopes, those too close to be told apart replaced by the least of them."""
    first: dict[float, float] = {}
    least = -math.inf
    for beta in sorted(set(betas)):
        if not math.isclose(beta, least, rel_tol=SAME_SLOPE):
            least = beta
        first[beta] = least
    return [first[beta] for beta in betas]


def _apart(title: str, betas: Sequence[float], notes: list[str]) -> list[float]:
    """The slopes asked for, each once."""
    given = sorted(set(betas))
    kept = sorted(set(merged(given)))
    if len(kept) < len(given):
        gone = ", ".join(f"{b!r}" for b in given if b not in kept)
        notes.append(f"{title}: beta {gone} is one slope with its neighbour; it is run once")
    return kept
