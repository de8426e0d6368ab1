"""Refuses what an estimator does not support, in one wording, before its fit is called."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Generator

from rdbench.types import (
    DualBound,
    Estimator,
    EstimatorInfo,
    Monitor,
    Refusal,
    TestChannel,
    Unsupported,
    View,
)

SAME_SLOPE = 1e-6
"""Slopes within this relative distance are one: float32 on the way would confuse them."""


def limits(estimator: Estimator) -> EstimatorInfo:
    """The declared limits, with those that the settings of this estimator change."""
    info = estimator.info
    for setting, changed in info.variants.items():
        name, _, value = setting.partition("=")
        if str(getattr(estimator, name)) == value:
            info = replace(info, **changed)
    return info


def uncovered(estimator: Estimator, view: View, betas: Sequence[float]) -> list[Refusal]:
    """A refusal for every slope at which the estimator does not support this problem.

    A finite source whose support is shown makes the problem finite: then the limits on distortion,
    alphabet and dimension do not apply (see `EstimatorInfo`).

    Args:
        estimator: its ``info`` and its settings say what it supports.
        view: the problem as the estimator sees it.
        betas: slopes in nats per unit of distortion.
    """
    info = limits(estimator)
    lacking = [] if view.support is not None else _lacking(info, view)
    refused = []
    for beta in betas:
        here = [*lacking, "beta > 0"] if info.slopes == "positive" and beta <= 0.0 else lacking
        if here:
            refused.append(Refusal(beta, "unsupported", f"needs {', '.join(here)}"))
    return refused


def _lacking(info: EstimatorInfo, view: View) -> list[str]:
    name, needs = view.distortion.name, []
    if info.distortions is not None and name not in info.distortions:
        needs.append(f"{_listed(info.distortions)} (not {_plain(name)})")
    if view.alphabet is not None and not info.alphabet:
        needs.append("R^d as reproduction space (not a given alphabet)")
    if info.max_dim is not None and view.dim > info.max_dim:
        needs.append(f"at most {info.max_dim} dimensions (not {view.dim})")
    return needs


def described(info: EstimatorInfo) -> str:
    """The declared limits in one line, for `rdbench info`; empty where there are none."""
    parts = []
    if info.distortions is not None:
        parts.append(_listed(info.distortions))
    if not info.alphabet:
        parts.append("R^d as reproduction space")
    if info.max_dim is not None:
        parts.append(f"at most {info.max_dim} dimensions")
    if info.slopes == "positive":
        parts.append("beta > 0")
    return ", ".join(parts)


def _listed(distortions: Sequence[str]) -> str:
    return " or ".join(_plain(name) for name in distortions)


def _plain(distortion: str) -> str:
    return distortion.replace("_", " ")


def meant(beta: Any, betas: Sequence[float]) -> float | None:
    """The slope of ``betas`` that an answer's ``beta`` stands for; None where it is none of them.

    float32 arithmetic on the way is forgiven, and an array of one number is that number.
    """
    try:
        value = float(beta.item() if hasattr(beta, "item") else beta)
    except (TypeError, ValueError, RuntimeError):
        return None
    near = min(betas, key=lambda b: abs(b - value))
    return near if math.isclose(near, value, rel_tol=SAME_SLOPE) else None


def refused_rest(
    betas: Sequence[float], answered: Iterable[Any], reason: Unsupported
) -> list[Refusal]:
    """Refusals of the slopes among ``betas`` for which none of the ``answered`` ones stands."""
    done = {meant(beta, betas) for beta in answered}
    return [Refusal(beta, "unsupported", str(reason)) for beta in betas if beta not in done]


def answers(
    estimator: Estimator,
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> Iterator[TestChannel | DualBound | Refusal]:
    """The answers of a fit, after refusals of what the estimator does not support.

    Where the fit raises `Unsupported`, the slopes that it has not answered are refused for that
    reason.

    Args:
        estimator: the estimator.
        view: the problem as it is shown to it.
        betas: slopes in nats per unit of distortion.
        generator: the randomness of the fit.
        monitor: progress, checkpoints and the budget.
    """
    refused = uncovered(estimator, view, betas)
    yield from refused
    skipped = {refusal.beta for refusal in refused}
    left = [beta for beta in betas if beta not in skipped]
    if not left:
        return
    answered = []
    try:
        for answer in estimator.fit(view, left, generator, monitor):
            answered.append(getattr(answer, "beta", None))
            yield answer
    except Unsupported as reason:
        yield from refused_rest(left, answered, reason)
