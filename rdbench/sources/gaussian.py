"""Gaussian sources: scalar, and vectors with a given spectrum under one seeded rotation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from rdbench.arrays import Number, array, converts, number, positive, settle, whole
from rdbench.sources.directional import log_sphere_area
from rdbench.types import RdbenchError

_ROTATION_SEED = 20240607


class NoDensity(RdbenchError, AttributeError):
    """There is no ``log_prob``: an attribute that is missing, told in one line."""


@converts
@dataclass(frozen=True, eq=False)
class GaussianSource:
    """X = mean + basis (stds * Z), Z standard normal; covariance basis diag(stds^2) basis^T.

    Standard deviations may be zero: X then lies in an affine subspace and has no density, and
    the source no ``log_prob``.
    """

    name: str
    mean: Float[Tensor, " d"]
    stds: Float[Tensor, " d"]
    basis: Float[Tensor, "d d"]

    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        # the audit names a source whose symbols are not finite
        mean = array(self.mean, "the mean of a Gaussian", 1, finite=False)
        stds = array(self.stds, "the stds of a Gaussian", 1)
        basis = array(self.basis, "the basis of a Gaussian", 2)
        if not (len(mean) == len(stds) == len(basis) == basis.shape[1]):
            raise RdbenchError("a Gaussian needs a mean (d,), stds (d,) and a basis (d, d)")
        if not bool((stds >= 0.0).all()):
            raise RdbenchError("standard deviations must be finite and not negative")
        settle(self, mean=mean, stds=stds, basis=basis)

    @classmethod
    def from_covariance(
        cls,
        cov: Tensor | ndarray | Sequence[Any],
        mean: Tensor | ndarray | Sequence[Any] | None = None,
        name: str | None = None,
    ) -> GaussianSource:
        """N(mean, cov); eigenvalues below rounding (1e-12 of the largest) count as zero.

        Args:
            cov: (d, d), symmetric and positive semi-definite, singular or not.
            mean: (d,), zero where it is not given.
            name: a short name.

        Raises:
            RdbenchError: the matrix is no covariance, or the mean does not fit it.
        """
        matrix = array(cov, "a covariance", 2)
        d = len(matrix)
        if matrix.shape != (d, d):
            raise RdbenchError(
                f"a covariance is a square matrix, got the shape {tuple(matrix.shape)}"
            )
        size = float(matrix.abs().max())
        if float((matrix - matrix.T).abs().max()) > 1e-9 * size:
            raise RdbenchError("a covariance must be symmetric")
        values, basis = torch.linalg.eigh(0.5 * (matrix + matrix.T))
        if float(values[0]) < -1e-9 * size:
            raise RdbenchError(
                f"a covariance must be positive semi-definite; the least eigenvalue is "
                f"{float(values[0]):.3g}"
            )
        values = torch.where(values > 1e-12 * values[-1], values, 0.0)
        centre = torch.zeros(d, dtype=torch.float64)
        if mean is not None:
            centre = array(mean, "a mean", 1)
        if centre.shape != (d,):
            raise RdbenchError(f"a mean for this covariance is {d} finite numbers")
        where = "0" if not bool(centre.any()) else "m"
        return cls(name or f"N({where}, Sigma), d={d}", centre, values.sqrt(), basis)

    @property
    def dim(self) -> int:
        """d."""
        return self.mean.shape[0]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n vectors."""
        dev = generator.device
        z = torch.randn(n, self.dim, generator=generator, device=dev, dtype=torch.float64)
        return self.mean.to(dev) + (z * self.stds.to(dev)) @ self.basis.to(dev).T

    def principal(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Coordinates of x - mean along the principal axes (the columns of ``basis``)."""
        return (x.double() - self.mean.to(x.device)) @ self.basis.to(x.device)

    @property
    def log_prob(self) -> Callable[[Tensor], Tensor]:
        """``log_prob(x)``: the log density in nats, (n, d) to (n,).

        Raises:
            NoDensity: the covariance is singular.
        """
        if not bool((self.stds > 0.0).all()):
            raise NoDensity(f"{self.name} has a singular covariance and no density")
        return self._log_prob

    def _log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        stds = self.stds.to(x.device)
        z = self.principal(x) / stds
        constant = 0.5 * self.dim * math.log(2.0 * math.pi) + stds.log().sum()
        return -0.5 * z.square().sum(1) - constant

    def log_radius(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Log density of ||Z||: chi with d degrees of freedom."""
        area = log_sphere_area(self.dim) + (self.dim - 1) * s.log()
        return area - 0.5 * (s.square() + self.dim * math.log(2.0 * math.pi))

    def from_radius(
        self, s: Float[Tensor, " n"], direction: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d"]:
        """mean + basis (stds s u)."""
        z = s[:, None] * direction
        return self.mean.to(s.device) + (z * self.stds.to(s.device)) @ self.basis.to(s.device).T


def orthogonal(dim: Number, seed: Number = _ROTATION_SEED) -> Float[Tensor, "d d"]:
    """A Haar-distributed rotation from a seed: QR with the signs of the diagonal fixed."""
    dim, seed = whole(dim, "the dimension of a rotation", 1), whole(seed, "a seed", 0)
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))
    return torch.from_numpy(q * np.sign(np.diag(r)))


