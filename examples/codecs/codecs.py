"""Codecs whose distance to R(D) is known: scalar and lattice quantisers with ideal entropy coders.

An ideal entropy coder spends the entropy of the index. At high rate a quantiser with such a coder
loses to R(D) only what its cells lose to balls: with the normalised second moment G,

    1/2 log2(2 pi e G) bits per dimension,  10 log10(2 pi e G) dB:

    integers, any d     G = 1/12       .2546 bit    1.53 dB   (Gish and Pierce, 1968)
    hexagonal, A2       G = .080188    .2268 bit    1.37 dB
    E8                  G = .071682    .1458 bit     .88 dB   (Conway and Sloane, 1982)

so that E8 gains .65 dB of the 1.53. At low rates all of them come close to R(D).

    python codecs.py OUT      writes OUT/gaussian.csv and OUT/digits.csv
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray
from scipy.stats import norm, qmc

Point = tuple[str, float, float]
"""Name, bits per dimension, mean squared error per dimension."""


# --------------------------------------------------------------------------------------------
# lattices


@dataclass(frozen=True)
class Lattice:
    """A lattice of unit scale: its nearest point, the volume of a cell, a box that is a period."""

    name: str
    nearest: Callable[[ndarray], ndarray]
    volume: float
    period: tuple[float, ...]

    @property
    def dim(self) -> int:
        """d."""
        return len(self.period)

    def cell(self, n: int) -> ndarray:
        """n evenly spread points of the cell around 0, (n, d); n is a power of two."""
        u = qmc.Sobol(self.dim, rng=3).random(n) * np.array(self.period)
        return u - self.nearest(u)


def nearest_hexagonal(x: ndarray) -> ndarray:
    """The nearest point of A2 to the rows of x: it is two shifted copies of Z x sqrt(3) Z."""
    box = np.array([1.0, math.sqrt(3.0)])
    return _nearer(x, lambda z: np.round(z / box) * box, 0.5 * box)


def nearest_e8(x: ndarray) -> ndarray:
    """The nearest point of E8, D8 and D8 + 1/2 (Conway and Sloane, 1982, IEEE IT-28, 227-232)."""
    return _nearer(x, _nearest_even, np.full(8, 0.5))


def _nearest_even(x: ndarray) -> ndarray:
    """The nearest integers with an even sum: where it is odd, the worst coordinate goes back."""
    y = np.round(x)
    worst = np.abs(x - y).argmax(1)
    rows = np.arange(len(x))
    step = np.where(x[rows, worst] >= y[rows, worst], 1.0, -1.0)
    y[rows, worst] += step * (y.sum(1) % 2)
    return y


def _nearer(x: ndarray, nearest: Callable[[ndarray], ndarray], shift: ndarray) -> ndarray:
    """The nearer of the nearest points of a lattice and of its shifted copy."""
    first, second = nearest(x), nearest(x - shift) + shift
    closer = ((x - second) ** 2).sum(1) < ((x - first) ** 2).sum(1)
    return np.where(closer[:, None], second, first)


INTEGERS = Lattice("integers", np.round, 1.0, (1.0, 1.0))
HEXAGONAL = Lattice("hexagonal", nearest_hexagonal, math.sqrt(0.75), (1.0, math.sqrt(3.0)))
E8 = Lattice("E8", nearest_e8, 1.0, (2.0,) * 8)


# --------------------------------------------------------------------------------------------
# N(0, 1) in every dimension


def scalar_on_gaussian(step: float) -> Point:
    """The uniform quantiser with centroids, in closed form: sums over its cells."""
    edges = step * (np.arange(-math.ceil(9.0 / step), math.ceil(9.0 / step) + 2) - 0.5)
    p = np.diff(norm.cdf(edges))
    first = -np.diff(norm.pdf(edges))  # the integral of x phi(x)
    p, first = p[p > 0.0], first[p > 0.0]
    return "uniform scalar", float(-(p * np.log2(p)).sum()), float(1.0 - (first**2 / p).sum())


def lattice_on_gaussian(lattice: Lattice, step: float, n: int, m: int) -> Point:
    """A lattice of cells of volume ``step``^d, with centroids.

    P(cell), its centroid and its squared error are sums over m points of the cell, averaged over
    the cells of n draws of X (powers of two, evenly spread). The noise of -log p(X), whose mean is
    known, is taken out.
    """
    d = lattice.dim
    scale = step / lattice.volume ** (1.0 / d)
    x = norm.ppf(qmc.Sobol(d, rng=1).random(n))
    at = scale * lattice.nearest(x / scale)
    u = scale * lattice.cell(m)
    square = (u**2).sum(1)
    # log p(at + u) - log p(at)
    inner = -at @ u.T - 0.5 * square
    top = inner.max(1, keepdims=True)
    weights = np.exp(inner - top)
    total = weights.sum(1)
    surprise = 0.5 * (at**2).sum(1) - top[:, 0] - np.log(total / m)
    nats = (surprise - 0.5 * (x**2).sum(1)).mean() + 0.5 * d
    rate = nats / d + 0.5 * math.log(2.0 * math.pi) - math.log(step)
    centroid = weights @ u / total[:, None]
    error = (weights @ square / total - (centroid**2).sum(1)).mean() / d
    return lattice.name, float(rate / math.log(2.0)), float(error)


# --------------------------------------------------------------------------------------------
# rows of data


def lattice_on_rows(rows: ndarray, lattice: Lattice, step: float) -> Point:
    """A lattice on rows that are the source: the entropy of the cells they fall into, exactly."""
    scale = step / lattice.volume ** (1.0 / lattice.dim)
    _, index = np.unique(np.round(lattice.nearest(rows / scale), 6), axis=0, return_inverse=True)
    return (lattice.name, *_spent(rows, index.ravel()))


def vector_quantiser(rows: ndarray, beta: float, k: int, rng: np.random.Generator) -> Point:
    """Entropy-constrained vector quantisation with at most k words at slope beta.

    P. A. Chou, T. Lookabaugh and R. M. Gray, Entropy-constrained vector quantization (1989): in
    turns the index that minimises -log p_j + beta |x - y_j|^2, the centroids, their frequencies.
    """
    words = rows[rng.permutation(len(rows))[:k]]
    cost = np.zeros(len(words))
    index = np.zeros(len(rows), dtype=int)
    for _ in range(60):
        square = ((rows[:, None, :] - words[None]) ** 2).sum(2)
        index = (cost + beta * square).argmin(1)
        used, index = np.unique(index, return_inverse=True)
        count = np.bincount(index)
        words = np.stack([rows[index == j].mean(0) for j in range(len(used))])
        cost = -np.log(count / len(rows))
    return ("vector quantiser", *_spent(rows, index))


def _spent(rows: ndarray, index: ndarray) -> tuple[float, float]:
    """Entropy and squared error of an index with its centroids, per dimension."""
    n, d = rows.shape
    count = np.bincount(index)
    mean = np.stack([np.bincount(index, rows[:, j]) / count for j in range(d)], axis=1)
    p = count / n
    return (
        float(-(p * np.log2(p)).sum() / d),
        float(((rows - mean[index]) ** 2).sum() / (n * d)),
    )


# --------------------------------------------------------------------------------------------


def gaussian_points(steps: Sequence[float], n: int, m: int, variance: float = 1.0) -> list[Point]:
    """All quantisers on a Gaussian of equal variances; ``steps`` in standard deviations."""
    lattices = [lattice_on_gaussian(one, s, n, m) for one in (HEXAGONAL, E8) for s in steps]
    return [(name, r, variance * d) for name, r, d in [*map(scalar_on_gaussian, steps), *lattices]]


def digits_points(steps: Sequence[float], betas: Sequence[float]) -> list[Point]:
    """All quantisers on the rows of digits-2, two principal components of 1797 images."""
    from rdbench.sources.digits import DigitsSource

    rows = DigitsSource(2).support.numpy()
    rng = np.random.default_rng(2)
    found = [lattice_on_rows(rows, one, s) for one in (INTEGERS, HEXAGONAL) for s in steps]
    return found + [vector_quantiser(rows, beta, 128, rng) for beta in betas]


def write(points: Sequence[Point], path: Path) -> None:
    """A file for ``--points``: bits per dimension, mean squared error."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["name", "rate", "distortion", "rate_unit", "distortion_unit"])
        out.writerows([name, f"{r:.6g}", f"{d:.6g}", "bpp", "mse"] for name, r, d in points)


def main(out: Path, n: int = 4096, m: int = 4096) -> None:
    """Write both files: for gaussian_spectra/flat-d8 and for real_data/digits-2."""
    from rdbench.sources.gaussian import vector_gaussian

    out.mkdir(parents=True, exist_ok=True)
    variance = float(vector_gaussian(8, "flat").stds[0]) ** 2
    steps = (3.0, 2.2, 1.6, 1.1, 0.8, 0.55, 0.4)
    write(gaussian_points(steps, n, m, variance), out / "gaussian.csv")
    grid = np.geomspace(2.5, 0.9, 6).tolist()
    write(digits_points(grid, np.geomspace(1.2, 9.0, 6).tolist()), out / "digits.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
