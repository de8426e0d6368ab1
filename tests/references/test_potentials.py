"""f*(x) at x far out and at extreme slopes: finite and right, against mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch

from rdbench.certify.certificate import Certificate
from rdbench.distortions import SquaredError, TableDistortion
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.references.hamming import FiniteHamming
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.noisy_sphere import NoisySphere
from rdbench.references.product import ProductReference
from rdbench.references.shannon import TightShannonBound
from rdbench.references.sphere import SphereUniform
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import two_modes
from rdbench.sources.product import ProductSource
from rdbench.sources.sphere import NoisySphereSource, SphereSource
from rdbench.sources.student import StudentSource
from rdbench.types import HasPotential, OutOfRange, Problem, Source

mp = mpmath.mpf
Exact = Callable[[list[mpmath.mpf], float], mpmath.mpf]

SLOPES = (1e-9, 0.3, 5.16, 4e3, 1e6)


def _sphere_mean(dim: int, kappa: mpmath.mpf) -> mpmath.mpf:
    """log E exp(kappa (u_1 - 1)): the hypergeometric function, far out Hankel's expansion."""
    nu = mp(dim) / 2 - 1
    if kappa < 2000:
        return mpmath.log(mpmath.hyp0f1(nu + 1, kappa**2 / 4)) - kappa
    term = total = mp(1)
    for j in range(1, 40):
        term *= -(4 * nu**2 - (2 * j - 1) ** 2) / (8 * j * kappa)
        total += term
    power = mpmath.loggamma(nu + 1) - nu * mpmath.log(kappa / 2)
    return power + mpmath.log(total / mpmath.sqrt(2 * mpmath.pi * kappa))


def _log_sum(terms: list[mpmath.mpf]) -> mpmath.mpf:
    top = max(terms)
    return top + mpmath.log(sum(mpmath.exp(t - top) for t in terms))


def _solved(problem: Problem, points: np.ndarray, weights: np.ndarray) -> Certified:
    """A reference with the same q at every slope, so that nothing has to be solved."""
    reference = Certified(problem, 1e-5)
    for beta in SLOPES:
        reference._solved[beta] = Certificate(
            beta, 1.0, 1.0, points, weights, 0.1, "certified", 1e-5
        )
    return reference


_ATOMS = np.array([[-40.0], [-0.3], [2.0], [900.0]])
_RADII = np.array([[0.0], [0.7], [60.0], [3e4]])
_WEIGHTS = np.array([0.2, 0.7, 0.1 - 1e-30, 1e-30])
_LETTERS = FiniteSource("abc", torch.tensor([[0.0], [1.0], [2.0]]).double(),
                        torch.tensor([0.7, 0.3, 0.0]).double())  # fmt: skip
_TABLE = TableDistortion(torch.tensor([[0.0, 2.0], [3.0, 0.0], [1e6, 1e9]]).double())


