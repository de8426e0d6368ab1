"""What `rdbench check` asks, of every registered estimator, and the cheap part of every preset."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from rdbench import registry
from rdbench.check import NAMES, Finding

OPTIONS = {"seed": 20, "effort": 0.05, "limit": 300.0}
OF_PRESETS = ("answers", "shapes")
PRESET_OPTIONS = {"seed": 20, "effort": 0.002, "limit": 300.0, "only": OF_PRESETS}
ESTIMATORS = registry.names("estimator")


def presets(name: str) -> list[str]:
    return list(registry.load_estimator(name).info.presets)


@pytest.fixture(scope="module")
def found(tried: Any) -> Any:
    """``found(name)[preset][check]``; one process for an estimator with its presets."""

    @functools.cache
    def of(name: str) -> dict[str, dict[str, Finding]]:
        requests: list[Any] = [(name, "default", OPTIONS)]
        requests += [(name, preset, PRESET_OPTIONS) for preset in presets(name)]
        return dict(zip(["default", *presets(name)], tried(requests), strict=True))

    return of


@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_conforms(found, name, check):
    finding = found(name)["default"][check]
    if finding.verdict == "skip":
        pytest.skip(finding.message)
    assert finding.verdict == "pass", f"{check}: {finding.message}"


@pytest.mark.parametrize("check", OF_PRESETS)
@pytest.mark.parametrize(("name", "preset"), [(n, p) for n in ESTIMATORS for p in presets(n)])
def test_a_preset_answers_in_form(found, name, preset, check):
    finding = found(name)[preset][check]
    assert finding.verdict == "pass", f"{check}: {finding.message}"
