"""Densities on the line: against the sources' own densities, scipy and the complex plane."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from rdbench.certify.line import densities as d
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.sources.student import StudentSource
from rdbench.sources.uniform import UniformSource


def two_modes():
    return GaussianMixture(
        torch.tensor([0.3, 0.7], dtype=torch.float64),
        torch.tensor([[98.0], [103.0]], dtype=torch.float64),
        torch.tensor([[[1.0]], [[0.25]]], dtype=torch.float64),
    )


SOURCES = [
    scalar_gaussian(100.0, 2.0),
    LaplacianSource(-3.0, 0.5),
    UniformSource(4.0, 7.0),
    StudentSource(5.0, 1, 2.0, -1.0),
    two_modes(),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: type(s).__name__)
def test_log_prob_is_that_of_the_source(source):
    density = d.line_density(source)
    assert density is not None
    u = np.linspace(-1.4, 1.4, 21)
    ours = density.log_prob(u)
    theirs = source.log_prob(torch.from_numpy(density.centre + u)[:, None]).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# p of complex argument, written down once more and without any bound in it.
def normal(z, mean, std):
    return np.exp(-0.5 * ((z - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def student3(z):
    return (1 + (z / 2) ** 2 / 3) ** -2.0 / (math.pi * math.sqrt(3.0))


COMPLEX = {
    "gaussian": (d.gaussian(0.0, 0.7), lambda z: normal(z, 0.0, 0.7)),
    "student": (d.student(3.0, 0.0, 2.0), student3),
    "mixture": (
        d.mixture(np.array([0.4, 0.6]), np.array([-3.0, 2.0]), np.array([1.0, 0.5])),
        lambda z: 0.4 * normal(z, -3.0, 1.0) + 0.6 * normal(z, 2.0, 0.5),
    ),
}


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize(("reach", "height"), [(0.3, 0.2), (1.5, 0.4), (0.5, 1.3)])
def test_modulus_bounds_the_continuation(name, reach, height):
    density, p = COMPLEX[name]
    assert density.modulus is not None
    u = np.linspace(-6.0, 6.0, 41)
    bound = density.modulus(u, np.full(41, reach), np.full(41, height))
    x = density.centre + u[:, None, None] + np.linspace(-reach, reach, 41)[:, None]
    value = p(x + 1j * np.linspace(-height, height, 41))
    assert (np.abs(value).max((1, 2)) <= np.exp(bound.log_p) * (1 + 1e-9)).all()
    assert (np.abs(np.log(np.abs(value))).max((1, 2)) <= bound.of_log + 1e-9).all()
    # The bound is of use: not more than a small factor above, where the density is analytic.
    tight = density.modulus(u, np.full(41, 1e-3), np.full(41, 1e-3))
    np.testing.assert_allclose(np.exp(tight.log_p), p(density.centre + u), rtol=0.1)


def test_no_modulus_beyond_a_pole():
    one, modulus = np.zeros(1), d.student(5.0).modulus
    assert modulus is not None
    assert modulus(one, one + 0.1, one + 2.3).log_p[0] == math.inf
    assert modulus(one, one + 0.1, one + 2.2).log_p[0] < math.inf


@pytest.mark.parametrize("name", [*COMPLEX, "laplacian"])
@pytest.mark.parametrize("side", [-1, 1])
def test_tails_are_bounded_from_above(name, side):
    density = d.laplacian(0.0, 0.8) if name == "laplacian" else COMPLEX[name][0]

    def p(u):
        return math.exp(density.log_prob(np.array([side * u]))[0])

    for t in (6.0, 8.0):
        for power, bound in enumerate(density.tail(t, side)):
            # In units of t, so that a Student's power law is integrable for quad as well.
            exact = t ** (power + 1) * quad(
                lambda s, k=power, t=t: ((1 / s - 1) ** k) * p(t / s) / s**2, 0.0, 1.0,
                epsabs=0.0, limit=200,
            )[0]  # fmt: skip
            assert exact * (1 - 1e-7) <= bound <= 4.0 * exact


def test_sources_without_a_density_on_the_line():
    assert d.line_density(StudentSource(5.0, 2)) is None
    with pytest.raises(ValueError, match="must be positive"):
        d.gaussian(0.0, 0.0)
