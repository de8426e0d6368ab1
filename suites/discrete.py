"""Finite alphabets: a coin and a Zipf law under Hamming distortion, a random table."""

from __future__ import annotations

from rdbench.distortions import Hamming, TableDistortion
from rdbench.references.certified import Certified
from rdbench.references.hamming import FiniteHamming
from rdbench.sources.finite import FiniteSource, bernoulli, random_table, uniform_letters, zipf
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite

_LETTERS = 500


def _hamming(name: str, source: FiniteSource, rates: tuple[float, ...]) -> Case:
    problem = Problem(source, Hamming(), alphabet=source.support)
    return Case(name, problem, FiniteHamming(source), rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    letters = uniform_letters(_LETTERS)
    table = TableDistortion(random_table(_LETTERS, _LETTERS))
    random = Problem(letters, table, alphabet=letters.support)
    return (
        # The highest rates are near the entropies, .61 and 4.4 nats.
        _hamming("bernoulli", bernoulli(0.3), geometric(0.02, 0.55)),
        _hamming("zipf-200", zipf(200), geometric(0.1, 3.8)),
        Case(
            "random-500",
            random,
            Certified(random, 1e-9, "discrete-random-500"),
            geometric(0.1, 4.0),
        ),
    )


SUITE = Suite("discrete", 1, __doc__ or "", _build)
