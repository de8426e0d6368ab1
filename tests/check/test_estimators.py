"""`rdbench check` on every registered estimator, and its cheap part on every preset."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from rdbench import registry
from rdbench.check import NAMES, Finding

pytestmark = pytest.mark.trials

OPTIONS = {"seed": 20, "effort": 0.05, "limit": 300.0}
OF_PRESETS = ("answers", "shapes")
PRESET_OPTIONS = {"seed": 20, "effort": 0.0005, "limit": 300.0}
MOVES = ("shift", "scale", "rotation")
# Skipped: even at this effort these take 24 to 36 CPU-s, and ebrd was not done after a minute;
# `rdbench check NAME:PRESET --only shift,scale,rotation` tries them.
TOO_SLOW = frozenset(
    {
        "nerd:paper", "ebrd:paper", "ebrd:paper_timestep", "beta_vae:paper_maf", "wgd:paper_hybrid"
    }
)  # fmt: skip
ESTIMATORS = registry.names("estimator")


def presets(name: str) -> list[str]:
    return list(registry.load_estimator(name).info.presets)


def moved(name: str, preset: str) -> bool:
    """Whether info.not_invariant says something of this preset, and it can be tried here."""
    declared = registry.load_estimator(name).info.not_invariant
    named = any(one.partition(":")[2] in ("", preset) for one in declared)
    return named and f"{name}:{preset}" not in TOO_SLOW


def options(name: str, preset: str) -> dict[str, Any]:
    moves = MOVES if moved(name, preset) else ()
    return {**PRESET_OPTIONS, "only": [*OF_PRESETS, *moves]}


@pytest.fixture(scope="module")
def found(tried: Any) -> Any:
    """``found(name)[preset][check]``; one process for an estimator with its presets."""

    @functools.cache
    def of(name: str) -> dict[str, dict[str, Finding]]:
        requests: list[Any] = [(name, "default", OPTIONS)]
        requests += [(name, preset, options(name, preset)) for preset in presets(name)]
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


@pytest.mark.parametrize("check", MOVES)
@pytest.mark.parametrize(
    ("name", "preset"), [(n, p) for n in ESTIMATORS for p in presets(n) if moved(n, p)]
)
def test_a_preset_declares_how_it_depends_on_coordinates(found, name, preset, check):
    finding = found(name)[preset][check]
    assert finding.verdict == "pass", f"{check}: {finding.message}"
