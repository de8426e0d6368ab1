"""The sources of the EBRD paper (Wu et al.), at the rates of its Figures 2 to 6 and beyond."""

from __future__ import annotations

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import paper_mixture
from rdbench.suites._gaussians import gaussian_case
from rdbench.suites._ladders import geometric
from rdbench.suites._recipe import Part, Printed, Recipe, Target
from rdbench.types import Case, Problem, Suite

_SCALAR_RATES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
_SCALARS = ("gaussian", "laplacian-absolute")
_VECTORS = ("ramp-d2", "ramp-d5", "ramp-d10")
_MIXTURE = ("mixture-d2",)
_FIGURE_6_RATE = 5.96


def _mixture() -> Case:
    """Three components of unit variance at radius 6: tight from R = 1.1 nats (beta = 1/2) up."""
    source = paper_mixture()
    problem = Problem(source, SquaredError())
    below = Certified(problem, 1e-5, "planar-paper-d2")
    rates = (*geometric(0.1, 1.05, 5), 1.3, 2.0, 3.4, 4.7, _FIGURE_6_RATE, 8.0)
    return Case(_MIXTURE[0], problem, Composite(TightShannonBound(source), below), rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    gaussian, laplacian = scalar_gaussian(), LaplacianSource(0.0, 1.0)
    return (
        Case(_SCALARS[0], Problem(gaussian, SquaredError()), WaterFilling(gaussian), _SCALAR_RATES),
        Case(
            _SCALARS[1],
            Problem(laplacian, AbsoluteError()),
            LaplacianAbsolute(laplacian),
            _SCALAR_RATES,
        ),
        *(gaussian_case("ramp", dim) for dim in (2, 5, 10)),
        _mixture(),
    )


SUITE = Suite("paper", 1, __doc__ or "", _build)

_OURS = ("ebrd", "blahut_arimoto", "nerd", "beta_vae", "wgd")
_METHOD, _PRINTED = "ebrd", "ebrd:paper"
_ALL = (*_SCALARS, *_VECTORS, *_MIXTURE)
_FIXED_SET = 5000
_FIGURE_5_RATES = (0.5833, 1.3, 3.4, _FIGURE_6_RATE)
_DEAR = ("beta_vae:paper", "nerd:paper", "wgd:paper")
"""Many CPU minutes per slope: at two slopes of each ladder. In order of cost."""


def _published() -> tuple[Part, ...]:
    """The published settings, which take hours, and where the printed algorithm belongs as well."""
    name, title = "side-by-side", "Published settings and ours"
    # Rates of the ladders, so that the defaults were run there, too; the nearest by ratio.
    rates = {
        case.name: tuple(min(case.rates, key=lambda r: max(r / w, w / r)) for w in (1.0, 5.0))
        for case in _build(None)
    }
    dear = [
        Part(name, title, (case,), (spec,), rates=two)
        for spec in _DEAR
        for case, two in rates.items()
    ]
    return (
        Part(name, title, _ALL, (_PRINTED,), seeds=(0, 1, 2)),
        Part(name, title, _ALL, ("ebrd:plain", "blahut_arimoto:paper")),
        Part("4b", "Mixture, as printed", _MIXTURE, (_PRINTED,), n_train=_FIXED_SET),
        Part("5", "Mixture, as printed", _MIXTURE, (_PRINTED,), rates=_FIGURE_5_RATES, draws=400),
        *dear,
    )


RECIPE = Recipe(
    title="Estimating Rate-Distortion Functions Using the Energy-Based Model (Wu et al.)",
    suite="paper",
    parts=(
        Part("2", "Scalar sources", _SCALARS, _OURS),
        Part("3", "Vector Gaussian sources", _VECTORS, _OURS),
        Part("4a", "Mixture, trained on fresh samples", _MIXTURE, _OURS),
        Part("4b", "Mixture, trained on 5,000 points", _MIXTURE, _OURS, n_train=_FIXED_SET),
        Part("5", "Conditional samples", _MIXTURE, _OURS, rates=_FIGURE_5_RATES, draws=400),
    ),
    full=_published(),
    full_command="python benchmarks/studies/paper_full.py",
    method=_METHOD,
    as_printed=_PRINTED,
    rival="nerd",
    claimed_point=(_FIGURE_6_RATE, 0.02),
    settings=(Printed(_SCALARS[0], 50, 1.2e-2), Printed(_SCALARS[1], 80, 3.5e-2)),
    target=Target("4a", gap=0.005, gap_below=0.02, steep=0.5, mode_mass=0.02),
)
"""What ``rdbench paper`` runs and draws; Figure 6 is drawn from the cells of Figure 5."""