def _on_line(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    rows = zip(_ATOMS[:, 0], _WEIGHTS, strict=True)
    return -_log_sum([mpmath.log(mp(w)) - mp(beta) * (x[0] - mp(y)) ** 2 for y, w in rows])


def _on_shells(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    s = mpmath.sqrt(sum(v * v for v in x))
    terms = []
    for r, w in zip(_RADII[:, 0], _WEIGHTS, strict=True):
        kappa = 2 * mp(beta) * s * mp(r)
        terms.append(mpmath.log(mp(w)) - mp(beta) * (s - mp(r)) ** 2 + _sphere_mean(len(x), kappa))
    return -_log_sum(terms)


def _in_table(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    row = _TABLE.table[int(x[0])]
    return -_log_sum([mpmath.log(mp("0.5")) - mp(beta) * mp(float(v)) for v in row])


def _gaussian(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    b, v = mp(beta), max(mp(0), mp(4) - 1 / (2 * mp(beta)))
    return mpmath.log(1 + 2 * b * v) / 2 + b * (x[0] - 1) ** 2 / (1 + 2 * b * v)


def _shannon(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    terms = [mpmath.log(mp("0.5")) - (x[0] - m) ** 2 / 2 for m in (-3, 3)]
    log_p = _log_sum(terms) - mpmath.log(2 * mpmath.pi) / 2
    return -log_p - mpmath.log(mpmath.pi / mp(beta)) / 2


def _laplacian(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    if beta <= 1.0:
        return mp(beta) * abs(x[0])
    return abs(x[0]) + mpmath.log(2) - mpmath.log(2 / mp(beta))


def _gaussian_absolute(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    b, u = mp(beta), abs(x[0])
    if b < mpmath.sqrt(2 / mpmath.pi):
        return b * u
    edge = b - 1 / b + 2 / b**3  # beta S(T) = p(T) by the expansion of Mills's ratio
    if beta < 50.0:
        edge = mpmath.findroot(
            lambda t: mpmath.log(b * mpmath.erfc(t / mpmath.sqrt(2)) / 2 / mpmath.npdf(t)),
            (mp("0.1"), b), solver="anderson",
        )  # fmt: skip
    inside = min(u, edge)
    return inside**2 / 2 + mpmath.log(2 * mpmath.pi) / 2 + mpmath.log(b / 2) + b * (u - inside)


def _sphere(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    """The potential of the optimal radius, which solves r = A(2 beta r)."""
    dim, b = len(x), mp(beta)
    s, r = mpmath.sqrt(sum(v * v for v in x)), mp(0)
    if 2 * b > dim:

        def excess(r: mpmath.mpf) -> mpmath.mpf:
            kappa = 2 * b * r
            ratio = mpmath.exp(_sphere_mean(dim + 2, kappa) - _sphere_mean(dim, kappa))
            return r - kappa / dim * ratio

        r = mpmath.findroot(excess, (mp("0.01"), mp(1)), solver="anderson", tol=1e-40)
    return b * (s - r) ** 2 - _sphere_mean(dim, 2 * b * r * s)


def _noisy_sphere(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    dim, variance = len(x), mp("0.25")
    s = mpmath.sqrt(sum(v * v for v in x))
    log_p = -mp(dim) / 2 * mpmath.log(2 * mpmath.pi * variance) - (s - 1) ** 2 / (2 * variance)
    log_p += _sphere_mean(dim, s / variance)
    return -log_p - mp(dim) / 2 * mpmath.log(mpmath.pi / mp(beta))


def _hamming(x: list[mpmath.mpf], beta: float) -> mpmath.mpf:
    """Two letters with p = .7, .3: q solves the reverse channel; the third has p = 0."""
    a, p = mpmath.exp(-mp(beta)), [mp(float(v)) for v in _LETTERS.pmf[:2]]
    if p[1] * (1 + a) <= a:  # all of q on the first letter
        return mp(beta) * (x[0] != 0)
    q = [(v * (1 + a) - a) / (1 - a) for v in p]
    terms = [mpmath.log(w) - mp(beta) * (x[0] != y) for y, w in enumerate(q)]
    return -_log_sum(terms)


def _student(dim: int) -> Certified:
    return _solved(Problem(StudentSource(3.0, dim), SquaredError()), _RADII, _WEIGHTS)


_LINE = _solved(Problem(LaplacianSource(), SquaredError()), _ATOMS, _WEIGHTS)
_PRODUCT = ProductSource("three", (LaplacianSource(),) * 3, torch.eye(3).double())
_LETTERED = _solved(
    Problem(_LETTERS, _TABLE, alphabet=torch.tensor([[0.0], [1.0]]).double()),
    np.array([[0.0], [1.0]]), np.full(2, 0.5),
)  # fmt: skip

CASES: dict[str, tuple[HasPotential, int, Exact]] = {
    "certified-line": (_LINE, 1, _on_line),
    "certified-t3-d2": (_student(2), 2, _on_shells),
    "certified-t3-d30": (_student(30), 30, _on_shells),
    "certified-letters": (_LETTERED, 0, _in_table),
    "gaussian": (WaterFilling(scalar_gaussian(1.0, 2.0)), 1, _gaussian),
    "shannon": (TightShannonBound(two_modes()), 1, _shannon),
    "composite": (Composite(TightShannonBound(two_modes()), _LINE), 1,
                  lambda x, b: _shannon(x, b) if b >= 0.5 else _on_line(x, b)),
    "product": (ProductReference(_PRODUCT, (_LINE,)), 3,
                lambda x, b: mpmath.fsum(_on_line([v], b) for v in x)),
    "laplacian": (LaplacianAbsolute(LaplacianSource()), 1, _laplacian),
    "gaussian-absolute": (GaussianAbsolute(scalar_gaussian()), 1, _gaussian_absolute),
    "sphere": (SphereUniform(SphereSource(6)), 6, _sphere),
    "noisy-sphere": (NoisySphere(NoisySphereSource(6, 1.0, 0.5)), 6, _noisy_sphere),
    "hamming": (FiniteHamming(_LETTERS), 0, _hamming),
}  # fmt: skip


def _points(dim: int) -> torch.Tensor:
    """Letters, or the centre, a typical point, and points far out along two directions."""
    if dim == 0:
        return _LETTERS.support
    along = torch.cos(torch.arange(dim).double() + 0.4)
    along = along / along.norm()
    sizes = torch.tensor([0.0, 0.8, -30.0, 3e3, 1e6, -1e6]).double()
    return torch.cat([sizes[:, None] * along, torch.eye(1, dim).double() * 1e6])


@pytest.mark.parametrize("beta", SLOPES)
@pytest.mark.parametrize("name", list(CASES))
def test_potentials_far_out_and_at_extreme_slopes(name: str, beta: float) -> None:
    reference, dim, exact = CASES[name]
    x = _points(dim)
    try:
        got = reference.potential(x, beta)
    except OutOfRange:
        assert name in ("shannon", "noisy-sphere")  # the others cover every slope
        assert beta < 2.0
        return
    with mpmath.workdps(50):
        for row, value in zip(x.tolist(), got.tolist(), strict=True):
            truth = exact([mp(v) for v in row], beta)
            assert math.isfinite(value)
            assert value == pytest.approx(float(truth), rel=2e-12, abs=1e-14), row


def test_vector_gaussian_far_out() -> None:
    source: Source = vector_gaussian(5)
    x = 1e6 * torch.ones(1, 5).double()
    for beta in SLOPES:
        assert torch.isfinite(WaterFilling(source).potential(x, beta)).all()  # type: ignore[arg-type]
