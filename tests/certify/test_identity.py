"""Content keys: the same for the same problem, another for whatever changes the certificate."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rdbench.certify import identity
from rdbench.certify.identity import canonical, certificate_key, problem_digest
from rdbench.distortions import AbsoluteError, SquaredError, TableDistortion
from rdbench.sources.finite import bernoulli, random_table, uniform_letters
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import two_modes
from rdbench.sources.uniform import UniformSource
from rdbench.types import Problem

UNIFORM = Problem(UniformSource(-1.0, 1.0), SquaredError())


def test_the_digest_of_a_problem_never_changes() -> None:
    """Shipped tables are found by it: a change of this value orphans them all."""
    assert problem_digest(UNIFORM) == (
        "b6547c90e12a3627fd8a4d53ed6abddd0903b51a4c96a56578e2aff50bbc88b6"
    )


def test_equal_problems_have_equal_digests() -> None:
    letters = uniform_letters(5)
    for make in (
        lambda: Problem(two_modes(), SquaredError()),
        lambda: Problem(letters, TableDistortion(random_table(5, 5)), alphabet=letters.support),
        lambda: Problem(bernoulli(0.3), SquaredError()),
    ):
        assert problem_digest(make()) == problem_digest(make())


def test_whatever_changes_the_problem_changes_the_digest() -> None:
    letters = uniform_letters(5)
    problems = [
        UNIFORM,
        Problem(UniformSource(-1.0, 1.0 + 1e-6), SquaredError()),
        Problem(UniformSource(-1.0, 1.0), AbsoluteError()),
        Problem(LaplacianSource(-1.0, 1.0), SquaredError()),
        Problem(scalar_gaussian(), SquaredError()),
        Problem(scalar_gaussian(1e-7), SquaredError()),
        Problem(letters, TableDistortion(random_table(5, 5)), alphabet=letters.support),
        Problem(letters, TableDistortion(random_table(5, 5)), alphabet=letters.support[:4]),
        Problem(letters, TableDistortion(random_table(5, 5, seed=1)), alphabet=letters.support),
        Problem(bernoulli(0.3), SquaredError()),
        Problem(bernoulli(0.3 + 1e-7), SquaredError()),
    ]
    assert len({problem_digest(p) for p in problems}) == len(problems)


def test_the_last_digits_do_not_count() -> None:
    """Two linear algebra libraries agree to nine digits, not to sixteen."""
    source = two_modes()
    nudged = dataclasses.replace(source, means=source.means * (1.0 + 1e-14))
    assert not torch.equal(nudged.means, source.means)
    digests = {problem_digest(Problem(s, SquaredError())) for s in (source, nudged)}
    assert len(digests) == 1


def test_a_finite_source_is_its_points_and_probabilities() -> None:
    source = bernoulli(0.3)
    renamed = dataclasses.replace(source, name="coin")
    digests = {problem_digest(Problem(s, SquaredError())) for s in (source, renamed)}
    assert len(digests) == 1


def test_slope_tolerance_and_version_are_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    key = certificate_key("x", 1.0, 1e-7)
    assert certificate_key("x", 1, 1e-7) == key
    others = {
        certificate_key("y", 1.0, 1e-7),
        certificate_key("x", 1.0 + 1e-15, 1e-7),
        certificate_key("x", 1.0, 2e-7),
    }
    monkeypatch.setattr(identity, "CODE_VERSION", identity.CODE_VERSION + 1)
    others.add(certificate_key("x", 1.0, 1e-7))
    assert len(others | {key}) == 5


def test_values_without_a_text_are_refused() -> None:
    with pytest.raises(TypeError, match="function"):
        canonical(lambda x: x)
