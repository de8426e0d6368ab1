"""Isotropic sources as certification needs them: the density of R^d at a radius, and its tail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import betainc, gammaincc, gammaln

from rdbench.sources.bessel import log_sphere_mean
from rdbench.sources.gaussian import GaussianSource
from rdbench.sources.sphere import NoisySphereSource
from rdbench.sources.student import StudentSource


class RadialTail(NamedTuple):
    """Upper bounds of P(S > t) and E[S^2; S > t]."""

    mass: float
    square: float


@dataclass(frozen=True)
class RadialDensity:
    """The law of X in R^d through S = ||X - centre||.

    ``log_density`` maps radii to the log density of R^d there; it must not increase beyond
    ``typical``. ``tail`` gives bounds beyond a radius. ``second_moment`` = E S^2, infinite where X
    has no variance. ``width`` is the shortest scale on which log_density varies, ``typical`` a
    radius that S exceeds with moderate probability.
    """

    dim: int
    log_density: Callable[[ndarray], ndarray]
    tail: Callable[[float], RadialTail]
    second_moment: float
    typical: float
    width: float
    name: str = "isotropic source"

    @property
    def log_area(self) -> float:
        """log of the area of the unit sphere S^{d-1}."""
        return float(np.log(2.0) + 0.5 * self.dim * np.log(np.pi) - gammaln(0.5 * self.dim))

    def log_radial(self, s: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
        """log of the density of S, s > 0."""
        out: ndarray = self.log_density(s) + self.log_area + (self.dim - 1) * np.log(s)
        return out

    def quantile(self, mass: float) -> float:
        """A radius beyond which at most ``mass`` is left (by the bound of the tail)."""
        lo, hi = 0.0, self.typical
        while self.tail(hi).mass > mass:
            lo, hi = hi, 2.0 * hi
        for _ in range(60):
            middle = 0.5 * (lo + hi)
            lo, hi = (lo, middle) if self.tail(middle).mass <= mass else (middle, hi)
        return hi


def gaussian_density(dim: int, std: float) -> RadialDensity:
    """N(0, std^2 I) on R^dim: S^2 / std^2 is chi-squared with ``dim`` degrees of freedom."""
    constant = -0.5 * dim * np.log(2.0 * np.pi * std**2)

    def tail(t: float) -> RadialTail:
        z = 0.5 * (t / std) ** 2
        square = dim * std**2 * float(gammaincc(0.5 * dim + 1.0, z))
        return RadialTail(float(gammaincc(0.5 * dim, z)), square)

    return RadialDensity(
        dim=dim,
        log_density=lambda s: constant - 0.5 * (s / std) ** 2,
        tail=tail,
        second_moment=dim * std**2,
        typical=std * np.sqrt(dim),
        width=std,
        name=f"N(0, {std:g}^2 I), d = {dim}",
    )


def student_density(df: float, dim: int, scale: float) -> RadialDensity:
    """Multivariate Student t: B = S^2 / (df scale^2 + S^2) is Beta(dim/2, df/2).

    E[S^2; S > t] = df scale^2 dim / (df - 2) P(B' > b), B' ~ Beta(dim/2 + 1, df/2 - 1).
    """
    constant = (
        gammaln(0.5 * (df + dim)) - gammaln(0.5 * df) - 0.5 * dim * np.log(df * np.pi * scale**2)
    )
    second = df * scale**2 * dim / (df - 2.0) if df > 2.0 else np.inf

    def tail(t: float) -> RadialTail:
        # P(B > b) = P(1 - B < 1 - b), and 1 - b keeps its digits in the far tail.
        rest = df * scale**2 / (df * scale**2 + t**2)
        mass = float(betainc(0.5 * df, 0.5 * dim, rest))
        if df <= 2.0:
            return RadialTail(mass, np.inf)
        return RadialTail(mass, float(second * betainc(0.5 * df - 1.0, 0.5 * dim + 1.0, rest)))

    return RadialDensity(
        dim=dim,
        log_density=lambda s: constant - 0.5 * (df + dim) * np.log1p((s / scale) ** 2 / df),
        tail=tail,
        second_moment=float(second),
        typical=scale * np.sqrt(dim),
        width=scale * np.sqrt(df / (df + dim)) if dim > df else scale,
        name=f"t{df:g}, d = {dim}",
    )


def noisy_sphere_density(dim: int, radius: float, noise: float) -> RadialDensity:
    """radius U + noise Z, U uniform on the unit sphere, Z ~ N(0, I).

    S <= radius + noise ||Z|| gives the bounds of the tail.
    """
    constant = -0.5 * dim * np.log(2.0 * np.pi * noise**2)
    ball = gaussian_density(dim, noise)

    def log_density(s: ndarray) -> ndarray:
        angular = log_sphere_mean(dim, np.asarray(s * radius / noise**2))
        out: ndarray = constant - 0.5 * ((s - radius) / noise) ** 2 + angular
        return out

    def tail(t: float) -> RadialTail:
        if t <= radius:
            return RadialTail(1.0, radius**2 + dim * noise**2)
        beyond = ball.tail(t - radius)
        return RadialTail(beyond.mass, 2.0 * (radius**2 * beyond.mass + beyond.square))

    return RadialDensity(
        dim=dim,
        log_density=log_density,
        tail=tail,
        second_moment=radius**2 + dim * noise**2,
        typical=float(np.sqrt(radius**2 + dim * noise**2)),
        width=noise,
        name=f"sphere of radius {radius:g} plus N(0, {noise:g}^2 I), d = {dim}",
    )


def radial_density(source: object) -> tuple[RadialDensity, Float[ndarray, " d"]] | None:
    """The radial density of a source and its centre; None where it is not isotropic."""
    if isinstance(source, StudentSource):
        centre = np.full(source.dim, source.loc)
        return student_density(source.df, source.dim, source.scale), centre
    if isinstance(source, NoisySphereSource):
        centre = np.zeros(source.dim)
        return noisy_sphere_density(source.dim, source.radius, source.noise), centre
    if isinstance(source, GaussianSource):
        stds, mean = source.stds.numpy(), source.mean.numpy()
        if stds[0] > 0.0 and (stds == stds[0]).all():
            return gaussian_density(source.dim, float(stds[0])), mean
    return None
