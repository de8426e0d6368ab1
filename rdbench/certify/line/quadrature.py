"""The integrals of a squared-error certificate on the line, panel by panel, with their errors.

Four integrands, with the bounds of atoms.py on the rectangle about a panel's ellipse (x0 the
centre, R the reach, t the height, P the bound of |p|):

- p log Z, for the upper side: |log Z(z)| <= |log Z(x0)| + beta R (R + 2 |x0 - m0|)
  + 2 beta^2 U R^2 + beta t^2 + 2 beta t (|x0 - m0| + max(R, 2 beta U R)) + log 2 + pi / 3.
- p exp(-beta (z - y)^2) / Z, for c(y): at most P / (a Z(x0)) exp(beta R (R + 2 |x0 - m0|)) for
  every y, since exp(beta t^2) cancels and log Z + beta x^2 lies above its tangent.
- p and p log p, for the Shannon part of lambda.

Both bounds of Z need a = 1 - 2 beta^2 t^2 U >= 1/2.

Where nothing is known of p off the line, the errors are observed instead: twice what cutting a
panel in two changes, c(y) at several y around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.line.atoms import LineAtoms
from rdbench.certify.line.densities import LineDensity
from rdbench.certify.line.panels import Panels

_ROUNDS = 14
# Towards a singularity, which only bisection finds.
_OBSERVED_ROUNDS = 40
_AROUND = 0.7 * np.arange(-3.0, 4.0)
_LIMIT = 20_000
_LOG_HALF = float(np.log(2.0) + np.pi / 3.0)


@dataclass(frozen=True)
class Errors:
    """Bounds by panel of the errors of the integrals of p log Z, p / Z e^..., p log p and p."""

    potential: Float[ndarray, " k"]
    constraint: Float[ndarray, " k"]
    entropy: Float[ndarray, " k"]
    mass: Float[ndarray, " k"]


def bound_errors(density: LineDensity, atoms: LineAtoms, beta: float, panels: Panels) -> Errors:
    """The least bound over the ellipses, for every panel; observed where there is none."""
    if density.modulus is None:
        return observe_errors(density, atoms, beta, panels)
    x0 = panels.centre
    reach, height = panels.rectangles()
    log_z, m0, _ = atoms.log_partition(x0, beta)
    off = np.abs(x0 - m0)[:, None]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        spread = atoms.spread_bound(x0, reach, beta)
        a = 1.0 - 2.0 * (beta * height) ** 2 * spread
        a = np.where(a >= 0.5, a, np.nan)
        climb = beta * reach * (reach + 2.0 * off)
        of_log_z = (
            np.abs(log_z)[:, None]
            + climb
            + 2.0 * spread * (beta * reach) ** 2
            + beta * height * (height + 2.0 * (off + reach * np.maximum(1.0, 2.0 * beta * spread)))
            + _LOG_HALF
        )
        modulus = density.modulus(np.broadcast_to(x0[:, None], reach.shape), reach, height)
        log_bounds = (
            modulus.log_p + np.log(np.where(np.isnan(a), np.nan, of_log_z)),
            modulus.log_p - log_z[:, None] - np.log(a) + climb,
            modulus.log_p + np.log(modulus.of_log),
            modulus.log_p,
        )
        potential, constraint, entropy, mass = (
            np.exp(np.fmin.reduce(panels.log_error(np.nan_to_num(b, nan=np.inf)), axis=1))
            for b in log_bounds
        )
    trivial = _trivial(density, atoms, beta, panels)
    return Errors(
        np.fmin(potential, trivial[0]), constraint, np.fmin(entropy, trivial[1]),
        np.fmin(mass, trivial[2]),
    )  # fmt: skip


def _trivial(
    density: LineDensity, atoms: LineAtoms, beta: float, panels: Panels
) -> tuple[ndarray, ndarray, ndarray]:
    """Twice the mass of a panel times the largest -log Z, |log p| or 1: for panels of no weight."""
    x0, half = panels.centre, panels.half
    assert density.modulus is not None
    modulus = density.modulus(x0, half, np.zeros(len(x0)))
    mass = 4.0 * half * np.exp(modulus.log_p)
    log_w = np.log(atoms.weights)
    best = (log_w - beta * (x0[:, None] - atoms.points) ** 2).argmax(1)
    largest = beta * (np.abs(x0 - atoms.points[best]) + half) ** 2 - log_w[best]
    return mass * largest, mass * modulus.of_log, mass


def observe_errors(density: LineDensity, atoms: LineAtoms, beta: float, panels: Panels) -> Errors:
    """Twice what cutting every panel in two changes."""
    halves = panels.bisected(np.ones(len(panels.left), dtype=bool))
    # 1/Z overflows far from all atoms: an error of no use, told as infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        once, twice = (_integrals(density, atoms, beta, each, panels) for each in (panels, halves))
        change = 2.0 * np.abs(once - twice.reshape(len(once), -1, 2).sum(2))
    change = np.where(np.isnan(change), np.inf, change)
    return Errors(change[0], change[3:].max(0), change[1], change[2])


def _integrals(
    density: LineDensity, atoms: LineAtoms, beta: float, panels: Panels, about: Panels
) -> Float[ndarray, "q k"]:
    """By panel: p log Z, p log p, p, and p / Z e^(-beta (x - y)^2) at y around ``about``."""
    nodes, weights = panels.quadrature()
    log_p = density.log_prob(nodes.ravel()).reshape(nodes.shape)
    log_z = atoms.log_partition(nodes.ravel(), beta)[0].reshape(nodes.shape)
    mass = np.exp(log_p) * weights
    plain = [(mass * values).sum(1) for values in (log_z, log_p, np.ones_like(log_p))]
    middles = np.repeat(about.centre, len(panels.left) // len(about.left))
    over_z = [
        (weights * np.exp(log_p - log_z - beta * (nodes - y[:, None]) ** 2)).sum(1)
        for y in (middles + away / np.sqrt(beta) for away in _AROUND)
    ]
    return np.stack(plain + over_z)


@dataclass(frozen=True)
class LineQuadrature:
    """Panels, their nodes (flattened), p times the weights, log p and log Z at the nodes."""

    panels: Panels
    errors: Errors
    x: Float[ndarray, " n"]
    mass: Float[ndarray, " n"]
    log_p: Float[ndarray, " n"]
    log_z: Float[ndarray, " n"]
    square: Float[ndarray, " n"]


def refine(
    density: LineDensity, atoms: LineAtoms, beta: float, panels: Panels, budget: float
) -> LineQuadrature:
    """Bisect panels until the error of every integral is below ``budget``, or a limit is met.

    The constraint is integrated over a core alone, so that its error does not count where the
    density is below ``budget`` / 10 times its largest value.
    """
    errors = bound_errors(density, atoms, beta, panels)
    for _ in range(_ROUNDS if density.modulus is not None else _OBSERVED_ROUNDS):
        log_p = density.log_prob(panels.centre)
        core = log_p > log_p.max() + np.log(0.1 * budget)
        worst = np.maximum(errors.potential, errors.entropy)
        worst = np.where(core, np.maximum(worst, errors.constraint), worst)
        coarse = worst > budget / len(worst)
        if not coarse.any() or len(worst) > _LIMIT:
            break
        panels = panels.bisected(coarse)
        errors = bound_errors(density, atoms, beta, panels)
    x, weights = (v.ravel() for v in panels.quadrature())
    log_p = density.log_prob(x)
    log_z, _, square = atoms.log_partition(x, beta)
    return LineQuadrature(panels, errors, x, np.exp(log_p) * weights, log_p, log_z, square)
