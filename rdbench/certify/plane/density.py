"""Densities in the plane as certification needs them: a box that holds them, and what is outside.

Beyond a box of REACH standard deviations a Gaussian has less mass than any quadrature resolves.
The bounds of the tails are explicit all the same: unions over the components and the axes, and
E[||X - c||^2; out] <= (E||X - c||^4 P(out))^{1/2}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import erfc

from rdbench.sources.banana import BananaSource
from rdbench.sources.gaussian import GaussianSource
from rdbench.sources.mixture import GaussianMixture

REACH = 10.0
_OUT = float(erfc(REACH / np.sqrt(2.0)))


@dataclass(frozen=True)
class PlaneDensity:
    """A density on R^2 that is analytic and falls like a Gaussian.

    ``log_density`` maps (n, 2) to (n,). ``outside_mass`` and ``outside_square`` are upper bounds
    of P(X outside [lo, hi]) and E[||X - centre||^2; X outside]. ``second_moment`` =
    E||X - centre||^2. ``steps`` (2,): grid steps at which the trapezoidal rule resolves the
    density itself.
    """

    log_density: Callable[[ndarray], ndarray]
    lo: Float[ndarray, " 2"]
    hi: Float[ndarray, " 2"]
    centre: Float[ndarray, " 2"]
    outside_mass: float
    outside_square: float
    second_moment: float
    steps: Float[ndarray, " 2"]
    name: str = "a density in the plane"


def mixture_density(
    weights: Float[ndarray, " k"],
    means: Float[ndarray, "k 2"],
    covs: Float[ndarray, "k 2 2"],
    name: str = "Gaussian mixture",
) -> PlaneDensity:
    """sum_k weights_k N(means_k, covs_k).

    Args:
        weights: (k,), summing to one.
        means: (k, 2).
        covs: (k, 2, 2).
        name: for messages.

    Raises:
        ValueError: a covariance is singular: there is no density.
    """
    values = np.linalg.eigvalsh(covs)
    if not (values > 1e-12 * values.max()).all():
        raise ValueError("a mixture with a singular covariance has no density in the plane")
    inverses = np.linalg.inv(covs)
    constants = np.log(weights) - 0.5 * np.log(np.linalg.det(covs)) - np.log(2.0 * np.pi)

    def log_density(x: ndarray) -> ndarray:
        away = x[:, None, :] - means
        terms = constants - 0.5 * np.einsum("nki,kij,nkj->nk", away, inverses, away)
        top = terms.max(1)
        out: ndarray = top + np.log(np.exp(terms - top[:, None]).sum(1))
        return out

    stds = np.sqrt(np.einsum("kii->ki", covs))
    centre = weights @ means
    offsets = ((means - centre) ** 2).sum(1)
    traces = np.einsum("kii->k", covs)
    # E||X - c||^4 <= 8 (||m - c||^4 + E||Z||^4), and E||Z||^4 <= 3 tr(C)^2.
    fourth = float(weights @ (8.0 * (offsets**2 + 3.0 * traces**2)))
    outside = 2.0 * _OUT
    # On the line across the other axis, a Gaussian's section is narrower than its projection.
    sections = np.sqrt(1.0 / np.einsum("kii->ki", inverses))
    return PlaneDensity(
        log_density=log_density,
        lo=(means - REACH * stds).min(0),
        hi=(means + REACH * stds).max(0),
        centre=centre,
        outside_mass=outside,
        outside_square=float(np.sqrt(fourth * outside)),
        second_moment=float(weights @ (offsets + traces)),
        steps=0.3 * sections.min(0),
        name=name,
    )


def banana_density(spread: float, bend: float, noise: float, name: str = "banana") -> PlaneDensity:
    """X1 ~ N(0, spread^2), X2 = bend (X1^2 - spread^2) + noise Z.

    Var X2 = 2 bend^2 spread^4 + noise^2. The density narrows where its ridge is steep, across the
    ridge like noise / (1 + (2 bend x1)^2)^{1/2}.

    Args:
        spread: the standard deviation of X1.
        bend: of the ridge.
        noise: the standard deviation across it.
        name: for messages.
    """
    constant = -np.log(2.0 * np.pi * spread * noise)

    def log_density(x: ndarray) -> ndarray:
        across = (x[:, 1] - bend * (x[:, 0] ** 2 - spread**2)) / noise
        out: ndarray = constant - 0.5 * ((x[:, 0] / spread) ** 2 + across**2)
        return out

    far = bend * spread**2 * np.array([-1.0, REACH**2 - 1.0])
    outside = 2.0 * _OUT
    # E X1^4 = 3 s^4, and X2 = bend s^2 (G^2 - 1) + noise Z with E (G^2 - 1)^4 = 60.
    fourth = 2.0 * (3.0 * spread**4 + 8.0 * (60.0 * bend**4 * spread**8 + 3.0 * noise**4))
    steep = np.sqrt(1.0 + (2.0 * bend * 4.0 * spread) ** 2)
    return PlaneDensity(
        log_density=log_density,
        lo=np.array([-REACH * spread, float(far.min()) - REACH * noise]),
        hi=np.array([REACH * spread, float(far.max()) + REACH * noise]),
        centre=np.zeros(2),
        outside_mass=outside,
        outside_square=float(np.sqrt(fourth * outside)),
        second_moment=spread**2 + 2.0 * bend**2 * spread**4 + noise**2,
        steps=np.array([0.5 * min(spread, noise / steep * np.sqrt(2.0)), 0.5 * noise]),
        name=name,
    )


def plane_density(source: object) -> PlaneDensity | None:
    """The density of a source on R^2; None where there is no solver for it."""
    if isinstance(source, GaussianMixture) and source.dim == 2:
        keep = source.weights.numpy() > 0.0
        return mixture_density(
            source.weights.numpy()[keep],
            source.means.double().numpy()[keep],
            source.covs.double().numpy()[keep],
            source.name,
        )
    if isinstance(source, GaussianSource) and source.dim == 2:
        basis = source.basis.numpy()
        cov = (basis * source.stds.numpy() ** 2) @ basis.T
        return mixture_density(np.ones(1), source.mean.numpy()[None], cov[None], source.name)
    if isinstance(source, BananaSource):
        return banana_density(source.spread, source.bend, source.noise, source.name)
    return None
