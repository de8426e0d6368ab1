"""A problem that an estimator does not declare is refused before its fit, in one wording."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Generator

from rdbench import registry
from rdbench.check.attempts import Options, attempt
from rdbench.check.invariance import BASE
from rdbench.distortions import AbsoluteError, Hamming, SquaredError
from rdbench.fitting import answers
from rdbench.fitting.support import described, meant
from rdbench.types import EstimatorInfo, Monitor, RdbenchError, Refusal, Unsupported, View
from tests.estimators.conftest import FakeMonitor, reasons_of, seeded, view_of

LETTERS = torch.zeros(2, 1, dtype=torch.float64)
NORMAL = view_of(lambda n: torch.randn(n, 1, generator=seeded(n), dtype=torch.float64))
INFOS = {name: registry.load_estimator(name).info for name in registry.names("estimator")}
SAMPLED = [name for name, info in INFOS.items() if info.distortions and not info.needs]


@dataclass(frozen=True)
class Declares:
    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="declares",
        citation="none",
        needs=frozenset({"support"}),
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        max_dim=2,
        slopes="positive",
        variants={
            "kind=wide": {"max_dim": None},
            "kind=narrow": {"distortions": ("squared_error",)},
        },
    )
    kind: str = "plain"

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[Any]:
        yield Refusal(betas[0], "not_converged", "reached")
        raise Unsupported("only its draws tell")


def reasons(view: View, betas: Sequence[float] = (1.0,), kind: str = "plain") -> list[str]:
    found = answers(Declares(kind), view, betas, seeded(), FakeMonitor())
    return [answer.reason for answer in found]


def wide(dim: int) -> View:
    return replace(NORMAL, dim=dim)


@pytest.mark.parametrize(
    ("view", "kind", "reason"),
    [
        (NORMAL, "plain", "reached"),
        (replace(NORMAL, distortion=AbsoluteError()), "plain", "reached"),
        (
            replace(NORMAL, distortion=Hamming()),
            "plain",
            "needs squared error or absolute error (not hamming)",
        ),
        (replace(NORMAL, distortion=AbsoluteError()), "narrow", "needs squared error (not abs"),
        (replace(NORMAL, alphabet=LETTERS), "plain", "needs R^d as reproduction space (not a "),
        (wide(3), "plain", "needs at most 2 dimensions (not 3)"),
        (wide(3), "wide", "reached"),
        (replace(wide(3), support=LETTERS, pmf=LETTERS[:, 0]), "plain", "reached"),
    ],
)
def test_limits_on_the_problem(view: View, kind: str, reason: str) -> None:
    assert reasons(view, kind=kind)[0].startswith(reason)


def test_slopes_are_refused_one_by_one() -> None:
    assert reasons(NORMAL, [0.0, 1.0, 2.0]) == ["needs beta > 0", "reached", "only its draws tell"]
    assert reasons(NORMAL, []) == []


def test_the_limits_are_told_in_a_line() -> None:
    told = "squared error or absolute error, R^d as reproduction space, at most 2 dimensions, "
    assert described(Declares.info) == told + "beta > 0"
    assert described(EstimatorInfo("", "")) == ""


@pytest.mark.parametrize(
    "rounded", [np.float32, torch.tensor, lambda b: np.array([b]), lambda b: b * (1.0 + 1e-9)]
)
def test_a_slope_answered_in_single_precision_is_not_refused_as_well(rounded: Any) -> None:
    class Rounds(Declares):
        def fit(self, view: View, betas: Any, generator: Any, monitor: Any) -> Iterator[Any]:
            own = Refusal(betas[0], "not_converged", "its own")
            object.__setattr__(own, "beta", rounded(betas[0]))  # nothing checks types in a run
            yield own
            raise Unsupported("only its draws tell")

    found = list(answers(Rounds(), NORMAL, [0.1, 1.0], seeded(), FakeMonitor()))
    assert [answer.reason for answer in found] == ["its own", "only its draws tell"]
    assert found[1].beta == 1.0
    tried = attempt(Rounds(), BASE, Options(), 1.0, 60.0)
    assert len(tried.refusals) == len(BASE.betas)


@pytest.mark.parametrize("odd", [None, "ten", [1.0], torch.ones(2), math.nan])
def test_what_is_no_slope_stands_for_none(odd: Any) -> None:
    assert meant(odd, [1.0]) is None


@pytest.mark.parametrize("rho", [SquaredError(), AbsoluteError()])
@pytest.mark.parametrize("name", SAMPLED)
def test_slopes_finer_than_double_precision_are_refused_in_words(name: str, rho: Any) -> None:
    view = replace(NORMAL, distortion=rho)
    for preset in ({}, INFOS[name].presets.get("paper", {})):
        estimator = registry.rebuild(name, dict(preset))
        for answer in answers(estimator, view, [1e200], seeded(), FakeMonitor(effort=1e-3)):
            assert isinstance(answer, Refusal)
            assert re.search("distortion|not finite|diverged|needs squared error", answer.reason)


@pytest.mark.parametrize("name", SAMPLED)
def test_estimators_that_see_draws_refuse_what_they_cannot_do(name: str) -> None:
    """Letters, an alphabet, beta = 0, a constant source and too few points, whatever the method."""
    estimator = registry.choose(name).estimator
    flat = view_of(lambda n: torch.full((n, 2), 3.0, dtype=torch.float64), SquaredError())
    assert "(not hamming)" in reasons_of(estimator, replace(NORMAL, distortion=Hamming()), [1])[0]
    assert "R^d" in reasons_of(estimator, replace(NORMAL, alphabet=LETTERS), [1.0])[0]
    assert reasons_of(estimator, flat, [0.0, 1.0]) == [
        "needs beta > 0",
        "all draws to fit to are equal",
    ]
    few = replace(NORMAL, training=torch.randn(4, 1, generator=seeded(), dtype=torch.float64))
    assert "at least 6 training points" in reasons_of(estimator, few, [1.0])[0]


def test_what_a_setting_changes_is_declared_too() -> None:
    absolute = replace(NORMAL, distortion=AbsoluteError())
    estimator = registry.choose("nerd[objective=importance]").estimator
    assert "not absolute error" in reasons_of(estimator, absolute, [1.0])[0]


@pytest.mark.parametrize("name", list(INFOS))
def test_no_estimator_takes_a_negative_size_or_rate(name: str) -> None:
    cls = registry.load_estimator(name)
    for field, wanted in registry.field_types(cls).items():
        if {int, float} & {wanted, *typing.get_args(wanted)}:
            with pytest.raises(RdbenchError, match=field):
                registry.rebuild(name, {field: -1})
