"""Planted faults: each is caught, and named by the check that is there for it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rdbench.check import NAMES, Finding

pytestmark = pytest.mark.trials

CAUGHT = [
    ("a finished list", "answers", "yield"),
    ("leaves a slope out", "answers", "no answer at beta"),
    ("answers twice", "answers", "2 answers"),
    ("float32", "shapes", "float32"),
    ("wrong shape", "shapes", "(n, k, d)"),
    ("weights for logs", "shapes", "sum to"),
    ("density not normalised", "density", "integrates to"),
    ("encoder not normalised", "density", "the encoder's density"),
    ("energy with another's draws", "density", "exp(-E)"),
    ("energy with the wrong sign", "density", "wrong sign"),
    ("draws globally", "deterministic", "global random state"),
    ("samplers draw globally", "deterministic", "draws of p(y|x)"),
    ("samplers share the fit's generator", "deterministic", "after it was yielded"),
    ("looks change the fit", "checkpoints", "build() draws from the fit's generator"),
    ("seeds torch", "global state", "torch's global random state"),
    ("seeds random", "global state", "Python's random"),
    ("default dtype", "global state", "default dtype"),
    ("grad mode", "global state", "grad mode"),
    ("numpy's errors", "global state", "numpy's handling"),
    ("signals", "global state", "handlers of signals"),
    ("anomalies", "global state", "anomaly detection"),
    ("recursion", "global state", "recursion limit"),
    ("denormals", "global state", "denormal"),
    ("bits", "units", "they are in bits"),
    ("mean distortion", "units", "summed over dimensions"),
    ("half the squared error", "units", "halved"),
    ("upper in bits", "units", "they are in bits"),
    ("upper mean distortion", "units", "summed over dimensions"),
    ("F for R", "units", "R + beta D"),
    ("F for R as a bound", "units", "R + beta D"),
    ("D in nats", "units", "beta times"),
    ("root of D", "units", "root mean square"),
    ("swapped", "units", "swapped"),
    ("a third of D", "units", "times what the audit finds at every point"),
    ("rate per coordinate", "units", "not per coordinate"),
    ("a fraction of D, F right", "below truth", "under R(D)"),
    ("more D, F right", "claims", "R + beta D is right"),
    ("below zero", "below truth", "neither can be negative"),
    ("a hundred nats more", "side", "it is loose"),
    ("a hundred nats less", "side", "it is loose"),
    ("replays the audit", "possible", "impossible: F(q) is below F*"),
    ("claims too little", "below truth", "least that is possible"),
    ("memorises", "claims", "that the marginal was fitted to"),
    ("side lie", "side", "side = 'upper'"),
    ("slopes mixed up", "monotone", "R must rise"),
    ("conditional too wide", "conditional", "E rho(x, y)"),
    ("conditional forgets x", "conditional", "E rho(x, y)"),
    ("conditional forgets x in the plane", "conditional", "in the plane"),
    ("encoder claims too little", "conditional", "which no encoder can"),
    ("looks for the source", "no peeking", "looks for the source inside view.sample"),
    ("starts at the origin", "shift", "mean of 100"),
    ("absolute floor", "scale", "divided by 100"),
    ("diagonal covariance", "rotation", "onto the axes"),
    ("ignores the budget", "budget", "it went on"),
    ("deaf", "budget", "does not hear"),
    ("never reports", "budget", "never called"),
    ("ignores effort", "effort", "monitor.effort"),
    ("upper on training draws", "few points", "side = 'upper'"),
    ("raises on a constant", "bad input", "a constant source: fit raised"),
]
ENDLESS: tuple[str, str, dict[str, Any]] = ("planted:never ends", "default", {"limit": 0.5})
HONEST: tuple[str, str, dict[str, Any]] = ("planted:honest", "default", {})
ENERGY: tuple[str, str, dict[str, Any]] = (
    "planted:honest energy",
    "default",
    {"only": ["density", "conditional"]},
)


# fault, preset, what info.not_invariant holds, the verdict on rotation and words of its message
DECLARED = [
    ("diagonal covariance", "default", "rotation", "pass", "and so it is"),
    ("honest", "default", "rotation:default", "pass", "is it needed?"),
    ("diagonal covariance", "default", "rotation:paper", "fail", "or declare 'rotation'"),
    ("diagonal covariance", "paper", "rotation:paper", "pass", "and so it is"),
]


@pytest.fixture(scope="module")
def findings(tried: Any) -> dict[str, dict[str, Finding]]:
    """The findings on every plant, by its fault."""
    requests: list[Any] = [HONEST, ENERGY, ENDLESS]
    requests += [(f"planted:{fault}", "default", {"only": [check]}) for fault, check, _ in CAUGHT]
    requests.append(("planted:a third of a nat more", "default", {"only": ["claims", "side"]}))
    for fault, preset, declared, _, _ in DECLARED:
        requests.append((f"planted:{fault}@{declared}", preset, {"only": ["rotation"]}))
    names = [_key(estimator, preset) for estimator, preset, _ in requests]
    return dict(zip(names, tried(requests), strict=True))


def _key(estimator: str, preset: str) -> str:
    name = estimator.removeprefix("planted:")
    return name if preset == "default" else f"{name}, {preset}"


@pytest.mark.parametrize(("fault", "check", "words"), CAUGHT)
def test_a_planted_fault_is_named(findings, fault, check, words):
    found = findings[fault]
    assert {name: one.verdict for name, one in found.items()} == {"protocol": "pass", check: "fail"}
    assert words in found[check].message


def test_an_honest_estimator_passes_every_check(findings):
    found = findings["honest"]
    assert list(found) == list(NAMES)
    assert [one for one in found.values() if one.verdict == "fail"] == []
    skipped = {name for name, one in found.items() if one.verdict == "skip"}
    assert skipped == {"side", "absolute error"}


def test_a_bound_that_is_not_tight_is_not_said_to_agree(findings):
    found = findings["a third of a nat more"]
    assert {one.verdict for one in found.values()} == {"pass"}  # a bound it is
    assert "0 of" in found["claims"].message
    away = re.search(r"bounds are up to (\S+) nats away", found["claims"].message)
    assert away is not None
    assert 0.1 < float(away[1]) < 0.3  # .3 less the audit's own interval and tolerance


def test_an_honest_energy_passes(findings):
    assert {one.verdict for one in findings["honest energy"].values()} == {"pass"}


def test_an_endless_fit_is_ended_and_the_rest_is_skipped(findings):
    found = dict(findings["never ends"])
    assert found.pop("protocol").verdict == "pass"
    answers = found.pop("answers")
    assert answers.verdict == "fail"
    assert "longer than 0.5 s" in answers.message
    assert {one.verdict for one in found.values()} == {"skip"}


@pytest.mark.parametrize(("fault", "preset", "declared", "verdict", "words"), DECLARED)
def test_what_is_declared_is_verified(findings, fault, preset, declared, verdict, words):
    found = findings[_key(f"{fault}@{declared}", preset)]["rotation"]
    assert found.verdict == verdict
    assert words in found.message