def rotation(dim: Number, seed: Number = _ROTATION_SEED) -> Float[Tensor, "d d"]:
    """`orthogonal`, but never the reflection that it may be in one dimension."""
    dim = whole(dim, "the dimension of a rotation", 1)
    return orthogonal(dim, seed) if dim > 1 else torch.ones(1, 1, dtype=torch.float64)


def scalar_gaussian(mean: Number = 0.0, std: Number = 1.0) -> GaussianSource:
    """N(mean, std^2)."""
    mean, std = number(mean, "a mean"), positive(std, "a standard deviation")
    return GaussianSource(
        name=f"N({mean:g}, {std:g}^2)",
        mean=torch.tensor([mean], dtype=torch.float64),
        stds=torch.tensor([std], dtype=torch.float64),
        basis=torch.ones(1, 1, dtype=torch.float64),
    )


def _ramp(dim: int) -> Float[Tensor, " d"]:
    return torch.exp2(-torch.arange(1, dim + 1, dtype=torch.float64) / 10.0)


def _flat(dim: int) -> Float[Tensor, " d"]:
    return torch.full((dim,), math.exp2(-0.1), dtype=torch.float64)


def _nerd(dim: int) -> Float[Tensor, " d"]:
    # m = 20, r = .25 and m = 40, r = .5 in the authors' code; r = .25 elsewhere.
    rate = 0.5 if dim == 40 else 0.25
    return 2.0 * torch.exp(-rate * torch.arange(dim, dtype=torch.float64))


SPECTRA: dict[str, Callable[[int], Tensor]] = {"ramp": _ramp, "flat": _flat, "nerd": _nerd}
"""Standard deviations along the principal axes: ``ramp`` sigma_i = 2^(-i/10), i = 1..d; ``flat``
sigma_i = 2^(-1/10), the EBRD paper's text taken literally; ``nerd`` sigma_k = 2 exp(-r k),
k = 0..d-1 (Lei, Hassani, Bidokhti 2022, their code)."""


def vector_gaussian(
    dim: Number, spectrum: str = "ramp", mean: Number = 0.0, seed: Number = _ROTATION_SEED
) -> GaussianSource:
    """A d-dimensional Gaussian with a named spectrum, every coordinate's mean equal to ``mean``.

    The rotation is the same for every estimator: a diagonal covariance would flatter methods
    with a factorised prior.

    Args:
        dim: d.
        spectrum: a name in ``SPECTRA``.
        mean: of every coordinate.
        seed: of the rotation.
    """
    if not isinstance(spectrum, str) or spectrum not in SPECTRA:
        raise RdbenchError(f"unknown spectrum {spectrum!r}; choose one of {', '.join(SPECTRA)}")
    dim, mean = whole(dim, "the dimension of a Gaussian", 1), number(mean, "a mean")
    return GaussianSource(
        name=f"N({mean + 0.0:g}, Sigma), {spectrum}, d={dim}",
        mean=torch.full((dim,), mean, dtype=torch.float64),
        stds=SPECTRA[spectrum](dim),
        basis=rotation(dim, seed),
    )
